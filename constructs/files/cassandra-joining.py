"""Decides whether a Cassandra node starts a ring, joins the existing one or waits. Only decides, without side effects.

Also reads what nodetool prints. Nothing here asks, waits or writes.
"""
import re

# Four segments of the commit log, each of which is a file of 32 MiB.
ROOM = 128 * 2**20


class Refused(Exception):
    """This node must not start, and only a person can change that."""


def decide(index, empty, starting, states, quiet, config):
    """Returns what to do next and why: "start" a new ring, "join" the existing ring, or "wait".

    'states' has every other member in joining order, as Node.state reports it, or "absent" (no such pod) or "silent" (a pod
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
    unknown = ["%s (%s)" % (pod, state) for pod, state in others if state not in ("empty", "spare", "absent")]
    if unknown:
        return "wait", "a new ring may start only if no member holds data, but these may: " + ", ".join(unknown)
    absent = [pod for pod, state in others if state == "absent"]
    if absent and quiet < config["absentSeconds"]:
        return "wait", "a new ring starts when %d s have passed without a sign of: %s" % (config["absentSeconds"], ", ".join(absent))
    if quiet < config["quietSeconds"]:
        return "wait", "no member holds data; waiting %d s to be sure" % config["quietSeconds"]
    return "start", "no member holds data: this is a new ring"


def place(rack, ring, mates, addresses, own_address):
    """Returns ("take", address), ("new", None) or ("wait", why): the place in the ring of a node that has not joined.

    'ring' is what GET /ring tells, 'mates' the states of the other pods of this rack, 'addresses' those of all other pods.
    """
    # What is left of a first join that was cut off: Cassandra lets the same address begin it again.
    ring = [node for node in ring if (node["address"], node["mode"]) != (own_address, "J")]
    moving = [node["address"] for node in ring if node["mode"] != "N"]
    if moving:
        return "wait", "another node joins, leaves or moves: " + ", ".join(sorted(moving))
    gone = [node for node in ring if node["rack"] == rack and node["address"] not in addresses]
    if not gone:
        return "new", None
    up = [node["address"] for node in gone if node["up"]]
    if up:
        return "wait", "the ring does not know yet that this node is down: " + ", ".join(sorted(up))
    away = ["%s (%s)" % (pod, state) for pod, state in mates.items() if state not in ("joined", "empty", "left", "spare")]
    if away:
        return "wait", "a dead node of rack %s may be this one or one of: %s" % (rack, ", ".join(sorted(away)))
    dead = sorted(node["address"] for node in gone)
    if len(dead) > 1 + list(mates.values()).count("empty"):
        commands = ["nodetool removenode %s # %s" % (node["id"], node["address"]) for node in gone]
        raise Refused(
            "%d dead nodes in rack %s and fewer empty pods; for each that is gone for good, run in a pod that is well:\n  %s"
            % (len(dead), rack, "\n  ".join(commands))
        )
    return "take", dead[0]


def loss(ring, others, quiet, config, accept):
    """Why an empty node may not join and be filled from the remaining nodes; None when that can lose no acknowledged write.

    A write at QUORUM is on most copies: where those are gone, the ones that are left may never have had it. 'others' has rack
    and state of every other pod. One that does not answer yet may be empty too, or hold data. 'accept' is the file by which
    someone agrees.
    """
    ring = own(ring, config)
    copies, racks = config["copies"], {node["rack"] for node in ring}
    empty, unknown = {}, {}
    for rack in racks:
        states = [each["state"] for each in others if each["rack"] == rack]
        nodes = sum(node["rack"] == rack for node in ring)
        empty[rack] = max(0, nodes - sum(state not in ("empty", "left", "spare") for state in states))
        unknown[rack] = min(nodes, empty[rack] + sum(state in ("absent", "silent") for state in states))
    # With as many racks as replicas, each rack holds one copy of all data.
    count = (lambda lost: sum(map(bool, lost.values()))) if len(racks) >= copies else (lambda lost: sum(lost.values()))
    most = copies // 2 + 1
    if count(empty) >= most:
        return (
            "%d of %d copies have no data (racks %s): what is left may lack acknowledged writes; look for the lost disks first; to go"
            " on with what is left, and restore a backup afterwards: touch %s in this container"
            % (count(empty), copies, ", ".join(sorted(rack for rack in racks if empty[rack])), accept)
        )
    if count(unknown) >= most and quiet < config["quietSeconds"]:
        return "other nodes do not answer and may have no data either; waiting %d s to be sure" % config["quietSeconds"]
    return None


def no_room(free, data):
    """Why a node must not start with this number of free bytes on its disk; None when it may.

    The commit log is mapped into memory in files with holes: on a full disk Java dies of a memory fault, and so does each start.
    """
    if free >= ROOM:
        return None
    return (
        "%d MiB of the disk are free, but a start needs %d; remove unneeded snapshots (rm -r %s/data/*/*/snapshots/NAME in this"
        " container), or give it a larger disk" % (free // 2**20, ROOM // 2**20, data)
    )


def own(ring, config):
    """The nodes of our own datacenter. A member with an older script does not report datacenters."""
    return [node for node in ring if node.get("datacenter", config["datacenter"]) == config["datacenter"]]


def racks_to_allocate(rack, ring, config):
    """Tokens are allocated per rack if there are as many racks as replicas; Cassandra refuses fewer racks."""
    return min(config["copies"], len({node["rack"] for node in own(ring, config)} | {rack}))


def parse_status(text):
    """The nodes in the output of `nodetool status`. Load in bytes, None if unknown."""
    line = re.compile(r"^([UD?])([NLJM])\s+(\S+)\s+(\?|[\d.,]+ \w+)\s.*\s(\S+)\s+(\S+)$")
    nodes, datacenter = [], None
    for each in text.splitlines():
        heading, m = re.match(r"Datacenter: (\S+)$", each.strip()), line.match(each.strip())
        if heading:
            datacenter = heading[1]
        if m:
            node = {"up": m[1] == "U", "mode": m[2], "address": m[3], "load": size(m[4]), "id": m[5], "rack": m[6]}
            nodes.append({**node, "datacenter": datacenter})
    return nodes


def size(text):
    """Bytes of a size that nodetool prints; None for `?`."""
    match = re.fullmatch(r"([\d.,]+) (bytes|[KMGT]iB)", text)
    return match and int(float(match[1].replace(",", ".")) * 1024 ** ("bytes", "KiB", "MiB", "GiB", "TiB").index(match[2]))
