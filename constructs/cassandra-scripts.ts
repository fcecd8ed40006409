/** Scripts that run in the official image, which holds python3 because cqlsh needs it. Standard library only. */

/**
 * Starts one node of the ring. A node that seeds itself does not bootstrap, so exactly one may, once; the others join one
 * at a time, because Cassandra refuses two bootstraps at once; and an empty node of an existing ring takes the place of
 * its dead predecessor instead of becoming one more. What is decided stands apart from what is done.
 */
export const NODE_SCRIPT = `import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

DATA = os.environ.get("DATA", "/var/lib/cassandra")
CONF = os.environ.get("CASSANDRA_CONF", "/etc/cassandra")
JOINED = os.path.join(DATA, "joined")
STARTING = os.path.join(DATA, "starting-the-ring")
CQL, ANNOUNCE = 9042, 7010


def say(message):
    print("node: " + message, flush=True)


# What to do next. 'states' tells for every other member, in joining order, whether it is joined, empty (it waits and says
# that it holds nothing), absent (no such pod) or silent (a pod that does not answer, or a name server that does not).
# A pod that is absent may hold data all the same: for such a one the first node waits longer, in case it only comes late.
def decide(index, empty, starting, states, quiet, config):
    others = list(states.items())
    if any(state == "joined" for _, state in others):
        earlier = [pod for pod, state in others[:index] if state != "joined"]
        if earlier:
            return "wait", "the ring exists; nodes join one at a time, before this one: " + ", ".join(earlier)
        return "join", "the ring exists"
    if index > 0:
        return "wait", "the first node of the first rack starts the ring"
    if starting:
        return "start", "this node began to start the ring before"
    if not empty:
        return "wait", "this node holds data of a ring that it has not joined; no other member answers"
    silent = [pod for pod, state in others if state == "silent"]
    if silent:
        return "wait", "a new ring may start only when nobody holds data; no answer from: " + ", ".join(silent)
    absent = [pod for pod, state in others if state == "absent"]
    if absent and quiet < config["absentSeconds"]:
        return "wait", "a new ring starts when %d s have passed without a sign of: %s" % (config["absentSeconds"], ", ".join(absent))
    if quiet < config["quietSeconds"]:
        return "wait", "nobody holds data; waiting %d s to be sure" % config["quietSeconds"]
    return "start", "nobody holds data: this is a new ring"


# The address that this node takes over: a member of its rack at an address that no pod has.
def predecessor(rack, peers, addresses):
    dead = sorted(peer["peer"] for peer in peers if peer["rack"] == rack and peer["peer"] not in addresses)
    if len(dead) > 1:
        raise LookupError("%d dead nodes in rack %s (%s): which one this replaces cannot be told; remove the others with nodetool removenode" % (len(dead), rack, ", ".join(dead)))
    return dead[0] if dead else None


# None where there is no such name; an error where the name server does not answer, which says nothing about the pod.
def resolve(host):
    try:
        return socket.gethostbyname(host)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return None
        raise


def answers(address, port):
    try:
        with socket.create_connection((address, port), timeout=3) as connection:
            connection.settimeout(3)
            return connection.recv(16) if port == ANNOUNCE else b"open"
    except OSError:
        return None


# A missing name means a missing pod only while this pod's own name is there.
def state_of(host, me):
    try:
        address = resolve(host)
        if address is None:
            return "absent" if resolve(me) == os.environ["POD_IP"] else "silent"
    except OSError:
        return "silent"
    if answers(address, CQL):
        return "joined"
    return "empty" if answers(address, ANNOUNCE) == b"EMPTY\\n" else "silent"


def announce(address):
    server = socket.create_server((address, ANNOUNCE))

    def serve():
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"EMPTY\\n")

    threading.Thread(target=serve, daemon=True).start()


# A password stands in no argument: cqlsh reads it from a file that only we can read.
def cqlsh(host, user, password, statement):
    with tempfile.NamedTemporaryFile("w", suffix=".credentials") as file:
        file.write("[PlainTextAuthProvider]\\nusername = %s\\npassword = %s\\n" % (user, password))
        file.flush()
        command = ["cqlsh", host, str(CQL), "--credentials", file.name, "--connect-timeout", "10", "-e", statement]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    if run.returncode != 0:
        raise LookupError(run.stderr.strip().splitlines()[-1] if run.stderr.strip() else "cqlsh ended with %d" % run.returncode)
    return [json.loads(line) for line in run.stdout.splitlines() if line.strip().startswith("{")]


def ask_ring(hosts):
    reasons = []
    for host in hosts:
        for user, password in (("admin", os.environ["ADMIN_PASSWORD"]), ("cassandra", "cassandra")):
            try:
                return cqlsh(host, user, password, "SELECT JSON peer, rack FROM system.peers_v2")
            except (LookupError, ValueError, subprocess.TimeoutExpired) as error:
                reasons.append("%s as %s: %s" % (host, user, error))
    raise LookupError("no member tells who is in the ring: " + "; ".join(reasons))


def start(seeds, extra=()):
    path = os.path.join(CONF, "cassandra.yaml")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(re.sub(r"(?m)^(\\s*- seeds:).*$", lambda match: '%s "%s"' % (match.group(1), ",".join(seeds)), text))
    if not os.path.exists(JOINED):
        subprocess.Popen([sys.executable, os.path.abspath(__file__), "watch"])
    os.execvp("cassandra", ["cassandra", "-f"] + list(extra))


# Notes that this node has joined, once it serves clients. Until then it must never seed itself.
def watch():
    while not answers(os.environ["POD_IP"], CQL):
        time.sleep(1)
    with open(JOINED, "w") as file:
        os.fsync(file.fileno())


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with open(os.environ.get("NODE_CONFIG", "/scripts/node.json")) as file:
        config = json.load(file)
    members, seeds = config["members"], config["seeds"]
    index = next(i for i, member in enumerate(members) if member["pod"] == os.environ["POD_NAME"])
    me, others = members[index], members[:index] + members[index + 1 :]
    if os.path.exists(JOINED):
        say("joined before: starting")
        start(seeds)
    data = os.path.join(DATA, "data")
    empty = not (os.path.isdir(data) and os.listdir(data))
    if empty:
        announce(os.environ["POD_IP"])
    said, said_at, seen, since = None, 0.0, None, time.monotonic()
    while True:
        states = {member["pod"]: state_of(member["host"], me["host"]) for member in others}
        if states != seen:
            seen, since = states, time.monotonic()
        action, why = decide(index, empty, os.path.exists(STARTING), states, time.monotonic() - since, config)
        if (action, why) != said or time.monotonic() - said_at > 60:
            say("%s: %s" % (action, why))
            said, said_at = (action, why), time.monotonic()
        if action == "start":
            with open(STARTING, "w") as file:
                os.fsync(file.fileno())
            start([me["host"]])
        if action == "join":
            live = [member["host"] for member in others if states[member["pod"]] == "joined"]
            try:
                dead = predecessor(me["rack"], ask_ring(live), {resolve(member["host"]) for member in others})
            except (LookupError, OSError) as error:
                sys.exit("node: refusing to join: %s" % error)
            if dead:
                say("taking the place of the dead node %s" % dead)
            extra = ["-Dcassandra.replace_address_first_boot=" + dead] if dead else []
            start([seed for seed in seeds if seed != me["host"]] or live, extra)
        time.sleep(config["intervalSeconds"])


if __name__ == "__main__":
    watch() if sys.argv[1:] == ["watch"] else main()
`;

/**
 * Brings roles and keyspaces to what schema.cql says. May run any number of times. Passwords come from the environment
 * and go into a file that only this process can read.
 */
export const SCHEMA_SCRIPT = `import os
import re
import subprocess
import sys
import tempfile
import time

HOST = os.environ["CASSANDRA_HOST"]
PORT = os.environ.get("CASSANDRA_PORT", "9042")
FILES = os.environ.get("SCHEMA", "/schema")
deadline = time.monotonic() + float(os.environ.get("WAIT_SECONDS", "900"))


def private(text):
    file = tempfile.NamedTemporaryFile("w", delete=False)
    file.write(text)
    file.close()
    return file.name


def run(user, password, cql):
    credentials = private("[PlainTextAuthProvider]\\nusername = %s\\npassword = %s\\n" % (user, password))
    statements = private(cql)
    try:
        command = ["cqlsh", HOST, PORT, "--credentials", credentials, "--connect-timeout", "10", "--request-timeout", "60", "-f", statements]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    finally:
        os.remove(credentials)
        os.remove(statements)


def template(name):
    with open(os.path.join(FILES, name)) as file:
        return re.sub(r"@([A-Z0-9_]+)@", lambda match: os.environ[match.group(1)], file.read())


def logged_in(user, password):
    return run(user, password, "SELECT release_version FROM system.local;").returncode == 0


admin = ("admin", os.environ["ADMIN_PASSWORD"])
while not logged_in(*admin):
    if logged_in("cassandra", "cassandra"):
        print("first start: making the admin role", flush=True)
        print(run("cassandra", "cassandra", template("admin.cql")).stdout, flush=True)
    elif time.monotonic() > deadline:
        sys.exit("gave up: neither admin nor the default superuser can log in at %s:%s" % (HOST, PORT))
    else:
        print("waiting for the ring to take logins", flush=True)
    time.sleep(5)
while True:
    done = run(*admin, template("schema.cql"))
    if done.returncode == 0:
        print("roles and keyspaces are as schema.cql says")
        break
    print(done.stdout, flush=True)
    if time.monotonic() > deadline:
        sys.exit("gave up: schema.cql was not taken")
    time.sleep(5)
`;
