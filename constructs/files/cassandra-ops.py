"""Beside each Cassandra node: does what a ring needs now and then, one node at a time, by nodetool over loopback.

Each node repairs its primary ranges of every keyspace: without it, rows that were deleted while a node was away come back
once the mark of their deletion is dropped (gc_grace_seconds). What is decided stands in ops_decisions.py.

Port 7011 serves, to the ring and to who may scrape:
  GET /metrics      numbers for Prometheus, those of the last look: no scrape starts a nodetool
  GET /state        what this node does and wants, for the other nodes
The same state is in /tmp/status.json, for `kubectl exec`. Standard library only.
"""
import http.server
import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import ops_decisions as decisions

DATA = os.environ.get("DATA", "/var/lib/cassandra")
SCRIPTS = os.environ.get("SCRIPTS", "/scripts")
STATUS = os.environ.get("STATUS", "/tmp/status.json")
CQL, OPS = 9042, 7011


def sync_folder(path):
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def listening(address, port):
    try:
        with socket.create_connection((address, port), timeout=3):
            return True
    except OSError:
        return False


class Ops:
    """What this container knows and tells; modules add to it (OPS_MODULES)."""

    def __init__(self):
        self.pod, self.address, self.data = os.environ["POD_NAME"], os.environ["POD_IP"], DATA
        self.memory_file = os.path.join(DATA, "ops", "state.json")
        self.memory = self.read(self.memory_file) or {}
        self.state = {"pod": self.pod, "turn": {"state": "none"}, "doing": None, "waits": "the first look"}
        self.metrics, self.look = {}, None
        self.guard, self.one_java = threading.RLock(), threading.Lock()
        self.said = {}

    # What a module may use.

    def say(self, text, topic="ops"):
        """Logs a line, once until it changes."""
        if self.said.get(topic) != text:
            self.said[topic] = text
            print("%s: %s" % (topic, text), flush=True)

    def nodetool(self, *arguments, seconds=600, beside=False):
        """What nodetool prints. Each is a Java of its own: one at a time, but for the one long one that runs `beside`."""
        lock = threading.Lock() if beside else self.one_java
        with lock:
            try:
                run = subprocess.run(
                    ["nodetool"] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=seconds
                )
            except subprocess.TimeoutExpired as error:
                raise OSError("nodetool %s: no end after %d s" % (arguments[0], seconds)) from error
        if run.returncode != 0:
            lines = [line for line in run.stdout.strip().splitlines() if not re.match(r"\s+at |See '|--", line)]
            raise OSError("nodetool %s: %s" % (arguments[0], lines[-1] if lines else "ended with %d" % run.returncode))
        return run.stdout

    def keyspaces(self):
        """Replication by name, of every keyspace that is not each node's own."""
        return decisions.parse_keyspaces(self.nodetool("describecluster"))

    def config(self):
        return self.read(os.path.join(SCRIPTS, "ops.json"))

    def node(self):
        return self.read(os.path.join(SCRIPTS, "node.json"))

    def metric(self, name, value, help_text, **labels):
        """Sets a gauge; None removes it."""
        key = (name, tuple(sorted(labels.items())))
        with self.guard:
            if value is None:
                self.metrics.pop(key, None)
            else:
                self.metrics[key] = (value, help_text)

    def tell(self, **what):
        """Sets keys of the state."""
        with self.guard:
            self.state.update(what, time=int(time.time()))
            text = json.dumps(self.state)
            with open(STATUS + ".new", "w") as file:
                file.write(text)
            os.replace(STATUS + ".new", STATUS)

    def write(self, path, text):
        """A file that is old or new, whatever is cut off."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)
        sync_folder(os.path.dirname(path))

    @staticmethod
    def read(path):
        try:
            with open(path) as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            return None

    # Its own.

    def remember(self, **what):
        self.memory.update(what)
        self.write(self.memory_file, json.dumps(self.memory))

    def serve(self):
        ops = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with ops.guard:
                    found = {"/metrics": lambda: decisions.metrics_text(ops.metrics), "/state": lambda: json.dumps(ops.state)}.get(self.path)
                    body = found and found().encode()
                if body is None:
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4" if self.path == "/metrics" else "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                return self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((self.address, OPS), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def peers(self, node):
        """What the other pods tell; None for one that does not answer."""
        found = {}
        for each in node["members"]:
            if each["pod"] == self.pod:
                continue
            try:
                with urllib.request.urlopen("http://%s:%d/state" % (each["host"], OPS), timeout=5) as answer:
                    found[each["pod"]] = json.load(answer)
            except (OSError, ValueError):
                found[each["pod"]] = None
        return found

    def see(self):
        """Looks at the ring and at this node, and tells what it saw."""
        look = {"at": time.time(), "ring": self.ring(), "keyspaces": self.keyspaces()}
        compactions = re.search(r"pending tasks: (\d+)", self.nodetool("compactionstats"))
        streams = len(re.findall(r"^\s+(?:Receiving|Sending) \d+ files", self.nodetool("netstats"), re.M))
        hints = os.path.join(self.data, "hints")
        hint_bytes = sum(entry.stat().st_size for entry in os.scandir(hints)) if os.path.isdir(hints) else 0
        disk = shutil.disk_usage(self.data)
        pending = {"compactions": int(compactions[1]) if compactions else 0, "streams": streams, "hintBytes": hint_bytes}
        self.look = look
        self.tell(pending=pending, disk={"free": disk.free, "total": disk.total}, looked=int(time.time()))
        for name, (value, text) in {
            "compactions_pending": (pending["compactions"], "Compactions that wait."),
            "streams": (streams, "Transfers of files between this node and others."),
            "hint_bytes": (hint_bytes, "Writes kept for nodes that are away."),
        }.items():
            self.metric("collab_cassandra_" + name, value, text)
        self.tell_repairs()

    def ring(self):
        ring = decisions.parse_status(self.nodetool("status"))
        self.tell(ring=ring)
        self.metric("collab_cassandra_ring_nodes", len(ring), "Nodes that this node knows.")
        self.metric("collab_cassandra_ring_nodes_up", sum(each["up"] for each in ring), "Nodes of them that are up.")
        return ring

    def tell_repairs(self):
        config, now = self.config(), time.time()
        repairs = {keyspace: self.memory.get("repairs", {}).get(keyspace, {}) for keyspace in self.look["keyspaces"]}
        due, overdue = (
            judge(self.memory, self.look["keyspaces"], config, now) for judge in (decisions.due_repairs, decisions.overdue_repairs)
        )
        self.tell(repairs=repairs, due=due, overdue=overdue, repairSeconds=config["repairSeconds"])
        name, text = "collab_cassandra_repair_last_success_timestamp_seconds", "Begin of this node's last repair that succeeded; 0 for none."
        for keyspace, each in repairs.items():
            self.metric(name, each.get("last", 0), text, keyspace=keyspace)
            self.metric("collab_cassandra_repair_failures", each.get("failures", 0), "Repairs that failed since then.", keyspace=keyspace)
        self.metric("collab_cassandra_repairs_due", len(due), "Keyspaces that wait for their repair on this node.")
        self.metric("collab_cassandra_repairs_overdue", len(overdue), "Keyspaces whose repair is late.")

    def watch(self):
        """Looks now and then, also while an operation runs for hours."""
        while True:
            try:
                if listening(self.address, CQL):
                    self.see()
            except OSError as error:
                self.say(str(error), "look")
            time.sleep(self.config()["lookSeconds"])

    def repair(self, keyspace):
        began = int(time.time())
        repairs = dict(self.memory.get("repairs", {}))
        before = repairs.get(keyspace, {})
        try:
            self.nodetool("repair", "--full", "--partitioner-range", keyspace, seconds=self.config()["limitSeconds"], beside=True)
            repairs[keyspace] = {"last": began, "ended": int(time.time()), "failures": 0}
        except OSError as error:
            failures = before.get("failures", 0) + 1
            repairs[keyspace] = dict(before, failures=failures, failedAt=int(time.time()), error=str(error))
            raise
        finally:
            self.remember(repairs=repairs)
            self.tell_repairs()

    def step(self):
        """One operation, if one is wanted and may begin. Returns what it waits for."""
        if self.look is None or not listening(self.address, CQL):
            return "Cassandra does not serve clients"
        config, node = self.config(), self.node()
        if "since" not in self.memory:
            self.remember(since=int(time.time()))
        operation = decisions.wanted(self.memory, self.look, config, time.time())
        if operation is None:
            return None
        if time.time() - self.look["at"] > config["freshSeconds"]:
            self.look = dict(self.look, at=time.time(), ring=self.ring())
        why = decisions.hindrance(self.look, self.peers(node), node)
        if why is not None:
            return why
        pods = [each["pod"] for each in node["members"]]
        why = self.take_turn([1, pods.index(self.pod)], node)
        if why is not None:
            return why
        kind, about = operation
        self.say("%s %s" % (kind, about))
        self.tell(doing="%s %s" % (kind, about), waits=None)
        self.metric("collab_cassandra_operation", 1, "An operation that runs on this node.", kind=kind)
        try:
            getattr(self, kind)(about)
            self.say("%s %s: done" % (kind, about))
        finally:
            self.metric("collab_cassandra_operation", None, "", kind=kind)
            self.tell(doing=None, turn={"state": "none"})
        return None

    def take_turn(self, rank, node):
        """Returns None with the turn taken, or why another has it."""
        self.tell(turn={"state": "wants", "rank": rank})
        while True:
            peers = self.peers(node)
            silent = sorted(pod for pod, state in peers.items() if state is None)
            answer = "release" if silent else decisions.turn(rank, peers)
            if answer == "run":
                self.tell(turn={"state": "runs", "rank": rank})
                return None
            if answer == "release":
                self.tell(turn={"state": "none"})
                busy = sorted(pod for pod, state in peers.items() if state is None or state["turn"]["state"] != "none")
                return "another node has its turn: " + ", ".join(busy)
            time.sleep(1)

    def run(self):
        self.tell()
        self.serve()
        for module in filter(None, os.environ.get("OPS_MODULES", "").split(",")):
            importlib.import_module(module).start(self)
        threading.Thread(target=self.watch, daemon=True).start()
        while True:
            try:
                why = self.step()
            except OSError as error:
                why = str(error)
            if why is not None:
                self.say("waits: " + why)
            self.tell(waits=why)
            time.sleep(self.config()["intervalSeconds"])


if __name__ == "__main__":
    # As process 1 it would ignore the signal.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Ops().run()
