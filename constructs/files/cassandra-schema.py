"""Reconciles keyspaces, roles and permissions of a ring with schema.json. Can be repeated.

Passwords come from the environment and go into files that only this process can read. The job revokes rights and drops roles
that it made and that schema.json no longer lists. Its own roles are members of MADE_HERE, so roles
that someone else made stay unchanged. A keyspace is never dropped.
A client has two roles that take turns, NAME and NAME_2: during a rotation of its password, pods with the old name and
password must still log in. The role that its secret does not name is dropped once the secret has no previous password.
Replicas are added one at a time, each followed by a repair: a read at QUORUM then always reaches a node with the data.
Standard library only.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request

from cql import PORT, Failed, Session, data_resource, literal, name

HOST = os.environ["CASSANDRA_HOST"]
FILE = os.environ.get("SCHEMA", "/schema/schema.json")
WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", "900"))
RETRY_SECONDS = float(os.environ.get("RETRY_SECONDS", "5"))
TELL = 7010
# States of running pods that are not in the ring.
OUTSIDE = ("left", "spare")
AUTH = "system_auth"
MADE_HERE = "made_by_schema_job"
# A role with this name exists while the replication factor of a keyspace is raised but not repaired yet.
UNREPAIRED = "unrepaired_"


def replication(copies):
    options = ", ".join("%s: %d" % (literal(datacenter), number) for datacenter, number in copies.items() if number > 0)
    return "{'class': 'NetworkTopologyStrategy', %s}" % options


def wanted_copies(schema, copies):
    """Replicas by datacenter: our own first, then the other datacenters of this ring, with at most one replica a node."""
    elsewhere = {datacenter: min(copies, most) for datacenter, most in schema.get("elsewhere", {}).items()}
    return {schema["datacenter"]: copies, **elsewhere}


def copies_of(options, datacenters):
    """The replication factors in system_schema.keyspaces for our datacenters, and whether the options are ours."""
    ours = options.get("class", "").endswith(".NetworkTopologyStrategy") and set(options) <= {"class", *datacenters}
    own, *others = datacenters
    now = {own: int(options.get(own, options.get("replication_factor", 0)))}
    return {**now, **{each: int(options.get(each, 0)) for each in others}}, ours


def next_copies(now, ours, wanted):
    """The next step towards the wanted replication factors; None if they are reached."""
    for datacenter, number in wanted.items():
        there = now[datacenter]
        if there != number:
            at_once = there > number or not any(now.values())
            return {**now, datacenter: number if at_once else there + 1}
    return None if ours else wanted


# CREATE on a keyspace allows tables and types; ALTER on its tables allows indexes. ALTER on the keyspace itself would
# allow a client to lower its replicas, DROP to delete it.
def wanted_rights(keyspaces, read_only=()):
    rights = {}
    for keyspace in keyspaces:
        rights["data/" + keyspace] = {"CREATE"}
        rights["data/%s/*" % keyspace] = {"ALTER", "SELECT", "MODIFY"}
    for keyspace in read_only:
        rights["data/%s/*" % keyspace] = {"SELECT"}
    return rights


def rights_statements(role, now, keyspaces, read_only=()):
    """Statements that limit the permissions of a role ({resource: permissions}) to its keyspaces."""
    wanted = wanted_rights(keyspaces, read_only)
    statements = []
    for path in sorted(set(now) | set(wanted)):
        target = data_resource(path)
        if target is None:
            continue
        for right in sorted(now.get(path, set()) - wanted.get(path, set())):
            statements.append("REVOKE %s ON %s FROM %s;" % (right, target, name(role)))
        for right in sorted(wanted.get(path, set()) - now.get(path, set())):
            statements.append("GRANT %s ON %s TO %s;" % (right, target, name(role)))
    return statements


def repair(schema, keyspace):
    """Repairs the primary ranges of each node: together the whole keyspace."""
    for host in schema["nodes"]:
        if state_of(host) in OUTSIDE:
            continue
        request = urllib.request.Request("http://%s:%d/repair/%s" % (host, TELL, keyspace), method="POST")
        try:
            with urllib.request.urlopen(request) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            raise Failed("%s did not repair %s: %s" % (host, keyspace, error.read().decode(errors="replace"))) from error
        except OSError as error:
            raise Failed("%s did not repair %s: %s" % (host, keyspace, error)) from error


def state_of(host):
    """The state that a node reports; None if it does not answer."""
    try:
        with urllib.request.urlopen("http://%s:%d/state" % (host, TELL), timeout=10) as answer:
            return json.load(answer)["state"]
    except (OSError, ValueError, KeyError):
        return None


def all_joined(schema):
    return all(state_of(host) in ("joined",) + OUTSIDE for host in schema["nodes"])


def total(copies):
    return sum(copies.values())


def told(copies):
    """A number if there is one datacenter."""
    numbers = list(copies.items())
    return str(numbers[0][1]) if len(numbers) == 1 else ", ".join("%d in %s" % (number, datacenter) for datacenter, number in numbers)


def replicate(session, schema, keyspaces, keyspace, wanted):
    """Changes the replication factor of an existing keyspace step by step."""
    mark, wanted = name(UNREPAIRED + keyspace), wanted_copies(schema, wanted)
    now, ours = copies_of(keyspaces[keyspace], list(wanted))
    unrepaired = (UNREPAIRED + keyspace) in schema["known"]
    while True:
        following = next_copies(now, ours, wanted)
        if following is None and not unrepaired:
            return
        if not all_joined(schema):
            raise Failed("%s has %s replicas and should have %s; waiting until every node has joined" % (keyspace, told(now), told(wanted)))
        if following is not None:
            # With a replica on every node, no replica can move to another node.
            raised = total(following) > total(now) or (not ours and len(schema["nodes"]) > total(now))
            if raised and not unrepaired:
                session.run("CREATE ROLE IF NOT EXISTS %s WITH LOGIN = false;" % mark)
                unrepaired = True
            print("%s: %s copies" % (keyspace, told(following)), flush=True)
            session.run("ALTER KEYSPACE %s WITH replication = %s;" % (name(keyspace), replication(following)))
            now, ours = following, True
        if unrepaired:
            repair(schema, keyspace)
            session.run("DROP ROLE IF EXISTS %s;" % mark)
            unrepaired = False


def replications(session):
    rows = session.rows("SELECT JSON keyspace_name, replication FROM system_schema.keyspaces;")
    return {row["keyspace_name"]: row["replication"] for row in rows}


def prepare(session, schema):
    """Creates the role MADE_HERE. Returns the names of the roles of this job and of all other roles."""
    session.run("CREATE ROLE IF NOT EXISTS %s WITH LOGIN = false;" % name(MADE_HERE))
    roles = session.rows("SELECT JSON role, member_of FROM system_auth.roles;")
    schema["known"] = {row["role"]: MADE_HERE in (row["member_of"] or []) for row in roles}


def reconcile(session, schema):
    prepare(session, schema)
    known, roles = schema["known"], schema["roles"]
    session.run("ALTER ROLE cassandra WITH SUPERUSER = false AND LOGIN = false;")
    replicate(session, schema, replications(session), AUTH, schema["copies"])
    for keyspace, copies in sorted(schema["keyspaces"].items()):
        session.run(
            "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = %s AND durable_writes = true;"
            % (name(keyspace), replication(wanted_copies(schema, copies)))
        )
    there = replications(session)
    for keyspace, copies in sorted(schema["keyspaces"].items()):
        replicate(session, schema, there, keyspace, copies)
    clients = {}
    for base, client in sorted(roles.items()):
        role, other = turns(base, client)
        clients[role] = client
        password = literal(os.environ[client["passwordFrom"]])
        # Either CREATE or ALTER: Cassandra 5.0.8 accepts a new password of a role only every 5 s.
        verb = "ALTER" if role in known else "CREATE"
        statements = ["%s ROLE %s WITH LOGIN = true AND PASSWORD = %s;" % (verb, name(role), password)]
        if not known.get(role):
            statements.append("GRANT %s TO %s;" % (name(MADE_HERE), name(role)))
        session.run("\n".join(statements))
        if os.environ.get(client.get("previousFrom", "")) and other in known:
            clients[other] = client
            print("%s keeps its password until its client has the new one" % other, flush=True)
    rights = {}
    for row in session.rows("SELECT JSON role, resource, permissions FROM system_auth.role_permissions;"):
        rights.setdefault(row["role"], {})[row["resource"]] = set(row["permissions"] or [])
    for role, client in sorted(clients.items()):
        statements = rights_statements(role, rights.get(role, {}), client["keyspaces"], client.get("readOnly", ()))
        if statements:
            session.run("\n".join(statements))
            print("%s: rights on %s" % (role, ", ".join(client["keyspaces"] + client.get("readOnly", []))), flush=True)
    for role in sorted(role for role, ours in known.items() if ours and role not in clients):
        session.run("DROP ROLE IF EXISTS %s;" % name(role))
        print("dropped %s: no client uses it any more" % role, flush=True)


def turns(role, client):
    """The role that a client uses now, and the other one."""
    now = os.environ.get(client.get("usernameFrom", ""), role)
    return now, (role + "_2" if now == role else role)


def change_admin(password):
    """During a rotation of the admin password, the ring has the previous one until this job has run."""
    previous = os.environ.get("PREVIOUS_ADMIN_PASSWORD")
    if not previous:
        return False
    session = Session("admin", previous, HOST)
    if session.refusal():
        return False
    session.run("ALTER ROLE admin WITH PASSWORD = %s;" % literal(password))
    print("admin has the new password", flush=True)
    return True


def first_start(schema, admin_password, refusal):
    """Logs in as the default superuser. The first reconciliation disables it."""
    default = Session("cassandra", "cassandra", HOST)
    if default.refusal():
        raise Failed("neither admin nor the default superuser can log in at %s:%s; as admin: %s" % (HOST, PORT, refusal))
    if not all_joined(schema):
        raise Failed("first start: waiting until every node has joined")
    print("first start: creating the role admin", flush=True)
    prepare(default, schema)
    replicate(default, schema, replications(default), AUTH, schema["copies"])
    default.run("CREATE ROLE IF NOT EXISTS admin WITH SUPERUSER = true AND LOGIN = true AND PASSWORD = %s;" % literal(admin_password))


def main():
    with open(FILE) as file:
        schema = json.load(file)
    password = os.environ["ADMIN_PASSWORD"]
    admin = Session("admin", password, HOST)
    deadline, said = time.monotonic() + WAIT_SECONDS, None
    while True:
        try:
            refusal = admin.refusal()
            if refusal and not change_admin(password):
                first_start(schema, password, refusal)
            reconcile(admin, schema)
            print("keyspaces, roles and permissions match schema.json")
            return
        except Failed as error:
            if str(error) != said:
                said = str(error)
                print(said, flush=True)
            if time.monotonic() > deadline:
                sys.exit("gave up: " + said)
            time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    main()
