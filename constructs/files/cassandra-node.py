"""Process 1 of a Cassandra container: starts the node when it may join, and serves its state to other nodes over HTTP.

A node that is its own seed does not bootstrap, so exactly one node may be that, once. The others join one at a time, because
Cassandra refuses two bootstraps at once. An empty node of an existing ring takes the place of its dead predecessor.

Port 7010 serves, to the ring and to the kubelet only:
  GET /state        what this node is (see Node.state)
  GET /ring         the nodes of the ring, as nodetool status prints them
  GET /live         whether Cassandra answers its clients, for the liveness probe
  POST /repair/KS   repairs this node's primary ranges of a keyspace, for the schema job
It needs no login: the first node of a ring answers before Cassandra has any role.
Standard library only. The decisions are in joining.py.
"""
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from joining import Refused, decide, loss, no_room, parse_status, place, racks_to_allocate

DATA = os.environ.get("DATA", "/var/lib/cassandra")
CONF = os.environ.get("CASSANDRA_CONF", "/etc/cassandra")
JOINED = os.path.join(DATA, "joined")
STARTING = os.path.join(DATA, "starting-the-ring")
ACCEPTED = os.path.join(DATA, "accept-loss")
# Files that ops writes: the host ID of a node whose decommission was started, and that it left the ring.
LEAVING = os.path.join(DATA, "leaving")
LEFT = os.path.join(DATA, "left")
CQL, TELL = 9042, 7010


def say(message):
    print("node: " + message, flush=True)


def with_values(text, values):
    """Replaces values of existing keys in cassandra.yaml."""
    for key, value in values.items():
        text, count = re.subn(r"(?m)^(\s*(?:- )?%s:).*$" % key, lambda match: "%s %s" % (match[1], value), text)
        if count != 1:
            raise Refused("cassandra.yaml must have the key %s once, but has it %d times" % (key, count))
    return text


def resolve(name):
    """The IPv4 addresses of a name; none if it does not exist. Raises OSError if the name server does not answer."""
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
    """The state of another member. A missing name counts as absent only if the name server knows this pod."""
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
    """The output of nodetool. Raises OSError with its last line if it fails."""
    run = subprocess.run(["nodetool"] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if run.returncode != 0:
        lines = run.stdout.strip().splitlines()
        raise OSError("nodetool %s: %s" % (arguments[0], lines[-1] if lines else "ended with %d" % run.returncode))
    return run.stdout


class Node:
    """The state of this node. Shared with the threads that serve it over HTTP."""

    def __init__(self, address):
        self.address = address
        self.cassandra = None
        self.told_to_end = False
        self.spare = False
        self.turn = threading.Lock()

    @property
    def empty(self):
        data = os.path.join(DATA, "data")
        return not (os.path.isdir(data) and os.listdir(data))

    @property
    def state(self):
        """empty or partial: waits for its turn, without data or with the data of an unfinished join. joining: Cassandra runs
        and has not joined. restarting: joined before, and does not serve clients. joined: serves clients. left: was
        decommissioned, or is no member and has data. spare: is no member and has none."""
        if os.path.exists(LEFT) or self.spare:
            return "spare" if self.empty else "left"
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
            raise OSError("Cassandra accepts connections but does not answer requests")
        return {"live": True}

    def run(self, extra=()):
        """Runs Cassandra until it exits, and exits with its code."""
        if self.told_to_end:
            sys.exit(143)
        self.cassandra = subprocess.Popen(["cassandra", "-f"] + list(extra))
        threading.Thread(target=self.note, daemon=True).start()
        code = self.cassandra.wait()
        sys.exit(code if code >= 0 else 128 - code)

    def note(self):
        """Records that this node has joined once it serves clients; until then it must not be its own seed. Stops a node that left."""
        while not os.path.exists(LEFT):
            if not os.path.exists(JOINED) and serves_clients(self.address):
                write(JOINED)
            time.sleep(1)
        self.cassandra.terminate()

    def end(self, *_):
        """Handles SIGTERM."""
        self.told_to_end = True
        if self.cassandra is None:
            sys.exit(143)
        self.cassandra.terminate()


def write(path):
    """Creates an empty file that survives a power cut."""
    with open(path, "w") as file:
        os.fsync(file.fileno())
    sync_folder(os.path.dirname(path))


def sync_folder(path):
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def start_empty():
    """Removes the data of a node that left and is a member again: Cassandra refuses that data, and the other nodes have it."""
    for name in ("data", "commitlog", "hints", "saved_caches", "cdc_raw", "ops", ".backup"):
        shutil.rmtree(os.path.join(DATA, name), ignore_errors=True)
    for mark in (JOINED, STARTING, LEAVING, LEFT):
        if os.path.exists(mark):
            os.remove(mark)
        sync_folder(DATA)


def configure(seeds, copies, racks):
    """Writes the settings that change when a ring grows. The rendered configuration leaves them out: a change there restarts all nodes."""
    path = os.path.join(CONF, "cassandra.yaml")
    with open(path) as file:
        text = file.read()
    values = {"seeds": '"%s"' % ",".join(seeds), "default_keyspace_rf": copies, "allocate_tokens_for_local_replication_factor": racks}
    with open(path, "w") as file:
        file.write(with_values(text, values))
    return ["-Dcassandra.system_auth.default_rf=%d" % copies]


class Start:
    """Brings one node from the start of its container to the start of Cassandra."""

    def __init__(self, node, config, pod):
        self.node, self.config = node, config
        # In joining order; pods that are not configured as members come last.
        self.members = config["members"] + config.get("surplus", [])
        self.index = next(i for i, member in enumerate(self.members) if member["pod"] == pod)
        self.me = self.members[self.index]
        self.others = self.members[: self.index] + self.members[self.index + 1 :]
        self.said, self.said_at = None, 0.0

    def say(self, action, why):
        if (action, why) != self.said or time.monotonic() - self.said_at > 60:
            say("%s: %s" % (action, why))
            self.said, self.said_at = (action, why), time.monotonic()

    def racks(self):
        """The racks of our own datacenter."""
        return {each["rack"] for each in self.members if each.get("datacenter") == self.me.get("datacenter")}

    def look(self):
        return {each["pod"]: state_of(each["host"], self.config["service"], self.node.address) for each in self.others}

    def has_left(self):
        """Whether a started decommission has completed: then no member lists this node any more."""
        with open(LEAVING) as file:
            own = file.read().strip()
        ring, _ = self.ring(self.look())
        return bool(ring) and own not in [each["id"] for each in ring]

    def until_started(self):
        config, copies = self.config, self.config["copies"]
        if os.path.exists(LEAVING) and self.has_left():
            write(LEFT)
            sys.exit("node: left the ring")
        if os.path.exists(JOINED):
            self.until_room()
            say("joined before: starting")
            self.node.run(configure(config["seeds"], copies, min(copies, len(self.racks()))))
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
                self.join(time.monotonic() - since)
            time.sleep(config["intervalSeconds"])

    def until_room(self):
        """Waits here, not in the kubelet's back-off: you can free disk space with kubectl exec only while the container runs."""
        while True:
            disk = os.statvfs(DATA)
            why = no_room(disk.f_bavail * disk.f_frsize, DATA)
            if why is None:
                return
            self.say("wait", why)
            time.sleep(self.config["intervalSeconds"])

    def join(self, quiet):
        """Joins, or logs why it waits. If two nodes start to join at the same moment, they see each other, and the first in order joins."""
        with self.node.turn:
            now = self.look()
            before = [pod for pod in list(now)[: self.index] if now[pod] == "joining"]
            if before:
                return self.say("wait", "another node joins now: " + ", ".join(before))
            ring, why = self.ring(now)
            if ring is None:
                return self.say("wait", "no member reports the nodes of the ring: " + why)
            mates = {each["pod"]: now[each["pod"]] for each in self.others if each["rack"] == self.me["rack"]}
            try:
                addresses = set().union(*(resolve(each["host"]) for each in self.others))
            except OSError as error:
                return self.say("wait", "the name server does not answer: %s" % error)
            what, detail = place(self.me["rack"], ring, mates, addresses, self.node.address)
            if what == "wait":
                return self.say("wait", detail)
            if what == "take" and not os.path.exists(ACCEPTED):
                others = [{"rack": each["rack"], "state": now[each["pod"]]} for each in self.others]
                why = loss(ring, others, quiet, self.config, ACCEPTED)
                if why:
                    return self.say("wait", why)
            live = [each["host"] for each in self.others if now[each["pod"]] == "joined"]
            seeds = [seed for seed in self.config["seeds"] if seed != self.me["host"]] or live
            extra = configure(seeds, self.config["copies"], racks_to_allocate(self.me["rack"], ring, self.config))
            say("join: the ring exists")
            if what == "take":
                say("taking the place of the dead node %s" % detail)
                extra.append("-Dcassandra.replace_address_first_boot=" + detail)
            self.node.run(extra)

    def ring(self, states):
        """The nodes of the ring, as the first member that answers reports them; None and the reasons if none does."""
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


def read_config():
    with open(os.environ.get("NODE_CONFIG", "/scripts/node.json")) as file:
        return json.load(file)


def wait_until_wanted(node, pod):
    """Returns the configuration if this pod is a member. A pod that is no member starts Cassandra only while it is still in the ring."""
    while True:
        config = read_config()
        if any(each["pod"] == pod for each in config["members"]):
            node.spare = False
            if os.path.exists(LEFT):
                say("left the ring before and is a member again: removing its data to join as a new node")
                start_empty()
            return config
        if os.path.exists(JOINED) and not os.path.exists(LEFT):
            return config
        if not node.spare:
            node.spare = True
            say("wait: this pod is no member of the ring (membersPerRack); lower nodesPerRack to remove it")
        time.sleep(config["intervalSeconds"])


def main():
    node = Node(os.environ["POD_IP"])
    signal.signal(signal.SIGTERM, node.end)
    node.tell()
    try:
        pod = os.environ["POD_NAME"]
        Start(node, wait_until_wanted(node, pod), pod).until_started()
    except (Refused, OSError) as error:
        sys.exit("node: refusing to start: %s" % error)


if __name__ == "__main__":
    main()
