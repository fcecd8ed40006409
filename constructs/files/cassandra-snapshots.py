"""Makes a snapshot of a node when the backup container requests it, and removes it afterwards. A module of ops.py.

The backup container writes /handover/request, this module /handover/answer. The snapshot is DATA/.backup/copy: hard
links, which take no space, and manifest.json with the schema and roles for a restore. The path is
always the same, so that restic recognises unchanged files.
Standard library only.
"""
import calendar
import hashlib
import json
import os
import re
import shutil
import threading
import time

from cql import Failed, Session, name

TAG = "backup"
SYSTEM = {"system", "system_schema", "system_auth", "system_distributed", "system_traces", "system_views", "system_virtual_schema"}
# A request that is never removed keeps files on the disk that Cassandra has compacted away.
STALE_SECONDS = 86400
# A ring that has just started accepts no login for a while.
LOGIN_SECONDS = 900
# Counts and hashes the rows of tables up to this size on the node, for up to this time: a restore compares them.
COUNTED_BYTES = 16 * 2**20
COUNT_SECONDS = 60


def read_json(path):
    """None if the file is missing or is no JSON."""
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def write_json(path, content):
    """Replaces the file by rename: a reader sees the old one or the new one."""
    with open(path + ".part", "w") as file:
        os.chmod(path + ".part", 0o600)
        json.dump(content, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".part", path)


def link_tree(source, target):
    """Hard links to the files of one snapshot of a table, without its folders: they hold indexes, which Cassandra rebuilds."""
    os.makedirs(target)
    sizes = {}
    for entry in os.scandir(source):
        if entry.is_file(follow_symlinks=False):
            os.link(entry.path, os.path.join(target, entry.name))
            sizes[entry.name] = entry.stat().st_size
    return sizes


def columns_of(rows):
    """The columns of each table, each as one line: equal lines mean equal columns."""
    tables = {}
    for row in rows:
        line = "%s %s %s %s %s" % (name(row["column_name"]), row["type"], row["kind"], row["position"], row["clustering_order"])
        tables.setdefault((row["keyspace_name"], row["table_name"]), []).append(line)
    return {table: sorted(lines) for table, lines in tables.items()}


def content(session, keyspace, table):
    """The number of rows of a table and a hash over them. Every ring returns rows in the order of their tokens."""
    digest, count = hashlib.sha256(), 0
    select = "CONSISTENCY LOCAL_QUORUM;\nSELECT JSON * FROM %s.%s;" % (name(keyspace), name(table))
    for row in session.json_lines(select):
        digest.update(row.encode() + b"\n")
        count += 1
    return {"rows": count, "sha256": digest.hexdigest()}


class Snapshots:
    """The snapshots of one node."""

    def __init__(self, ops, login, handover="/handover"):
        """'login' returns a session that may read everything."""
        self.ops, self.nodetool, self.login, self.session = ops, ops.nodetool, login, None
        self.folder = os.path.join(ops.data, ".backup")
        self.copy = os.path.join(self.folder, "copy")
        self.request = os.path.join(handover, "request")
        self.answer = os.path.join(handover, "answer")
        self.status = os.path.join(handover, "status.json")

    def watch(self, seconds=2):
        while True:
            try:
                self.step()
                self.tell()
            except OSError as error:
                self.say(str(error))
            time.sleep(seconds)

    def say(self, text):
        self.ops.say(text, "backup")

    def tell(self):
        """Reports the last attempt of the backup container."""
        status = read_json(self.status)
        if status is None:
            return
        newest = status["newest"] and calendar.timegm(time.strptime(status["newest"][:19], "%Y-%m-%dT%H:%M:%S"))
        self.ops.tell(backup=status)
        self.ops.metric("collab_backup_newest_timestamp_seconds", newest, "When the newest backup of this node was taken.")
        self.ops.metric("collab_backup_failed", 1 if status["error"] else 0, "Whether the last backup attempt failed.")

    def step(self):
        """Handles the request once."""
        wanted = self.wanted()
        if wanted is None:
            self.remove()
        elif (read_json(self.answer) or {}).get("id") != wanted:
            self.remove()
            self.session = self.login()
            refusal = self.session.refusal()
            if refusal and self.ops.pod in self.members() and time.time() - os.path.getmtime(self.request) < LOGIN_SECONDS:
                return self.say("waits: %s" % refusal)
            write_json(self.answer, dict(self.make(wanted), id=wanted))

    def wanted(self):
        try:
            if time.time() - os.path.getmtime(self.request) > STALE_SECONDS:
                return None
        except OSError:
            return None
        wanted = (read_json(self.request) or {}).get("id")
        return wanted if isinstance(wanted, str) else None

    def remove(self):
        if os.path.exists(self.answer):
            os.remove(self.answer)
        if os.path.exists(self.folder):
            shutil.rmtree(self.folder)

    def make(self, wanted):
        if self.ops.pod not in self.members():
            return {"state": "skip", "why": "this node is not a member of the ring"}
        try:
            if all(row["keyspace_name"] in SYSTEM for row in self.rows("system_schema.tables", "keyspace_name")):
                # An empty ring after a loss must not become the newest backup.
                return {"state": "skip", "why": "the ring has no table yet"}
            tables = self.snapshot(wanted)
            self.say("%s: %d tables are ready" % (wanted, tables))
            return {"state": "ready", "paths": [self.copy]}
        except (OSError, Failed, ValueError) as error:
            self.say("%s: no snapshot: %s" % (wanted, error))
            if os.path.exists(self.folder):
                shutil.rmtree(self.folder)
            return {"state": "failed", "why": str(error)}
        finally:
            self.clear()

    def members(self):
        return [each["pod"] for each in self.ops.node()["members"]]

    def clear(self):
        """Removes Cassandra's snapshot; the links in the copy keep its files."""
        try:
            self.nodetool("clearsnapshot", "-t", TAG)
        except OSError as error:
            self.say(str(error))

    def snapshot(self, wanted):
        for _ in range(3):
            self.clear()
            schema = self.schema()
            keyspaces = {row["keyspace_name"]: row for row in self.rows("system_schema.keyspaces") if row["keyspace_name"] not in SYSTEM}
            taken = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            if keyspaces:
                self.nodetool("snapshot", "-t", TAG, "--", *sorted(keyspaces))
            if self.schema() == schema:
                break
        else:
            raise Failed("the schema changed during each of three snapshots")
        manifest = dict(self.ring(), id=wanted, taken=taken, pod=self.ops.pod, members=self.members(), schema=schema, keyspaces=keyspaces)
        manifest["tables"] = self.tables(sorted(keyspaces))
        manifest.update(self.roles())
        self.count(manifest["tables"])
        write_json(os.path.join(self.copy, "manifest.json"), manifest)
        return len(manifest["tables"])

    def rows(self, table, columns="*"):
        return self.session.rows("SELECT JSON %s FROM %s;" % (columns, table))

    def schema(self):
        """The schema with internals: table IDs and dropped columns, whose values may still be in the files."""
        return self.session.run("DESCRIBE SCHEMA WITH INTERNALS;")

    def ring(self):
        [local] = self.rows("system.local")
        ours = {"cluster": "cluster_name", "datacenter": "data_center", "rack": "rack", "hostId": "host_id", "version": "release_version"}
        return dict({key: local[column] for key, column in ours.items()}, format=1, tokens=sorted(local["tokens"], key=int))

    def roles(self):
        grants = self.rows("system_auth.role_permissions")
        limited = [row["role"] for row in self.rows("system_auth.network_permissions")]
        return {"roles": self.rows("system_auth.roles"), "grants": grants, "limitedToDatacenters": limited}

    def tables(self, keyspaces):
        """Links the files of all tables into the copy."""
        columns = columns_of(self.rows("system_schema.columns"))
        views = {(row["keyspace_name"], row["view_name"]) for row in self.rows("system_schema.views", "keyspace_name, view_name")}
        tables = []
        os.makedirs(self.copy)
        for keyspace in keyspaces:
            for folder in sorted(os.listdir(os.path.join(self.ops.data, "data", keyspace))):
                source = os.path.join(self.ops.data, "data", keyspace, folder, "snapshots", TAG)
                table = re.sub(r"-[0-9a-f]{32}$", "", folder)
                # Cassandra rebuilds a view while its table is loaded.
                if not os.path.isdir(source) or (keyspace, table) in views:
                    continue
                if (keyspace, table) not in columns:
                    raise Failed("%s.%s has a snapshot but is not in the schema" % (keyspace, table))
                files = link_tree(source, os.path.join(self.copy, "data", keyspace, folder))
                tables.append({"keyspace": keyspace, "table": table, "folder": "data/%s/%s" % (keyspace, folder), "files": files, "columns": columns[keyspace, table]})
        return tables

    def count(self, tables):
        """Counts right after the snapshot: writes in between appear as a difference, so only tables without writes match exactly."""
        deadline = time.monotonic() + COUNT_SECONDS
        for table in tables:
            small = sum(table["files"].values()) <= COUNTED_BYTES
            if small and time.monotonic() < deadline:
                try:
                    table["content"] = content(self.session, table["keyspace"], table["table"])
                except Failed as error:
                    self.say("%s.%s is not counted: %s" % (table["keyspace"], table["table"], error))


def start(ops):
    """Called once by ops.py. Reads the password from its file each time, because it may be rotated meanwhile."""

    def login():
        with open("/admin-login/password") as file:
            return Session("admin", file.read(), ops.address)

    threading.Thread(target=Snapshots(ops, login).watch, daemon=True).start()
