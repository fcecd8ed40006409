"""Writes rows to Cassandra without pause, and prints what was acknowledged; with the argument "read" prints the ids that are there.

With the arguments "fill MIB" writes so many MiB that cannot be compressed, each row 64 KiB, and ends.

Prints `ack MS ID` and `error MS KIND`, MS being the time since 1970. An id is never written twice, so a write that failed
counts for nothing, whether or not it is there later.
"""
import itertools
import os
import sys
import threading
import time

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy

ENV = os.environ
LEVEL = getattr(ConsistencyLevel, ENV.get("WRITER_CONSISTENCY", "LOCAL_QUORUM"))
THREADS, PERIOD = 4, 0.1
# As long as a service that does not reach its database usually waits before its liveness probe restarts it.
STUCK_SECONDS = 30
HEADER = "%d-" % (time.time() * 1000)


def say(what, word):
    os.write(1, b"%s %d %s\n" % (what.encode(), time.time() * 1000, word.encode()))


def kind(error):
    """The name of an error; that of the first host's where it stands for all hosts."""
    name = type(error).__name__
    inner = list(getattr(error, "errors", None) or {})
    if isinstance(error, NoHostAvailable) and inner:
        return "%s(%s)" % (name, type(error.errors[inner[0]]).__name__)
    return name


def connect():
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(ENV["CASSANDRA_LOCAL_DATACENTER"])),
        consistency_level=LEVEL,
        request_timeout=5,
    )
    while True:
        cluster = Cluster(
            ENV["CASSANDRA_CONTACT_POINTS"].split(","),
            int(ENV["CASSANDRA_PORT"]),
            auth_provider=PlainTextAuthProvider(ENV["CASSANDRA_USERNAME"], ENV["CASSANDRA_PASSWORD"]),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            reconnection_policy=ConstantReconnectionPolicy(1, None),
            connect_timeout=5,
        )
        try:
            return cluster, cluster.connect(ENV["CASSANDRA_KEYSPACE"])
        except Exception as error:
            say("error", kind(error))
            cluster.shutdown()
            time.sleep(1)


def prepared(session):
    while True:
        try:
            session.execute("CREATE TABLE IF NOT EXISTS acknowledged (id text PRIMARY KEY)")
            return session.prepare("INSERT INTO acknowledged (id) VALUES (?)")
        except Exception as error:
            say("error", kind(error))
            time.sleep(1)


def write():
    numbers, last = itertools.count(), [time.monotonic()]
    cluster, session = connect()
    insert = prepared(session)

    def loop():
        while True:
            begin, row = time.monotonic(), HEADER + str(next(numbers))
            try:
                session.execute(insert, (row,))
                say("ack", row)
                last[0] = time.monotonic()
            except Exception as error:
                say("error", kind(error))
            time.sleep(max(0, begin + PERIOD - time.monotonic()))

    for _ in range(THREADS):
        threading.Thread(target=loop, daemon=True).start()
    while time.monotonic() - last[0] < STUCK_SECONDS:
        time.sleep(1)
    say("error", "restarted")
    os._exit(1)


def read():
    cluster, session = connect()
    deadline = time.monotonic() + 60
    while True:
        try:
            ids = [row.id for row in session.execute("SELECT id FROM acknowledged")]
            break
        except Exception as error:
            if time.monotonic() > deadline:
                sys.exit("cannot read: %s" % error)
            time.sleep(1)
    print("\n".join(ids))
    cluster.shutdown()


def fill(mebibytes):
    """Four rows at a time, each again until it is acknowledged."""
    cluster, session = connect()
    session.execute("CREATE TABLE IF NOT EXISTS filled (id text PRIMARY KEY, content blob)")
    insert = session.prepare("INSERT INTO filled (id, content) VALUES (?, ?)")
    rows, deadline = iter(range(mebibytes * 16)), time.monotonic() + 600

    def loop():
        for number in rows:
            row = (HEADER + str(number), os.urandom(2**16))
            while True:
                try:
                    session.execute(insert, row)
                    break
                except Exception as error:
                    say("error", kind(error))
                    if time.monotonic() > deadline:
                        os._exit(1)
                    time.sleep(1)

    threads = [threading.Thread(target=loop) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cluster.shutdown()


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        fill(int(sys.argv[2]))
    else:
        read() if sys.argv[1:] == ["read"] else write()
