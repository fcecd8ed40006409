"""Decides whether a Cassandra node starts a ring, joins the existing one or waits. Only decides, without side effects.

Also parses the output of nodetool. Pure: no request, no wait, no file.
"""
import re

# Four segments of the commit log; a segment is a file of 32 MiB.
ROOM = 128 * 2**20


class Refused(Exception):
    """This node must not start until an operator has acted."""


def decide(index, empty, starting, states, quiet, config):
    """Returns what to do next and why: "start" a new ring, "join" the existing ring, or "wait".

    'states' has every other member in joining order, as Node.state reports it, or "absent" (no such pod) or "silent" (a pod
    or a name server that does not answer). An absent pod may hold data and start later.
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
        return "start", "this node has started the ring before, and did not finish"
    if not empty:
        return "wait", "this node holds data of a ring that it has not joined; no other member answers"
    unknown = ["%s (%s)" % (pod, state) for pod, state in others if state not in ("empty", "spare", "absent")]
    if unknown:
        return "wait", "a new ring may start only if no member holds data, but these may: " + ", ".join(unknown)
    absent = [pod for pod, state in others if state == "absent"]
    if absent and quiet < config["absentSeconds"]:
        return "wait", "a new ring starts after %d s if these pods stay absent: %s" % (config["absentSeconds"], ", ".join(absent))
    if quiet < config["quietSeconds"]:
        return "wait", "no member holds data; waiting %d s for other pods to appear" % config["quietSeconds"]
    return "start", "no member holds data: this is a new ring"


def place(rack, ring, mates, addresses, own_address):
    """Returns ("take", address), ("new", None) or ("wait", why): the place in the ring of a node that has not joined.

    'ring' is what GET /ring tells, 'mates' the states of the other pods of this rack, 'addresses' those of all other pods.
    """
    # An interrupted first join: Cassandra lets the same address repeat it.
    ring = [node for node in ring if (node["address"], node["mode"]) != (own_address, "J")]
    moving = [node["address"] for node in ring if node["mode"] != "N"]
    if moving:
        return "wait", "another node joins, leaves or moves: " + ", ".join(sorted(moving))
    gone = [node for node in ring if node["rack"] == rack and node["address"] not in addresses]
    if not gone:
        return "new", None
    up = [node["address"] for node in gone if node["up"]]
    if up:
        return "wait", "the ring still reports this node as up: " + ", ".join(sorted(up))
    away = ["%s (%s)" % (pod, state) for pod, state in mates.items() if state not in ("joined", "empty", "left", "spare")]
    if away:
        return "wait", "a dead node of rack %s may be this one or one of: %s" % (rack, ", ".join(sorted(away)))
    dead = sorted(node["address"] for node in gone)
    if len(dead) > 1 + list(mates.values()).count("empty"):
        commands = ["nodetool removenode %s # %s" % (node["id"], node["address"]) for node in gone]
        raise Refused(
            "%d nodes in rack %s are down, but fewer pods are empty; for each node that will not return, run in a healthy pod:\n  %s"
            % (len(dead), rack, "\n  ".join(commands))
        )
    return "take", dead[0]


def loss(ring, others, quiet, config, accept):
    """Why an empty node may not join and copy the data of the remaining nodes; None when no acknowledged write can be lost.

    A write at QUORUM is on most replicas: if most are lost, the remaining ones may never have had it. 'others' has rack
    and state of every other pod. A silent pod may be empty or hold data. 'accept' is the file with which an operator
    accepts the loss.
    """
    ring = own(ring, config)
    copies, racks = config["copies"], {node["rack"] for node in ring}
    empty, unknown = {}, {}
    for rack in racks:
        states = [each["state"] for each in others if each["rack"] == rack]
        nodes = sum(node["rack"] == rack for node in ring)
        empty[rack] = max(0, nodes - sum(state not in ("empty", "left", "spare") for state in states))
        unknown[rack] = min(nodes, empty[rack] + sum(state in ("absent", "silent") for state in states))
    # With as many racks as replicas, each rack holds one replica of all data.
    count = (lambda lost: sum(map(bool, lost.values()))) if len(racks) >= copies else (lambda lost: sum(lost.values()))
    most = copies // 2 + 1
    if count(empty) >= most:
        return (
            "%d of %d replicas are empty (racks %s): the remaining replicas may lack acknowledged writes; try to bring the lost disks back first;"
            " to accept the loss, and restore a backup afterwards, run in this container: touch %s"
            % (count(empty), copies, ", ".join(sorted(rack for rack in racks if empty[rack])), accept)
        )
    if count(unknown) >= most and quiet < config["quietSeconds"]:
        return "other nodes do not answer and may be empty too; waiting %d s for their answer" % config["quietSeconds"]
    return None


def no_room(free, data):
    """Why a node must not start with this number of free bytes on its disk; None when it may start.

    Cassandra maps sparse commit log files into memory: on a full disk Java crashes with SIGBUS, and crashes again at each start.
    """
    if free >= ROOM:
        return None
    return (
        "%d MiB of the disk are free, but Cassandra needs %d to start; remove old snapshots (rm -r %s/data/*/*/snapshots/NAME in this"
        " container), or enlarge the disk" % (free // 2**20, ROOM // 2**20, data)
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
