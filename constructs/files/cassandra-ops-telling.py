"""Output of the container `ops` beside a Cassandra node: its log, its state for the other nodes, its metrics.

Port 7011 serves the ring and the scraper:
  GET /metrics      values of the last inspection for Prometheus: a scrape starts no nodetool
  GET /state        current and requested operation of this node, for the other nodes
The same state is in /tmp/status.json, for `kubectl exec`. Standard library only.
"""
import http.server
import json
import os
import threading
import time
import urllib.request
from email.utils import parsedate_to_datetime

import ops_decisions as decisions

STATUS = os.environ.get("STATUS", "/tmp/status.json")
OPS = 7011


class Telling:
    """Base class of Ops. Its methods are thread-safe."""

    def __init__(self, pod, address):
        self.pod, self.address = pod, address
        self.state, self.metrics, self.said = {"pod": pod}, {}, {}
        self.guard = threading.RLock()

    def say(self, text, topic="ops"):
        """Logs a line, unless it repeats the last one of its topic."""
        if self.said.get(topic) != text:
            self.said[topic] = text
            print("%s: %s" % (topic, text), flush=True)

    def metric(self, name, value, help_text, **labels):
        """Sets a gauge; None removes it."""
        key = (name, tuple(sorted(labels.items())))
        with self.guard:
            if value is None:
                self.metrics.pop(key, None)
            else:
                self.metrics[key] = (value, help_text)

    def tell(self, **what):
        """Sets keys of the state."""
        with self.guard:
            self.state.update(what, time=int(time.time()))
            text = json.dumps(self.state)
            with open(STATUS + ".new", "w") as file:
                file.write(text)
            os.replace(STATUS + ".new", STATUS)

    def serve(self):
        ops = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with ops.guard:
                    found = {"/metrics": lambda: decisions.metrics_text(ops.metrics), "/state": lambda: json.dumps(ops.state)}.get(self.path)
                    body = found and found().encode()
                if body is None:
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4" if self.path == "/metrics" else "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                return self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((self.address, OPS), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def peers(self, node):
        """States of the other pods, with the seconds that their clocks are ahead of ours; None for a pod that does not answer."""
        found = {}
        for each in node["members"] + node.get("surplus", []):
            if each["pod"] == self.pod:
                continue
            try:
                with urllib.request.urlopen("http://%s:%d/state" % (each["host"], OPS), timeout=5) as answer:
                    ahead = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
                    found[each["pod"]] = dict(json.load(answer), ahead=round(ahead))
            except (OSError, TypeError, ValueError):
                found[each["pod"]] = None
        return found
