"""Runs statements with cqlsh as one user, and returns rows.

Passwords go into files that only this process can read, never on a command line.
Standard library only.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

PORT = os.environ.get("CASSANDRA_PORT", "9042")
# cqlsh prints it when its version differs from Cassandra's.
WARNING = "WARNING: cqlsh was built against"


class Failed(Exception):
    """An error that a retry may fix."""


def name(text):
    """A keyspace or a role in CQL. Quoted, because many words (order, index, user) are reserved."""
    return '"%s"' % text.replace('"', '""')


def literal(text):
    return "'%s'" % text.replace("'", "''")


def data_resource(path):
    """A resource of system_auth.role_permissions in the words of GRANT and REVOKE; None if it is no keyspace or table."""
    match = re.fullmatch(r"data/([^/]+)(?:/(.+))?", path)
    if path == "data":
        return "ALL KEYSPACES"
    if match is None:
        return None
    if match[2] is None:
        return "KEYSPACE " + name(match[1])
    return ("ALL TABLES IN KEYSPACE " + name(match[1])) if match[2] == "*" else "TABLE %s.%s" % (name(match[1]), name(match[2]))


def without_passwords(text):
    for variable, value in os.environ.items():
        if "PASSWORD" in variable and value:
            text = text.replace(value, "***")
    return text


def private(text):
    file = tempfile.NamedTemporaryFile("w", delete=False)
    file.write(text)
    file.close()
    return file.name


class Session:
    """cqlsh as one user."""

    def __init__(self, user, password, host):
        if password != password.strip() or "\n" in password:
            sys.exit("the password of %s begins or ends with a space, or has a line break: cqlsh cannot read it from an ini file; write another password to the secret" % user)
        self.user, self.host = user, host
        self.credentials = "[PlainTextAuthProvider]\nusername = %s\npassword = %s\n" % (user, password)

    def lines(self, cql):
        """The lines that cqlsh prints. Raises Failed with the last lines, without passwords."""
        files = [private(self.credentials), private(cql)]
        command = ["cqlsh", self.host, PORT, "--credentials", files[0], "--connect-timeout", "10", "--request-timeout", "60", "-f", files[1]]
        last = []
        try:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True) as process:
                for line in process.stdout:
                    if not line.startswith(WARNING):
                        last = last[-1:] + [line.strip()] if line.strip() else last
                        yield line
        finally:
            for file in files:
                os.remove(file)
        if process.returncode != 0:
            raise Failed("cqlsh as %s: %s" % (self.user, without_passwords(" ".join(last)) or "ended with %d" % process.returncode))

    def run(self, cql):
        return "".join(self.lines(cql))

    def json_lines(self, select):
        """Rows of a SELECT JSON. cqlsh doubles each backslash in its output."""
        lines = (line.strip().replace("\\\\", "\\") for line in self.lines(select))
        return (line for line in lines if line.startswith("{"))

    def rows(self, select):
        return [json.loads(line) for line in self.json_lines(select)]

    def refusal(self):
        """Why this user cannot log in; None when it can."""
        try:
            self.run("SELECT release_version FROM system.local;")
            return None
        except Failed as error:
            return str(error)
