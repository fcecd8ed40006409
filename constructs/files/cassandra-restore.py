"""Loads the backup of a ring into a ring: schema, then data, then roles and permissions. Can be repeated.

/restore holds a folder for each node whose snapshot was fetched, and fetched.json, which lists them. sstableloader sends each
row to its current replicas, so number, names and tokens of the nodes may differ from those in the backup.
/restore/.progress.json records the progress by the ID of each table: the next run finishes a killed one, and loads a table
again that was recreated since.
Standard library only.
"""
import calendar
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request

from cql import Failed, Session, name
from snapshots import columns_of, content, read_json, write_json
from statements import role_statements, schema_statements

STAGING = os.environ.get("RESTORE_STAGING", "/restore")
WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", "900"))
RETRY_SECONDS = float(os.environ.get("RETRY_SECONDS", "15"))
TRIES = 4
TELL = 7010
# With this exit code the Job does not retry.
FINAL = 3
LOADER = "restore_loader_"
# Half of gc_grace_seconds (10 days). An older snapshot may bring deleted rows back.
APART_SECONDS = 5 * 86400
MIB = 2**20


class Refused(Exception):
    """An error that a retry cannot fix: the operator must decide."""


def say(message):
    print("restore: " + message, flush=True)


def seconds(taken):
    return calendar.timegm(time.strptime(taken, "%Y-%m-%dT%H:%M:%SZ"))


def read_manifests(staging):
    """The manifest of each fetched node, newest first. Raises Refused if one is missing or broken."""
    fetched = read_json(os.path.join(staging, "fetched.json"))
    if not fetched or not fetched.get("snapshots"):
        raise Refused("no snapshot was fetched; choose another time with --at")
    manifests = []
    for each in fetched["snapshots"]:
        manifest = read_json(os.path.join(each["path"], "manifest.json"))
        if manifest is None:
            raise Refused("the snapshot of %s at %s has no manifest.json: the backup is incomplete; choose another time" % (each["host"], each["time"]))
        manifests.append(dict(manifest, path=each["path"]))
    return sorted(manifests, key=lambda manifest: manifest["taken"], reverse=True)


def chosen(manifests, hosts=()):
    """The manifests to load: those of the members in the newest manifest. 'hosts' are the pods given with --hosts."""
    newest = manifests[0]
    clusters = sorted({each["cluster"] for each in manifests})
    if len(clusters) > 1:
        raise Refused("the snapshots belong to different rings: %s" % ", ".join(clusters))
    wanted = list(hosts) or newest["members"]
    missing = sorted(set(wanted) - {each["pod"] for each in manifests})
    if missing:
        others = " ".join(sorted(set(wanted) - set(missing)))
        raise Refused("there is no snapshot of %s; choose another time, or name the nodes to restore from (%s): data that only the other nodes had is then lost" % (", ".join(missing), others))
    taken = [each for each in manifests if each["pod"] in wanted]
    for each in taken:
        apart = seconds(newest["taken"]) - seconds(each["taken"])
        if apart > APART_SECONDS and not hosts:
            raise Refused(
                "the snapshot of %s (%s) is %d days older than that of %s, so deleted rows may return; choose another time, or name the nodes to restore from"
                % (each["pod"], each["taken"], apart // 86400, newest["pod"])
            )
    return taken


def damaged(manifest):
    """Files of a snapshot that are missing, or have another size than the manifest says."""
    problems = []
    for table in manifest["tables"]:
        for file, size in table["files"].items():
            path = os.path.join(manifest["path"], table["folder"], file)
            found = os.path.getsize(path) if os.path.isfile(path) else None
            if found != size:
                problems.append("%s/%s/%s: %s" % (manifest["pod"], table["folder"], file, "missing" if found is None else "%d bytes instead of %d" % (found, size)))
    return problems


def tables_of(manifests, only):
    """{(keyspace, table): [(manifest, its entry)]} over all nodes."""
    tables = {}
    for manifest in manifests:
        for entry in manifest["tables"]:
            if only is None or entry["keyspace"] == only:
                tables.setdefault((entry["keyspace"], entry["table"]), []).append((manifest, entry))
    if not tables:
        there = sorted(set(manifests[0]["keyspaces"]))
        raise Refused("the backup holds no table of %s; it has the keyspaces: %s" % (only, ", ".join(there) or "none") if only else "the backup is empty: it holds no table of any keyspace; choose an earlier time with --at")
    return tables


def differences(wanted, found):
    """Describes how two lists of columns differ."""
    more, fewer = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
    return "; ".join(["it has %s" % line for line in more] + ["it lacks %s" % line for line in fewer])


class Progress:
    """The progress of earlier runs with the same snapshots."""

    def __init__(self, staging, manifests):
        self.path = os.path.join(staging, ".progress.json")
        ids = sorted("%s %s" % (each["pod"], each["id"]) for each in manifests)
        found = read_json(self.path)
        self.noted = found if found and found["snapshots"] == ids else {"snapshots": ids, "new": [], "schema": False, "tables": {}}

    def save(self, **changes):
        self.noted.update(changes)
        write_json(self.path, self.noted)

    def of(self, key, identity):
        """The recorded progress of the table with this ID; None if there is none."""
        noted = self.noted["tables"].get("%s.%s" % key)
        return noted if noted and noted["id"] == identity else None

    def begin(self, key, identity):
        self.noted["tables"]["%s.%s" % key] = {"id": identity, "done": []}
        self.save()

    def done(self, key, pod):
        self.noted["tables"]["%s.%s" % key]["done"].append(pod)
        self.save()


class Restore:
    def __init__(self, session, manifests, only=None, replace=False, staging=STAGING):
        self.session, self.manifests, self.only, self.replace = session, manifests, only, replace
        self.tables = tables_of(manifests, only)
        self.progress = Progress(staging, manifests)
        self.notes = []

    def run(self):
        self.look()
        self.make_schema()
        self.judge_tables()
        self.load_all()
        if self.only is None:
            self.make_roles()
        else:
            self.notes.append("roles and permissions are unchanged: only one keyspace was restored")
        return self.compare()

    def look(self):
        """The nodes of the ring."""
        [local] = self.session.rows("SELECT JSON data_center, rpc_address FROM system.local;")
        peers = self.session.rows("SELECT JSON native_address FROM system.peers_v2;")
        self.datacenter = local["data_center"]
        self.addresses = [local["rpc_address"]] + [each["native_address"] for each in peers]

    def columns(self):
        return columns_of(self.session.rows("SELECT JSON * FROM system_schema.columns;"))

    def make_schema(self):
        statements = schema_statements(self.manifests[0], self.datacenter, len(self.addresses), self.only)
        there = self.columns()
        lacking = ["%s.%s" % key for key in self.tables if key not in there]
        noted = self.progress.noted
        self.progress.save(new=sorted(set(noted["new"] + lacking)), schema=noted["schema"] and not lacking)
        # An existing table keeps its columns: later ALTERs of the backup's schema are not applied to it.
        ours = [each for each in statements if each["kind"] not in ("TABLE", "ALTER") or (not noted["schema"] and "%s.%s" % (each["keyspace"], each["table"]) in noted["new"])]
        self.session.run("\n".join(each["text"] for each in ours))
        there = self.columns()
        for key, copies in self.tables.items():
            if there.get(key) != copies[0][1]["columns"]:
                raise Refused("%s.%s has other columns than in the backup: %s; drop the table, or restore it into another ring" % (key[0], key[1], differences(copies[0][1]["columns"], there.get(key, []))))
        self.progress.save(schema=True)
        say("restored the schema: %d statements" % len(ours))

    def judge_tables(self):
        """Truncates the tables to load: deletions newer than the backup would hide its rows. Refuses tables with rows."""
        rows = self.session.rows("SELECT JSON keyspace_name, table_name, id FROM system_schema.tables;")
        identities = {(row["keyspace_name"], row["table_name"]): row["id"] for row in rows}
        waiting = [key for key in sorted(self.tables) if self.progress.of(key, identities[key]) is None]
        full = [key for key in waiting if self.has_rows(key)]
        if full and not self.replace:
            raise Refused("these tables hold rows: %s; restore with --replace to empty them first (Cassandra keeps a snapshot of them for 30 days)" % ", ".join("%s.%s" % key for key in full))
        for key in waiting:
            if key in full or "%s.%s" % key not in self.progress.noted["new"]:
                self.session.run("TRUNCATE %s.%s;" % (name(key[0]), name(key[1])))
            self.progress.begin(key, identities[key])

    def has_rows(self, key):
        return bool(self.session.rows("SELECT JSON * FROM %s.%s LIMIT 1;" % (name(key[0]), name(key[1]))))

    def load_all(self):
        work = [(key, manifest, entry) for key, copies in sorted(self.tables.items()) for manifest, entry in copies]
        password, role = secrets.token_hex(16), LOADER + secrets.token_hex(4)
        self.drop_loaders()
        # A separate login without permissions, because sstableloader accepts a password only on its command line.
        self.session.run("CREATE ROLE %s WITH LOGIN = true AND PASSWORD = '%s';" % (role, password))
        try:
            for index, (key, manifest, entry) in enumerate(work):
                if manifest["pod"] in self.progress.noted["tables"]["%s.%s" % key]["done"]:
                    continue
                size = sum(entry["files"].values())
                say("%s.%s from %s, %.1f MiB (%d of %d)" % (key[0], key[1], manifest["pod"], size / MIB, index + 1, len(work)))
                if any(file.endswith("-Data.db") for file in entry["files"]):
                    self.load(os.path.join(manifest["path"], entry["folder"]), role, password)
                self.progress.done(key, manifest["pod"])
        finally:
            self.drop_loaders()

    def load(self, folder, role, password):
        command = ["sstableloader", "-d", ",".join(self.addresses), "-u", role, "-pw", password, "--no-progress", folder]
        for attempt in range(TRIES):
            run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
            if run.returncode == 0:
                return
            said = [line for line in run.stdout.replace(password, "***").splitlines() if line.strip() and not line.startswith("\tat ")]
            say("sstableloader: %s" % " | ".join(said[-3:]))
            if attempt + 1 < TRIES:
                time.sleep(RETRY_SECONDS)
        raise Failed("sstableloader failed %d times with %s" % (TRIES, folder))

    def drop_loaders(self):
        roles = [row["role"] for row in self.session.rows("SELECT JSON role FROM system_auth.roles;")]
        for role in roles:
            if role.startswith(LOADER):
                self.session.run("DROP ROLE IF EXISTS %s;" % name(role))

    def make_roles(self):
        present = {row["role"]: row["member_of"] or [] for row in self.session.rows("SELECT JSON role, member_of FROM system_auth.roles;")}
        statements, notes = role_statements(self.manifests[0], present)
        if statements:
            self.session.run("\n".join(statements))
        say("restored roles and permissions: %d statements" % len(statements))
        self.notes += notes

    def compare(self):
        """Compares every row of small tables with what the node counted right after its snapshot."""
        result = {"tables": len(self.tables), "rows": 0, "equal": 0, "notCompared": [], "differs": [], "lost": []}
        for key in sorted(self.tables):
            counted = next((entry["content"] for _, entry in self.tables[key] if "content" in entry), None)
            if counted is None:
                result["notCompared"].append("%s.%s" % key)
                result["lost"] += [] if self.has_rows(key) else ["%s.%s" % key]
                continue
            now = content(self.session, *key)
            result["rows"] += now["rows"]
            if now == counted:
                result["equal"] += 1
                continue
            what = "%s.%s: %d rows, counted after the snapshot: %d" % (key[0], key[1], now["rows"], counted["rows"])
            result["lost" if now["rows"] == 0 else "differs"].append(what)
        return dict(result, notes=self.notes, bytes=sum(sum(entry["files"].values()) for copies in self.tables.values() for _, entry in copies))


def ring_is_up(nodes):
    """Raises Failed with the reason unless every node is up and normal: sstableloader needs all of them."""
    reasons = []
    for host in nodes:
        try:
            with urllib.request.urlopen("http://%s:%d/ring" % (host, TELL), timeout=60) as answer:
                ring = json.load(answer)["nodes"]
            away = [each["address"] for each in ring if not each["up"] or each["mode"] != "N"]
            if away or len(ring) < len(nodes):
                raise Failed("not every node is up and normal: %s" % (", ".join(away) or "%d of %d are there" % (len(ring), len(nodes))))
            return
        except (OSError, ValueError, KeyError) as error:
            reasons.append("%s: %s" % (host, error))
    if nodes:
        raise Failed("no node reports the nodes of the ring: " + "; ".join(reasons))


def until_ready(session, nodes):
    deadline, said = time.monotonic() + WAIT_SECONDS, None
    while True:
        try:
            refusal = session.refusal()
            if refusal:
                raise Failed(refusal)
            return ring_is_up(nodes)
        except Failed as error:
            if str(error) != said:
                said = str(error)
                say("waiting: " + said)
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


def empty(staging):
    """Removes fetched files: frees the disk, and the next restore fetches again."""
    for each in os.listdir(staging):
        path = os.path.join(staging, each)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def restore(session, nodes, staging=STAGING):
    """Runs the whole restore and prints a summary."""
    began = time.monotonic()
    only = os.environ.get("RESTORE_ONLY") or None
    manifests = chosen(read_manifests(staging), os.environ.get("RESTORE_HOSTS", "").split())
    for each in manifests:
        size = sum(sum(table["files"].values()) for table in each["tables"]) / MIB
        say("%s: snapshot of %s, %d tables, %.1f MiB, Cassandra %s, ring %s" % (each["pod"], each["taken"], len(each["tables"]), size, each["version"], each["cluster"]))
    problems = [problem for each in manifests for problem in damaged(each)]
    if problems:
        raise Refused("the backup is damaged: %s" % "; ".join(problems[:5] + (["and %d more" % (len(problems) - 5)] if len(problems) > 5 else [])))
    until_ready(session, nodes)
    result = Restore(session, manifests, only, os.environ.get("RESTORE_REPLACE") == "yes", staging).run()
    snapshots = {each["pod"]: each["taken"] for each in manifests}
    for line in result["notes"] + ["differs: " + each for each in result["differs"]] + ["not compared, too large: " + each for each in result["notCompared"]]:
        say(line)
    if result["lost"]:
        raise Refused("tables that held rows are empty: %s" % "; ".join(result["lost"]))
    return dict(result, seconds=round(time.monotonic() - began), snapshots=snapshots)


def into_the_ring():
    session = Session("admin", os.environ["ADMIN_PASSWORD"], os.environ["CASSANDRA_HOST"])
    return {"restored": restore(session, os.environ["CASSANDRA_NODES"].split())}


def into_a_drill():
    """A ring of one node that runs while this object exists."""
    import drill

    began = time.monotonic()
    with drill.node(STAGING) as session:
        result = restore(session, [])
    return {"drill": dict(result, ok=True, seconds=round(time.monotonic() - began), snapshot=max(result["snapshots"].values()))}


def main():
    try:
        result = (into_a_drill if os.environ.get("RESTORE_DRILL") == "yes" else into_the_ring)()
    except (Refused, ValueError) as error:
        print("restore: %s" % error, flush=True)
        sys.exit(FINAL)
    except (Failed, OSError) as error:
        sys.exit("restore: %s" % error)
    empty(STAGING)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
