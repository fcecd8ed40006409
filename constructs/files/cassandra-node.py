"""Process 1 of a Cassandra container: starts the node when it may join, and tells the other nodes what it knows.

A node that seeds itself does not bootstrap, so exactly one node may do that, once. The others join one at a time, because
Cassandra refuses two bootstraps at once. An empty node of an existing ring takes the place of its dead predecessor.

Port 7010 serves, to the ring and to the kubelet only:
  GET /state        what this node is (see Node.state)
  GET /ring         the nodes of the ring, as nodetool status prints them
  GET /live         whether Cassandra answers its clients, for the liveness probe
  POST /repair/KS   repairs this node's primary ranges of a keyspace, for the schema job
It needs no login: before a second node is there, Cassandra has no role that anyone could log in as.
Standard library only. What is decided stands apart from what is done.
"""
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

DATA = os.environ.get("DATA", "/var/lib/cassandra")
CONF = os.environ.get("CASSANDRA_CONF", "/etc/cassandra")
JOINED = os.path.join(DATA, "joined")
STARTING = os.path.join(DATA, "starting-the-ring")
CQL, TELL = 9042, 7010


class Refused(Exception):
    """This node must not start, and only a person can change that."""


def say(message):
    print("node: " + message, flush=True)


def decide(index, empty, starting, states, quiet, config):
    """Returns what to do next and why: "start" a new ring, "join" the ring that is there, or "wait".

    'states' has every other member in joining order, as Node.state tells it, or "absent" (no such pod) or "silent" (a pod
    or a name server that does not answer). An absent pod may hold data all the same and only be late.
    """
    others = list(states.items())
    if "joined" in states.values():
        ahead = [pod for pod, state in others if state == "joining"]
        ahead += [pod for pod, state in others[:index] if state in ("empty", "partial")]
        if ahead:
            return "wait", "the ring exists; nodes join one at a time, before this one: " + ", ".join(ahead)
        return "join", "the ring exists"
    if index > 0:
        return "wait", "the first node of the first rack starts the ring"
    if starting:
        return "start", "this node began to start the ring before"
    if not empty:
        return "wait", "this node holds data of a ring that it has not joined; no other member answers"
    unknown = ["%s (%s)" % (pod, state) for pod, state in others if state not in ("empty", "absent")]
    if unknown:
        return "wait", "a new ring may start only when nobody holds data, and these may: " + ", ".join(unknown)
    absent = [pod for pod, state in others if state == "absent"]
    if absent and quiet < config["absentSeconds"]:
        return "wait", "a new ring starts when %d s have passed without a sign of: %s" % (config["absentSeconds"], ", ".join(absent))
    if quiet < config["quietSeconds"]:
        return "wait", "nobody holds data; waiting %d s to be sure" % config["quietSeconds"]
    return "start", "nobody holds data: this is a new ring"


def place(rack, ring, mates, addresses):
    """Returns ("take", address), ("new", None) or ("wait", why): the place in the ring of an empty node.

    'ring' is what GET /ring tells, 'mates' the states of the other pods of this rack, 'addresses' those of all other pods.
    """
    moving = [node["address"] for node in ring if node["mode"] != "N"]
    if moving:
        return "wait", "another node joins, leaves or moves: " + ", ".join(sorted(moving))
    gone = [node for node in ring if node["rack"] == rack and node["address"] not in addresses]
    if not gone:
        return "new", None
    up = [node["address"] for node in gone if node["up"]]
    if up:
        return "wait", "the ring does not know yet that this node is down: " + ", ".join(sorted(up))
    away = ["%s (%s)" % (pod, state) for pod, state in mates.items() if state not in ("joined", "empty")]
    if away:
        return "wait", "a dead node of rack %s may be this one or one of: %s" % (rack, ", ".join(sorted(away)))
    dead = sorted(node["address"] for node in gone)
    if len(dead) > 1 + list(mates.values()).count("empty"):
        raise Refused(
            "%d dead nodes in rack %s (%s) and fewer empty pods: remove those that are gone for good with nodetool removenode HOST-ID"
            % (len(dead), rack, ", ".join(dead))
        )
    return "take", dead[0]


def racks_to_allocate(rack, ring, copies):
    """Tokens are spread within each rack as soon as there are as many racks as copies; Cassandra refuses fewer racks."""
    return min(copies, len({node["rack"] for node in ring} | {rack}))


def parse_status(text):
    """The nodes that `nodetool status` prints."""
    line = re.compile(r"^([UD?])([NLJM])\s+(\S+)\s.*\s(\S+)$")
    found = [line.match(each.strip()) for each in text.splitlines()]
    return [{"up": m[1] == "U", "mode": m[2], "address": m[3], "rack": m[4]} for m in found if m]


def with_values(text, values):
    """cassandra.yaml with other values for keys that it has."""
    for key, value in values.items():
        text, count = re.subn(r"(?m)^(\s*(?:- )?%s:).*$" % key, lambda match: "%s %s" % (match[1], value), text)
        if count != 1:
            raise Refused("cassandra.yaml must have the key %s once, and has it %d times" % (key, count))
    return text


def resolve(name):
    """The IPv4 addresses of a name, none where it does not exist. Raises OSError where the name server does not answer."""
    try:
        return {entry[4][0] for entry in socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)}
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return set()
        raise


def serves_clients(address):
    """Whether the CQL port is open."""
    try:
        with socket.create_connection((address, CQL), timeout=3):
            return True
    except OSError:
        return False


def answers_clients(address):
    """Whether Cassandra answers an OPTIONS request of the native protocol, version 4; a closed port is no failure."""
    try:
        connection = socket.create_connection((address, CQL), timeout=3)
    except OSError:
        return True
    with connection:
        try:
            connection.settimeout(5)
            connection.sendall(bytes([4, 0, 0, 0, 5, 0, 0, 0, 0]))
            return len(connection.recv(1)) == 1
        except OSError:
            return False


def ask(address, path):
    try:
        with urllib.request.urlopen("http://%s:%d%s" % (address, TELL, path), timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise OSError(error.read().decode(errors="replace")) from error


def state_of(host, service, own_address):
    """What another member is. Its name is missing for a good reason only while the name server knows this pod."""
    try:
        addresses = resolve(host)
        if not addresses:
            return "absent" if own_address in resolve(service) else "silent"
        address = min(addresses)
        if serves_clients(address):
            return "joined"
        return ask(address, "/state")["state"]
    except (OSError, ValueError, KeyError):
        return "silent"


def nodetool(*arguments):
    """What nodetool prints. Raises OSError with its last line when it fails."""
    run = subprocess.run(["nodetool"] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if run.returncode != 0:
        lines = run.stdout.strip().splitlines()
        raise OSError("nodetool %s: %s" % (arguments[0], lines[-1] if lines else "ended with %d" % run.returncode))
    return run.stdout


class Node:
    """What this node is. Shared with the threads that tell the others."""

    def __init__(self, address):
        self.address = address
        self.cassandra = None
        self.told_to_end = False
        self.turn = threading.Lock()

    @property
    def empty(self):
        data = os.path.join(DATA, "data")
        return not (os.path.isdir(data) and os.listdir(data))

    @property
    def state(self):
        """empty or partial: waits for its turn without data, or with those of an unfinished join. joining: Cassandra runs
        and has not joined. restarting: joined before, and does not serve clients. joined: serves clients."""
        if os.path.exists(JOINED):
            return "joined" if serves_clients(self.address) else "restarting"
        if self.cassandra is not None or self.turn.locked():
            return "joining"
        return "empty" if self.empty else "partial"

    def tell(self):
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, produce):
                try:
                    code, content = 200, produce()
                except OSError as error:
                    code, content = 503, {"error": str(error)}
                body = json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                what = {"/state": lambda: {"state": node.state}, "/ring": node.ring, "/live": node.live}.get(self.path)
                if what is None:
                    return self.send_error(404)
                return self.answer(what)

            def do_POST(self):
                match = re.fullmatch(r"/repair/([a-z][a-z0-9_]{0,47})", self.path)
                if match is None:
                    return self.send_error(404)
                return self.answer(lambda: {"repaired": nodetool("repair", "--full", "--partitioner-range", match[1]).splitlines()[-1:]})

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((self.address, TELL), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def ring(self):
        return {"nodes": parse_status(nodetool("status"))}

    def live(self):
        if not answers_clients(self.address):
            raise OSError("Cassandra accepts clients and does not answer them")
        return {"live": True}

    def run(self, extra=()):
        """Runs Cassandra until it ends, and ends with its code."""
        if self.told_to_end:
            sys.exit(143)
        self.cassandra = subprocess.Popen(["cassandra", "-f"] + list(extra))
        threading.Thread(target=self.note_joined, daemon=True).start()
        code = self.cassandra.wait()
        sys.exit(code if code >= 0 else 128 - code)

    def note_joined(self):
        """Notes that this node has joined, once it serves clients. Until then it must never seed itself."""
        while not os.path.exists(JOINED):
            if serves_clients(self.address):
                write(JOINED)
            time.sleep(1)

    def end(self, *_):
        """On SIGTERM."""
        self.told_to_end = True
        if self.cassandra is None:
            sys.exit(143)
        self.cassandra.terminate()


def write(path):
    """An empty file that a power cut does not take away."""
    with open(path, "w") as file:
        os.fsync(file.fileno())
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def configure(seeds, copies, racks):
    """Writes what a growing ring changes. It stands outside of the rendered configuration, whose changes restart all nodes."""
    path = os.path.join(CONF, "cassandra.yaml")
    with open(path) as file:
        text = file.read()
    values = {"seeds": '"%s"' % ",".join(seeds), "default_keyspace_rf": copies, "allocate_tokens_for_local_replication_factor": racks}
    with open(path, "w") as file:
        file.write(with_values(text, values))
    return ["-Dcassandra.system_auth.default_rf=%d" % copies]


class Start:
    """The way of one node from its container's start to Cassandra's."""

    def __init__(self, node, config, pod):
        self.node, self.config = node, config
        self.members = config["members"]
        self.index = next(i for i, member in enumerate(self.members) if member["pod"] == pod)
        self.me = self.members[self.index]
        self.others = self.members[: self.index] + self.members[self.index + 1 :]
        self.said, self.said_at = None, 0.0

    def say(self, action, why):
        if (action, why) != self.said or time.monotonic() - self.said_at > 60:
            say("%s: %s" % (action, why))
            self.said, self.said_at = (action, why), time.monotonic()

    def look(self):
        return {each["pod"]: state_of(each["host"], self.config["service"], self.node.address) for each in self.others}

    def until_started(self):
        config, copies = self.config, self.config["copies"]
        if os.path.exists(JOINED):
            say("joined before: starting")
            self.node.run(configure(config["seeds"], copies, min(copies, len({each["rack"] for each in self.members}))))
        seen, since = None, time.monotonic()
        while True:
            states = self.look()
            if states != seen:
                seen, since = states, time.monotonic()
            action, why = decide(self.index, self.node.empty, os.path.exists(STARTING), states, time.monotonic() - since, config)
            if action != "join":
                self.say(action, why)
            if action == "start":
                write(STARTING)
                self.node.run(configure([self.me["host"]], copies, 1))
            if action == "join":
                self.join()
            time.sleep(config["intervalSeconds"])

    def join(self):
        """Joins, or says why it waits. Two nodes that take their turn at the same moment see each other: the first goes."""
        with self.node.turn:
            now = self.look()
            before = [pod for pod in list(now)[: self.index] if now[pod] == "joining"]
            if before:
                return self.say("wait", "joins at this moment: " + ", ".join(before))
            ring, why = self.ring(now)
            if ring is None:
                return self.say("wait", "no member tells who is in the ring: " + why)
            mates = {each["pod"]: now[each["pod"]] for each in self.others if each["rack"] == self.me["rack"]}
            try:
                addresses = set().union(*(resolve(each["host"]) for each in self.others))
            except OSError as error:
                return self.say("wait", "the name server does not answer: %s" % error)
            what, detail = place(self.me["rack"], ring, mates, addresses)
            if what == "wait":
                return self.say("wait", detail)
            live = [each["host"] for each in self.others if now[each["pod"]] == "joined"]
            seeds = [seed for seed in self.config["seeds"] if seed != self.me["host"]] or live
            copies = self.config["copies"]
            extra = configure(seeds, copies, racks_to_allocate(self.me["rack"], ring, copies))
            say("join: the ring exists")
            if what == "take":
                say("taking the place of the dead node %s" % detail)
                extra.append("-Dcassandra.replace_address_first_boot=" + detail)
            self.node.run(extra)

    def ring(self, states):
        """The nodes of the ring, from the first member that tells; None and the reasons where none does."""
        reasons = []
        for each in self.others:
            if states[each["pod"]] != "joined":
                continue
            try:
                for address in sorted(resolve(each["host"])):
                    return ask(address, "/ring")["nodes"], ""
            except (OSError, ValueError, KeyError) as error:
                reasons.append("%s: %s" % (each["pod"], error))
        return None, "; ".join(reasons)


def main():
    node = Node(os.environ["POD_IP"])
    signal.signal(signal.SIGTERM, node.end)
    with open(os.environ.get("NODE_CONFIG", "/scripts/node.json")) as file:
        config = json.load(file)
    node.tell()
    try:
        Start(node, config, os.environ["POD_NAME"]).until_started()
    except (Refused, OSError) as error:
        sys.exit("node: refusing to start: %s" % error)


if __name__ == "__main__":
    main()
