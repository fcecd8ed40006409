"""Decisions of the container `ops` beside a Cassandra node. Pure: no request, no wait, no file.

Names: 'memory' is the state that ops keeps on the data volume, 'look' the last output of nodetool, 'peers' the answers of the
other pods on port 7011: {pod: state or None if the pod does not answer}. Times are seconds since 1970.
"""
import re

# Keyspaces that Cassandra itself creates, with 2 or 3 replicas for any number of nodes.
INTERNAL = ("system_distributed", "system_traces")
# A new ring has no deleted rows yet, so its first repair can wait.
FIRST_SECONDS = 3600
# Cassandra drops a write that looks older than 2 s, and every other message a little later.
CLOCK_SECONDS = 2


def parse_keyspaces(text):
    """Replication by keyspace, from the output of `nodetool describecluster`, without local keyspaces of each node."""
    found = {}
    for each in text.splitlines():
        match = re.fullmatch(r"\s*(\w+) -> Replication class: (\w+)(?: \{(.*)\})?\s*", each)
        if match and match[2] != "LocalStrategy":
            options = dict(part.strip().split("=") for part in (match[3] or "").split(",") if "=" in part)
            found[match[1]] = dict(options, **{"class": match[2]})
    return found


def copies_of(replication):
    """Replication factor of a keyspace; with several datacenters, the largest one."""
    return max([int(value) for key, value in replication.items() if key != "class"] or [1])


def last_repair(memory, keyspace):
    """Start of the last successful repair. Deletions after it are not covered."""
    return memory.get("repairs", {}).get(keyspace, {}).get("last")


def due_repairs(memory, keyspaces, config, now):
    """Keyspaces to repair, the longest overdue first. A failed repair is retried after a pause; a new keyspace can wait."""
    repairs, since = memory.get("repairs", {}), memory.get("since", now)
    due = []
    for keyspace in keyspaces:
        last, tried = last_repair(memory, keyspace), repairs.get(keyspace, {}).get("failedAt") or 0
        is_due = now - last >= config["repairSeconds"] if last else now - since >= min(FIRST_SECONDS, config["repairSeconds"])
        if is_due and now - tried >= config["retrySeconds"]:
            due.append((last or 0, keyspace))
    return [keyspace for _, keyspace in sorted(due)]


def overdue_repairs(memory, keyspaces, config, now):
    """Keyspaces whose last repair is older than one and a half times the interval."""
    since = memory.get("since", now)
    return sorted(each for each in keyspaces if now - (last_repair(memory, each) or since) > 1.5 * config["repairSeconds"])


def wanted(memory, look, node, pod, config, now):
    """Operations for this node, as (kind, object), most urgent first. The first one that may start runs."""
    ids = [each["id"] for each in look["ring"]]
    found = [("decommission", None)] if is_surplus(node, pod) else []
    if look["release"] != memory.get("release"):
        found.append(("upgradesstables", look["release"]))
    # New nodes took over ranges of this node, but the rows are still on its disk. The same holds after a lower replication factor.
    copies = memory.get("copies", {})
    fewer = any(copies_of(each) < copies.get(name, 0) for name, each in look["keyspaces"].items())
    if fewer or not set(ids) <= set(memory.get("cleaned", [])):
        found.append(("cleanup", None))
    return found + [("repair", keyspace) for keyspace in due_repairs(memory, look["keyspaces"], config, now)[:1]]


def is_surplus(node, pod):
    """Whether a pod runs that is no longer a member."""
    return any(each["pod"] == pod for each in node.get("surplus", []))


def hindrance(look, peers, node):
    """Why no operation may start; None when it may start. Every operation needs all replicas of its data."""
    silent = sorted(pod for pod, state in peers.items() if state is None)
    if silent:
        return "these pods do not answer: " + ", ".join(silent)
    unwell = sorted(each["address"] for each in look["ring"] if not each["up"] or each["mode"] != "N")
    if unwell:
        return "these nodes are not up and normal: " + ", ".join(unwell)
    if len(look["ring"]) < len(node["members"]):
        return "the ring has %d nodes and should have %d" % (len(look["ring"]), len(node["members"]))
    others = sorted(pod for pod, state in peers.items() if state.get("inRing", True) and state.get("release") != look["release"])
    if others:
        return "these pods run another release than %s, or have not reported theirs: %s" % (look["release"], ", ".join(others))
    return None


def clock_problem(ahead):
    """Why wrong clocks separate this node from others; None if the clocks agree. 'ahead' has seconds by pod."""
    # Rounded, so that a log does not repeat the same with 599 and 600 s.
    off = {pod: round(seconds, -1) if abs(seconds) > 10 else seconds for pod, seconds in sorted(ahead.items()) if abs(seconds) > CLOCK_SECONDS}
    if not off:
        return None
    return (
        "these clocks differ from this pod's: %s; Cassandra drops messages that are older than their timeout, so these nodes do not see each"
        " other as up; allowed: %d s; compare the nodes' clocks with: talosctl time"
        % (", ".join("%s (%+d s)" % each for each in off.items()), CLOCK_SECONDS)
    )


def stays(look, peers, node, pod, address):
    """Why this removed member may not leave the ring yet; None when it may leave. The last node of a rack leaves first."""
    order = {each["pod"]: (-int(each["pod"].rsplit("-", 1)[1]), index) for index, each in enumerate(node["surplus"])}
    before = sorted(each for each in order if each != pod and order[each] < order[pod] and peers[each].get("inRing", True))
    if before:
        return "these nodes leave the ring first: " + ", ".join(before)
    left = len(look["ring"]) - 1
    for keyspace, replication in sorted(look["keyspaces"].items()):
        if keyspace not in INTERNAL and copies_of(replication) > left:
            return "%s has %d replicas, but only %d nodes would remain: lower its replicas first" % (keyspace, copies_of(replication), left)
    rack = next(each["rack"] for each in node["surplus"] if each["pod"] == pod)
    load = next((each["load"] for each in look["ring"] if each["address"] == address), None)
    if load is None:
        return "the load of this node is not known yet"
    # Any of these nodes may receive most of the data, and compaction needs space for old and new files.
    for each in node["members"]:
        free = each["rack"] == rack and peers[each["pod"]].get("disk", {}).get("free", 0)
        if free is not False and free < 1.5 * load:
            return "%s has %d MiB free but needs %d, one and a half times the load of this node" % (each["pod"], free >> 20, 1.5 * load / 2**20)
    return None


def decommission(look):
    """Arguments for nodetool. Cassandra's own keyspaces have 3 replicas on any ring, which must not block the last nodes."""
    too_many = any(copies_of(look["keyspaces"][each]) > len(look["ring"]) - 1 for each in INTERNAL if each in look["keyspaces"])
    return ["decommission"] + (["--force"] if too_many else [])


def turn(mine, peers):
    """What this node may do with the operation that it announced: "run", "hold" (ask again soon) or "release" (give way).

    Each node announces its rank before it reads those of the others, so of two nodes at least one sees the other. The lower
    rank gives way, and the higher waits until it has: two never run at once. A dead pod holds no turn.
    """
    others = [state["turn"] for state in peers.values()]
    if any(each["state"] == "runs" for each in others):
        return "release"
    wanting = [each["rank"] for each in others if each["state"] == "wants"]
    if any(rank < mine for rank in wanting):
        return "release"
    return "hold" if wanting else "run"


def metrics_text(metrics):
    """Formats {(name, ((label, value), ...)): (number, help)} as text for Prometheus."""
    escaped = lambda value: str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    lines, described = [], set()
    for (name, labels), (value, help_text) in sorted(metrics.items()):
        if name not in described:
            lines += ["# HELP %s %s" % (name, help_text), "# TYPE %s gauge" % name]
            described.add(name)
        inner = ",".join('%s="%s"' % (key, escaped(each)) for key, each in labels)
        lines.append("%s%s %s" % (name, "{%s}" % inner if inner else "", repr(float(value)) if isinstance(value, float) else value))
    return "\n".join(lines) + "\n"
