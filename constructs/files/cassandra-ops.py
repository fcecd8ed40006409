"""Runs beside each Cassandra node: maintains the ring, one node at a time, with nodetool over loopback.

- Repairs the primary ranges of its node in every keyspace. Without repair, rows that were deleted while a node was down return
  once their tombstones are dropped (gc_grace_seconds).
- Removes rows whose ranges a new node has taken (cleanup), and rewrites files of an older version (upgradesstables).
- Takes its node out of the ring (decommission) when node.json no longer has it as a member, and marks the volume.
The decisions are in ops_decisions.py.

Standard library only.
"""
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

import ops_decisions as decisions
from joining import parse_status
from ops_telling import Telling

DATA = os.environ.get("DATA", "/var/lib/cassandra")
SCRIPTS = os.environ.get("SCRIPTS", "/scripts")
CQL = 9042
# node.py reads these files: LEAVING contains the host ID of a node whose decommission was started.
JOINED, LEAVING, LEFT = (os.path.join(DATA, name) for name in ("joined", "leaving", "left"))


def sync_folder(path):
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def described(error):
    return str(error) if isinstance(error, OSError) else "%s: %s" % (type(error).__name__, error)


def listening(address, port):
    try:
        with socket.create_connection((address, port), timeout=3):
            return True
    except OSError:
        return False


class Ops(Telling):
    """State and operations of this container; modules can extend it (OPS_MODULES)."""

    def __init__(self):
        super().__init__(os.environ["POD_NAME"], os.environ["POD_IP"])
        self.data = DATA
        self.memory_file = os.path.join(DATA, "ops", "state.json")
        self.memory = self.read(self.memory_file) or {}
        # A decommission continues without ops, so no other node may start an operation meanwhile.
        leaving = os.path.exists(LEAVING) and not os.path.exists(LEFT)
        self.state.update(address=self.address, turn={"state": "runs" if leaving else "none"}, doing=None, waits="the first look", inRing=True)
        self.look, self.release, self.operations, self.one_java = None, None, 0, threading.Lock()

    # Methods for modules, besides those of Telling.

    def nodetool(self, *arguments, seconds=600, beside=False):
        """Output of nodetool. Each call is a Java process: one at a time, except one long call that runs `beside`."""
        lock = threading.Lock() if beside else self.one_java
        with lock:
            try:
                run = subprocess.run(
                    ["nodetool"] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=seconds
                )
            except subprocess.TimeoutExpired as error:
                raise OSError("nodetool %s did not end within %d s" % (arguments[0], seconds)) from error
        if run.returncode != 0:
            lines = [line for line in run.stdout.strip().splitlines() if not re.match(r"\s+at |See '|--", line)]
            raise OSError("nodetool %s: %s" % (arguments[0], lines[-1] if lines else "ended with %d" % run.returncode))
        return run.stdout

    def keyspaces(self):
        """Replication by keyspace, without local keyspaces."""
        return decisions.parse_keyspaces(self.nodetool("describecluster"))

    def config(self):
        return self.read(os.path.join(SCRIPTS, "ops.json"))

    def node(self):
        return self.read(os.path.join(SCRIPTS, "node.json"))

    def write(self, path, text):
        """Replaces a file atomically."""
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

    # Methods for this class only.

    def remember(self, **what):
        self.memory.update(what)
        self.write(self.memory_file, json.dumps(self.memory))

    def see(self):
        """Inspects the ring and this node, and publishes the result."""
        if self.release is None:
            self.release = self.nodetool("version").split()[-1]
            self.tell(release=self.release)
        look = {"at": time.time(), "release": self.release, "ring": self.ring(), "keyspaces": self.keyspaces()}
        compactions = re.search(r"pending tasks: (\d+)", self.nodetool("compactionstats"))
        streams = len(re.findall(r"^\s+(?:Receiving|Sending) \d+ files", self.nodetool("netstats"), re.M))
        hints = os.path.join(self.data, "hints")
        hint_bytes = sum(entry.stat().st_size for entry in os.scandir(hints)) if os.path.isdir(hints) else 0
        disk = shutil.disk_usage(self.data)
        pending = {"compactions": int(compactions[1]) if compactions else 0, "streams": streams, "hintBytes": hint_bytes}
        self.look = look
        self.tell(pending=pending, disk={"free": disk.free, "total": disk.total}, looked=int(time.time()))
        for name, (value, text) in {
            "compactions_pending": (pending["compactions"], "Compactions that are pending."),
            "streams": (streams, "Transfers of files between this node and others."),
            "hint_bytes": (hint_bytes, "Stored hints: writes for nodes that are down."),
        }.items():
            self.metric("collab_cassandra_" + name, value, text)
        self.tell_repairs()

    def ring(self):
        ring = parse_status(self.nodetool("status"))
        self.tell(ring=ring)
        self.metric("collab_cassandra_ring_nodes", len(ring), "Nodes that this node knows.")
        self.metric("collab_cassandra_ring_nodes_up", sum(each["up"] for each in ring), "Nodes of the ring that are up.")
        return ring

    def tell_repairs(self):
        config, now = self.config(), time.time()
        repairs = {keyspace: self.memory.get("repairs", {}).get(keyspace, {}) for keyspace in self.look["keyspaces"]}
        due, overdue = (
            judge(self.memory, self.look["keyspaces"], config, now) for judge in (decisions.due_repairs, decisions.overdue_repairs)
        )
        self.tell(repairs=repairs, due=due, overdue=overdue, repairSeconds=config["repairSeconds"])
        name, text = "collab_cassandra_repair_last_success_timestamp_seconds", "Start of this node's last successful repair; 0 for none."
        for keyspace, each in repairs.items():
            self.metric(name, each.get("last", 0), text, keyspace=keyspace)
            self.metric("collab_cassandra_repair_failures", each.get("failures", 0), "Failed repairs since the last successful one.", keyspace=keyspace)
        self.metric("collab_cassandra_repairs_due", len(due), "Keyspaces whose repair is due on this node.")
        self.metric("collab_cassandra_repairs_overdue", len(overdue), "Keyspaces whose repair is late.")

    def tell_clocks(self):
        """Also while Cassandra does not start: a wrong clock may be the reason."""
        ahead = {pod: state["ahead"] for pod, state in self.peers(self.node()).items() if state is not None}
        most = max(map(abs, ahead.values()), default=0)
        self.metric("collab_cassandra_clock_difference_seconds", most, "Largest difference between the clocks of this node and of another one.")
        self.say(decisions.clock_problem(ahead) or "equal to those of the other nodes", "clock")

    def watch(self):
        """Inspects periodically, also while an operation runs for hours."""
        looked = None
        while True:
            config = self.config()
            try:
                self.tell_clocks()
                if listening(self.address, CQL) and (self.look is None or time.monotonic() - looked >= config["lookSeconds"]):
                    self.see()
                    looked = time.monotonic()
            except Exception as error:  # The next inspection may succeed.
                self.say(described(error), "look")
            time.sleep(config["intervalSeconds"])

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

    def cleanup(self, _):
        seen = self.cleaned()
        self.nodetool("cleanup", "-j", "1", seconds=self.config()["limitSeconds"], beside=True)
        self.remember(**seen)

    def cleaned(self):
        """What a cleanup covered: the joined nodes and the replication factors at that time."""
        copies = {name: decisions.copies_of(each) for name, each in self.look["keyspaces"].items()}
        return {"cleaned": [each["id"] for each in self.look["ring"]], "copies": copies}

    def upgradesstables(self, release):
        self.nodetool("upgradesstables", seconds=self.config()["limitSeconds"], beside=True)
        self.remember(release=release)

    def decommission(self, _):
        own = next(each["id"] for each in self.look["ring"] if each["address"] == self.address)
        self.write(LEAVING, own)
        self.nodetool(*decisions.decommission(self.look), seconds=self.config()["limitSeconds"], beside=True)
        self.leave_on()

    def leave_on(self):
        """Continues a started decommission. Returns the reason to wait; None if the decommission must be started again."""
        mode = re.search(r"^Mode: (\w+)", self.nodetool("netstats"), re.M)
        if mode and mode[1] == "DECOMMISSIONED":
            self.write(LEFT, "")
            self.say("left the ring")
            return "left the ring"
        if mode and mode[1] == "LEAVING":
            return "leaves the ring"
        return None

    def away(self, node):
        """Why this node must not run operations, or None."""
        if os.path.exists(LEFT):
            # It may return as a new, empty node.
            self.memory, self.look = {}, None
            self.tell(inRing=False, turn={"state": "none"}, ring=[], repairs={}, due=[], overdue=[])
            return "left the ring"
        if os.path.exists(LEAVING):
            why = self.leave_on()
            if why is None and not decisions.is_surplus(node, self.pod):
                os.remove(LEAVING)
            self.tell(turn={"state": "runs" if why == "leaves the ring" else "none"})
            return why
        self.tell(inRing=os.path.exists(JOINED))
        return None

    def begin(self):
        """Records cleanup and upgrade as done on a new node, which has no foreign rows and no files of an older version."""
        new = time.time() - os.stat(JOINED).st_mtime < 3600
        self.remember(since=int(time.time()), **(dict(self.cleaned(), release=self.release) if new else {}))

    def step(self):
        """Runs one operation if one is due and may start. Returns the reason to wait."""
        node = self.node()
        why = self.away(node)
        if why is not None:
            return why
        if self.look is None or not listening(self.address, CQL):
            return "Cassandra does not serve clients"
        if "since" not in self.memory:
            self.begin()
        config, pods = self.config(), [each["pod"] for each in node["members"] + node.get("surplus", [])]
        operations = decisions.wanted(self.memory, self.look, node, self.pod, config, time.time())
        if not operations:
            return None
        if time.time() - self.look["at"] > config["freshSeconds"]:
            self.look = dict(self.look, at=time.time(), ring=self.ring(), keyspaces=self.keyspaces())
        peers = self.peers(node)
        why = decisions.hindrance(self.look, peers, node)
        stays = operations[0][0] == "decommission" and why is None and decisions.stays(self.look, peers, node, self.pod, self.address)
        if stays:
            self.say(stays, "decommission")
            operations, why = operations[1:], None if operations[1:] else stays
        if why is not None:
            return why
        kind, about = operations[0]
        # A node that leaves comes first: until then the ring differs from the configuration.
        why = self.take_turn([0 if kind == "decommission" else 1, pods.index(self.pod)], node)
        if why is None:
            self.operate(kind, about)
        return why

    def operate(self, kind, about):
        doing = kind if about is None else "%s %s" % (kind, about)
        self.say(doing)
        self.tell(doing=doing, waits=None)
        self.metric("collab_cassandra_operation", 1, "An operation that runs on this node.", kind=kind)
        try:
            getattr(self, kind)(about)
            self.operations += 1
            self.say(doing + ": done")
        finally:
            self.metric("collab_cassandra_operation", None, "", kind=kind)
            self.tell(doing=None, turn={"state": "none"})

    def take_turn(self, rank, node):
        """Takes the turn and returns None, or returns why another node has it."""
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
            before = self.operations
            try:
                why = self.step()
            except Exception as error:  # The next round may succeed.
                why = described(error)
            self.say("nothing to do" if why is None else "waits: " + why)
            self.tell(waits=why)
            # Pauses after an operation, so that other nodes get their turn.
            time.sleep(1 if self.operations > before else self.config()["intervalSeconds"])


if __name__ == "__main__":
    # Process 1 ignores a signal without a handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Ops().run()
