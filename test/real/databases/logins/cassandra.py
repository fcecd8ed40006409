"""Logs in to Cassandra for each write, as a pod does that starts or whose connections were lost. Prints as cassandra-writer.py does."""
import itertools
import os
import time

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import DCAwareRoundRobinPolicy

ENV = os.environ
START = int(time.time() * 1000)


def say(what, word):
    os.write(1, b"%s %d %s\n" % (what.encode(), time.time() * 1000, word.encode()))


for number in itertools.count():
    row = "%d-login-%d" % (START, number)
    profile = ExecutionProfile(
        load_balancing_policy=DCAwareRoundRobinPolicy(ENV["CASSANDRA_LOCAL_DATACENTER"]),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
    )
    cluster = Cluster(
        ENV["CASSANDRA_CONTACT_POINTS"].split(","),
        int(ENV["CASSANDRA_PORT"]),
        auth_provider=PlainTextAuthProvider(ENV["CASSANDRA_USERNAME"], ENV["CASSANDRA_PASSWORD"]),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
    )
    try:
        session = cluster.connect(ENV["CASSANDRA_KEYSPACE"])
        if number == 0:
            session.execute("CREATE TABLE IF NOT EXISTS logins (id text PRIMARY KEY)")
        session.execute("INSERT INTO logins (id) VALUES (%s)", (row,))
        say("ack", row)
    except Exception as error:
        inner = list(getattr(error, "errors", {}).values())
        say("error", type(inner[0] if inner else error).__name__)
    cluster.shutdown()
    time.sleep(0.05)
