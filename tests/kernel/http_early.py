"""A server that answers before it read the body of the request, and its client, in one process.

Each connection has its way to send the body, after the answer came or before.
"""

import os
import socket
import tempfile
import threading

BODY = b"b" * 1000


def read_head(peer):
    came = b""
    while b"\r\n\r\n" not in came:
        came += peer.recv(4096)
    return came.split(b"\r\n\r\n", 1)


def serve(listener, connections):
    for _ in range(connections):
        peer, _ = listener.accept()
        while True:
            head, came = read_head(peer)
            if b"Expect:" in head:
                peer.sendall(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                break
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            if b"Content-Length" in head:
                while len(came) < len(BODY):
                    came += peer.recv(4096)
            if head.startswith(b"GET"):
                break
        peer.close()


def ask(peer, head, body=None):
    """The body is sent when the answer is there."""
    peer.sendall(head.encode() + b"\r\nHost: x\r\n\r\n")
    peer.recv(4096)
    if body:
        body(peer)


def by_sendfile(peer):
    with tempfile.TemporaryFile() as file:
        file.write(BODY)
        file.flush()
        assert os.sendfile(peer.fileno(), file.fileno(), 0, len(BODY)) == len(BODY)


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=serve, args=(listener, 2))
    server.start()
    length = f" HTTP/1.1\r\nContent-Length: {len(BODY)}"
    with socket.create_connection(listener.getsockname()) as peer:
        ask(peer, "POST /sent" + length, lambda peer: peer.sendall(BODY))
        ask(peer, "POST /sendfile" + length, by_sendfile)
        ask(peer, "GET /next HTTP/1.1")
    with socket.create_connection(listener.getsockname()) as peer:
        ask(peer, "POST /refused" + length + "\r\nExpect: 100-continue")
    server.join()


main()
