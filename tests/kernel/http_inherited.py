"""Asks on connections that others opened.

usage: http_inherited.py PORT outer, with a connection to there as standard input
       http_inherited.py inner, likewise
"""

import os
import socket
import subprocess
import sys


def ask(connection, length):
    connection.sendall(b"GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n" % length)
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < length:
        answer += connection.recv(4096)


def by_a_fork(connection, length):
    child = os.fork()
    if child == 0:
        ask(connection, length)
        os._exit(0)
    os.waitpid(child, 0)


if sys.argv[1] == "inner":
    ask(socket.socket(fileno=0), 119)
else:
    # Opened before anything was traced, by this descriptor and by another.
    met = socket.socket(fileno=0)
    ask(met, 34)
    ask(met.dup(), 51)
    by_a_fork(met, 68)
    # Opened here.
    own = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    ask(own, 85)
    by_a_fork(own, 102)
    script = sys.orig_argv[sys.orig_argv.index("-c") + 1]
    subprocess.run([sys.executable, "-c", script, "inner"], stdin=own, check=True)
