"""Statements of a restore: the schema, roles and permissions of a backup. They can be repeated.

Pure: no request to a ring. Standard library only.
"""
import re

from cql import data_resource, literal, name

NAME = r'(?:"(?:[^"]|"")+"|\w+)'
HEADS = [
    r"CREATE (?P<kind>KEYSPACE) (?P<keyspace>%s)" % NAME,
    r"CREATE (?P<kind>TYPE|FUNCTION|AGGREGATE|TABLE|MATERIALIZED VIEW) (?P<keyspace>%s)\.(?P<table>%s)" % (NAME, NAME),
    r"CREATE (?:CUSTOM )?(?P<kind>INDEX|TRIGGER) (?P<index>%s) ON (?P<keyspace>%s)\.(?P<table>%s)" % (NAME, NAME, NAME),
    r"(?P<kind>ALTER) TABLE (?P<keyspace>%s)\.(?P<table>%s) (?:DROP|ADD) " % (NAME, NAME),
]
# Roles that a restore never loads: the default superuser, marks of the schema job, logins of a restore.
OWN_ROLES = re.compile(r"cassandra|unrepaired_.*|restore_loader_.*")
MADE_HERE = "made_by_schema_job"
MARSHAL = "org.apache.cassandra.db.marshal."
TYPES = {
    "AsciiType": "ascii", "LongType": "bigint", "BytesType": "blob", "BooleanType": "boolean", "SimpleDateType": "date",
    "DecimalType": "decimal", "DoubleType": "double", "DurationType": "duration", "FloatType": "float", "InetAddressType": "inet",
    "Int32Type": "int", "ShortType": "smallint", "UTF8Type": "text", "TimeType": "time", "TimestampType": "timestamp",
    "TimeUUIDType": "timeuuid", "ByteType": "tinyint", "UUIDType": "uuid", "IntegerType": "varint",
}  # fmt: skip


def split(schema):
    """Splits the output of DESCRIBE SCHEMA into statements. Semicolons within quotes or function bodies do not count."""
    statements, start = [], 0
    for match in re.finditer(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$|;""", schema, re.S):
        if match[0] == ";":
            statements.append(schema[start : match.end()].strip())
            start = match.end()
    if schema[start:].strip():
        raise ValueError("the schema of the backup ends within a statement: %s" % schema[start:].strip()[:80])
    return statements


def plain(quoted):
    return quoted[1:-1].replace('""', '"') if quoted.startswith('"') else quoted


def parse(statement):
    """The kind, the keyspace and, if there is one, the table of the object that a statement creates."""
    for head in HEADS:
        match = re.match(head, statement)
        if match:
            found = match.groupdict()
            return {"kind": found["kind"], "keyspace": plain(found["keyspace"]), "table": plain(found["table"]) if found.get("table") else None, "text": repeatable(statement)}
    raise ValueError("the schema of the backup holds a statement that a restore does not know: %s" % statement[:80])


def repeatable(statement):
    """Adds IF NOT EXISTS, and removes the table ID: the ring assigns a new one."""
    statement = re.sub(r"^CREATE ((?:CUSTOM )?[A-Z]+(?: VIEW)?) ", r"CREATE \1 IF NOT EXISTS ", statement)
    statement = re.sub(r"^(ALTER TABLE \S+) DROP ", r"\1 DROP IF EXISTS ", statement)
    statement = re.sub(r"^(ALTER TABLE \S+) ADD ", r"\1 ADD IF NOT EXISTS ", statement)
    return re.sub(r"\bWITH ID = [0-9a-f-]{36}\s+AND ", "WITH ", statement, count=1)


def keyspace_statement(row, datacenter, nodes):
    """CREATE KEYSPACE in the ring's datacenter, with at most one replica a node."""
    options = {key: value for key, value in row["replication"].items() if key != "class"}
    wanted = max((int(value) for value in options.values() if re.fullmatch(r"[0-9]+", value)), default=1)
    copies = "{'class': 'NetworkTopologyStrategy', %s: %d}" % (literal(datacenter), min(wanted, nodes))
    durable = "true" if row["durable_writes"] else "false"
    return "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = %s AND durable_writes = %s;" % (name(row["keyspace_name"]), copies, durable)


def schema_statements(manifest, datacenter, nodes, only=None):
    """The statements of the backup's schema in their order, or those of one keyspace."""
    parsed = [parse(statement) for statement in split(manifest["schema"])]
    for each in parsed:
        if each["kind"] == "KEYSPACE":
            each["text"] = keyspace_statement(manifest["keyspaces"][each["keyspace"]], datacenter, nodes)
    return [each for each in parsed if only is None or each["keyspace"] == only]


def function_resource(path):
    """functions/KEYSPACE/NAME[TYPE^TYPE]; None for an argument type without a CQL name."""
    match = re.fullmatch(r"([^/]+)/(.+)\[(.*)\]", path)
    if match is None:
        return "ALL FUNCTIONS IN KEYSPACE " + name(path) if "/" not in path else None
    types = [TYPES.get(each[len(MARSHAL) :]) for each in match[3].split("^") if each]
    return None if None in types else "FUNCTION %s.%s(%s)" % (name(match[1]), name(match[2]), ", ".join(types))


def resource(path):
    """A resource of system_auth.role_permissions in the words of GRANT; None for one that has no words here."""
    whole = {"roles": "ALL ROLES", "functions": "ALL FUNCTIONS", "mbean": "ALL MBEANS"}
    if path in whole:
        return whole[path]
    kind, _, rest = path.partition("/")
    if kind == "roles":
        return "ROLE " + name(rest)
    return function_resource(rest) if kind == "functions" else data_resource(path)


def role_statements(manifest, present):
    """Statements for the roles that the ring lacks (password hashes, memberships, rights), and notes on omissions.

    'present' has the ring's roles and their memberships. They keep their passwords, and roles of the schema
    job keep their rights too: the ring's own secrets and clients define both.
    """
    statements, notes = [], []
    roles = [row for row in manifest["roles"] if not OWN_ROLES.fullmatch(row["role"])]
    for row in roles:
        if row["role"] not in present:
            password = "HASHED PASSWORD = %s AND " % literal(row["salted_hash"]) if row["salted_hash"] else ""
            flags = "LOGIN = %s AND SUPERUSER = %s" % (str(bool(row["can_login"])).lower(), str(bool(row["is_superuser"])).lower())
            statements.append("CREATE ROLE IF NOT EXISTS %s WITH %s%s;" % (name(row["role"]), password, flags))
    for row in roles:
        for group in sorted(set(row["member_of"] or []) - set(present.get(row["role"], []))):
            # The schema job handles clients that were removed since.
            if not OWN_ROLES.fullmatch(group):
                statements.append("GRANT %s TO %s;" % (name(group), name(row["role"])))
    for row in manifest["grants"]:
        if OWN_ROLES.fullmatch(row["role"]) or MADE_HERE in present.get(row["role"], []):
            continue
        if row["resource"].startswith("roles/") and OWN_ROLES.fullmatch(row["resource"][len("roles/") :]):
            continue
        target = resource(row["resource"])
        if target is None:
            notes.append("permissions of %s on %s were not restored: grant them by hand" % (row["role"], row["resource"]))
            continue
        statements += ["GRANT %s ON %s TO %s;" % (right, target, name(row["role"])) for right in sorted(row["permissions"] or [])]
    notes += ["%s was limited to some datacenters; this limit was not restored" % role for role in manifest["limitedToDatacenters"]]
    return statements, notes
