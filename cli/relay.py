"""Connects its standard input and output to a port of this pod.

kubectl port-forward reaches only loopback, but Cassandra listens only on the address of its pod.
Standard library only.
"""
import os
import socket
import sys
import threading

peer = socket.create_connection((os.environ["POD_IP"], int(sys.argv[1])), timeout=10)
peer.settimeout(None)


def back():
    while True:
        data = peer.recv(65536)
        if not data:
            os._exit(0)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


reader = threading.Thread(target=back, daemon=True)
reader.start()
while True:
    data = os.read(0, 65536)
    if not data:
        break
    peer.sendall(data)
# Passes on the last answer. Then skips Python's own shutdown, which aborts while the thread holds the output.
peer.shutdown(socket.SHUT_WR)
reader.join(5)
os._exit(0)
