"""What the container `ops` beside a Cassandra node decides, apart from what it does. Nothing here asks, waits or writes.

Names: 'memory' is what ops keeps on the data volume, 'look' what nodetool said last, 'peers' what the other pods of the ring
tell on their port 7011: {pod: state or None where nothing answers}. Times are seconds since 1970.
"""
import re

# Cassandra makes them by itself, with 2 or 3 copies however few nodes there are.
INTERNAL = ("system_distributed", "system_traces")


def parse_status(text):
    """The nodes that `nodetool status` prints."""
    line = re.compile(r"^([UD?])([NLJM])\s+(\S+)\s+(\S+(?: [KMGT]iB| bytes)?)\s.*\s([0-9a-f-]{36})\s.*?(\S+)$")
    found = [line.match(each.strip()) for each in text.splitlines()]
    return [{"up": m[1] == "U", "mode": m[2], "address": m[3], "load": size(m[4]), "id": m[5], "rack": m[6]} for m in found if m]


def size(text):
    """Bytes of a size that nodetool prints; None for `?`."""
    match = re.fullmatch(r"([\d.]+) (bytes|[KMGT]iB)", text)
    return match and int(float(match[1]) * 1024 ** ("bytes", "KiB", "MiB", "GiB", "TiB").index(match[2]))


def parse_keyspaces(text):
    """Replication by keyspace, from what `nodetool describecluster` prints; those that each node has for itself left out."""
    found = {}
    for each in text.splitlines():
        match = re.fullmatch(r"\s*(\w+) -> Replication class: (\w+)(?: \{(.*)\})?\s*", each)
        if match and match[2] != "LocalStrategy":
            options = dict(part.strip().split("=") for part in (match[3] or "").split(",") if "=" in part)
            found[match[1]] = dict(options, **{"class": match[2]})
    return found


def copies_of(replication):
    """The copies of a keyspace: with several datacenters, of the one that has most."""
    return max([int(value) for key, value in replication.items() if key != "class"] or [1])


def last_repair(memory, keyspace):
    """When the last repair that succeeded began: what was deleted later it has not seen."""
    return memory.get("repairs", {}).get(keyspace, {}).get("last")


def due_repairs(memory, keyspaces, config, now):
    """Keyspaces to repair, the one that waits longest first. One that failed is tried again after a pause."""
    repairs = memory.get("repairs", {})
    due = []
    for keyspace in keyspaces:
        last = last_repair(memory, keyspace) or 0
        tried = repairs.get(keyspace, {}).get("failedAt") or 0
        if now - last >= config["repairSeconds"] and now - tried >= config["retrySeconds"]:
            due.append((last, keyspace))
    return [keyspace for _, keyspace in sorted(due)]


def overdue_repairs(memory, keyspaces, config, now):
    """Keyspaces whose repair is late: one and a half times as old as it should become."""
    since = memory.get("since", now)
    return sorted(each for each in keyspaces if now - (last_repair(memory, each) or since) > 1.5 * config["repairSeconds"])


def wanted(memory, look, config, now):
    """The next operation of this node as (kind, object), or None. Which of them comes first."""
    due = due_repairs(memory, look["keyspaces"], config, now)
    return ("repair", due[0]) if due else None


def hindrance(look, peers, node):
    """Why no operation may begin; None where one may. All of them need every copy of what they work on."""
    silent = sorted(pod for pod, state in peers.items() if state is None)
    if silent:
        return "these pods do not answer: " + ", ".join(silent)
    unwell = sorted(each["address"] for each in look["ring"] if not each["up"] or each["mode"] != "N")
    if unwell:
        return "these nodes are not up and normal: " + ", ".join(unwell)
    if len(look["ring"]) < len(node["members"]):
        return "the ring has %d nodes and should have %d" % (len(look["ring"]), len(node["members"]))
    return None


def turn(mine, peers):
    """Whether the operation that this node announced may begin: "run", "hold" (look again soon) or "release" (give way).

    Each announces its rank before it looks at the others, so of two that want at once at least one sees the other. The later
    rank gives way, and the earlier waits until it has: so never two run. A pod that dies is no holder any more.
    """
    others = [state["turn"] for state in peers.values()]
    if any(each["state"] == "runs" for each in others):
        return "release"
    wanting = [each["rank"] for each in others if each["state"] == "wants"]
    if any(rank < mine for rank in wanting):
        return "release"
    return "hold" if wanting else "run"


def metrics_text(metrics):
    """Prometheus' text format, of {(name, ((label, value), ...)): (number, help)}."""
    escaped = lambda value: str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    lines, described = [], set()
    for (name, labels), (value, help_text) in sorted(metrics.items()):
        if name not in described:
            lines += ["# HELP %s %s" % (name, help_text), "# TYPE %s gauge" % name]
            described.add(name)
        inner = ",".join('%s="%s"' % (key, escaped(each)) for key, each in labels)
        lines.append("%s%s %s" % (name, "{%s}" % inner if inner else "", repr(float(value)) if isinstance(value, float) else value))
    return "\n".join(lines) + "\n"
