"""A client and a server of HTTP/2 in one process, of which no request is answered.

usage: http2_idle.py FRAMES, which the client sends behind its SETTINGS, as hexadecimal.
"""

import socket
import sys
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
ACK = b"\0\0\0\4\1\0\0\0\0"


def serve(listener):
    peer, _ = listener.accept()
    peer.recv(99)
    peer.sendall(SETTINGS + ACK)
    while peer.recv(99):
        pass
    peer.close()


listener = socket.create_server(("127.0.0.1", 0))
server = threading.Thread(target=serve, args=(listener,))
server.start()
with socket.create_connection(listener.getsockname()) as peer:
    peer.sendall(PREFACE + SETTINGS)
    peer.recv(99)
    peer.sendall(ACK + bytes.fromhex(sys.argv[1]))
server.join()
