"""A temporary Cassandra node for a restore drill: on loopback, with its data beside the fetched files. Standard library only."""
import contextlib
import os
import shutil
import subprocess
import time

from cql import Failed, Session

CONF = os.environ.get("CASSANDRA_CONF", "/etc/cassandra")
WORK = os.environ.get("WORK", "/tmp")
START_SECONDS = 600
HEAP = 384


def settings(data):
    """Switches on every optional feature, so that the schema of any ring can be restored."""
    folders = ["%s: %s/%s" % (key, data, folder) for key, folder in (
        ("commitlog_directory", "commitlog"), ("hints_directory", "hints"), ("saved_caches_directory", "caches"), ("cdc_raw_directory", "cdc"))]  # fmt: skip
    return "\n".join([
        'cluster_name: "drill"', "num_tokens: 1", "partitioner: org.apache.cassandra.dht.Murmur3Partitioner",
        "endpoint_snitch: SimpleSnitch", "seed_provider:", "  - class_name: org.apache.cassandra.locator.SimpleSeedProvider",
        "    parameters:", '      - seeds: "127.0.0.1"', "listen_address: 127.0.0.1", "rpc_address: 127.0.0.1",
        "start_native_transport: true", "authenticator: PasswordAuthenticator", "authorizer: CassandraAuthorizer",
        "role_manager: CassandraRoleManager", "commitlog_sync: periodic", "commitlog_sync_period: 10000ms",
        "data_file_directories:", "  - %s/data" % data, "auto_snapshot: false", "materialized_views_enabled: true",
        "user_defined_functions_enabled: true", "sasi_indexes_enabled: true"] + folders) + "\n"  # fmt: skip


def options():
    memory = ["-Xms%dm" % HEAP, "-Xmx%dm" % HEAP, "-XX:MaxDirectMemorySize=%dm" % (HEAP // 4), "-Xss256k"]
    return "\n".join(memory + ["-XX:+ExitOnOutOfMemoryError", "-Djava.net.preferIPv4Stack=true"]) + "\n"


LOGBACK = """<configuration><appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>cassandra: %level %msg%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="STDOUT" /></root></configuration>
"""


def configure(data):
    """Writes our settings into a copy of the image's configuration folder."""
    conf = os.path.join(WORK, "conf")
    shutil.rmtree(conf, ignore_errors=True)
    shutil.copytree(CONF, conf)
    for file, text in (("cassandra.yaml", settings(data)), ("jvm-server.options", options()), ("logback.xml", LOGBACK)):
        with open(os.path.join(conf, file), "w") as opened:
            opened.write(text)
    return conf


def ready(process):
    """Waits for the node, and returns a session as the default superuser of a new ring."""
    session, deadline = Session("cassandra", "cassandra", "127.0.0.1"), time.monotonic() + START_SECONDS
    while True:
        refusal = session.refusal()
        if refusal is None:
            return session
        if process.poll() is not None:
            raise Failed("Cassandra of the drill exited with code %d; its log is above" % process.returncode)
        if time.monotonic() > deadline:
            raise Failed("Cassandra of the drill accepts no login after %d s: %s" % (START_SECONDS, refusal))
        time.sleep(3)


@contextlib.contextmanager
def node(staging):
    data = os.path.join(staging, ".drill")
    shutil.rmtree(data, ignore_errors=True)
    conf, logs = configure(data), os.path.join(WORK, "logs")
    os.makedirs(logs, exist_ok=True)
    environment = dict(os.environ, CASSANDRA_CONF=conf, CASSANDRA_LOG_DIR=logs)
    flags = ["-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=1000"]
    process = subprocess.Popen(["cassandra", "-f"] + flags, env=environment)
    try:
        yield ready(process)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(data, ignore_errors=True)
