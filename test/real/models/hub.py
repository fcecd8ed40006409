"""A stand-in for the hub of Hugging Face: one repository o/m at one commit, o/moved without it. hub.py [broken]

Prints its port. `broken` serves weights that are not what their digest says.
"""

import hashlib
import http.server
import json
import sys

COMMIT = "3" * 40
FILES = {"config.json": b'{"model_type": "llama"}', "model.safetensors": b"w" * 5000, "program.py": b"import os"}
BROKEN = sys.argv[1:] == ["broken"]


def digest(name):
    data = FILES[name]
    if name.endswith(".safetensors"):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer(*self.found())

    def do_GET(self):
        self.answer(*self.found())

    def found(self):
        path = self.path.split("?")[0]
        name = path.split("/")[-1]
        if path.startswith("/api/models/o/m/revision/"):
            files = [{"rfilename": each} for each in FILES]
            return 200, {"Content-Type": "application/json"}, json.dumps({"id": "o/m", "modelId": "o/m", "sha": COMMIT, "siblings": files}).encode()
        if path.startswith("/api/models/o/m/tree/"):
            files = [{"type": "file", "path": each, "size": len(FILES[each]), "oid": digest(each)} for each in FILES]
            return 200, {"Content-Type": "application/json"}, json.dumps(files).encode()
        if path.startswith("/api/models/o/moved/"):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if path.startswith("/o/m/resolve/") and name in FILES:
            data = FILES[name]
            if BROKEN and name.endswith(".safetensors"):
                data = b"x" * len(data)
            return 200, {"ETag": f'"{digest(name)}"', "X-Repo-Commit": COMMIT}, data
        return 404, {"X-Error-Code": "RepoNotFound"}, b""

    def answer(self, status, headers, data):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
print(server.server_port, flush=True)
server.serve_forever()
