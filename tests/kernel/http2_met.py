"""A connection of HTTP/2 that one process opens and uses, and another goes on with.

usage: http2_met.py client|server|torn COMMAND...

The end that is named is handed to COMMAND, which is given another line to run; torn hands over the
client in the middle of an answer's body. Both ends are of h2, from python's packages.
"""

import pickle
import socket
import subprocess
import sys
import threading

import h2.config
import h2.connection
import h2.events

CANARY = b"CANARY-OF-A-BODY"
LONG = 3000 * CANARY


class End:
    """One end of a connection, from its beginning on or with what another knows of its headers."""

    def __init__(self, peer, is_client, known=None):
        self.peer = peer
        config = h2.config.H2Configuration(client_side=is_client)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        if known is None:
            self.send()
        else:
            self.h2.data_to_send()
            self.h2.encoder, self.h2.decoder = known

    def send(self):
        self.peer.sendall(self.h2.data_to_send())

    def until(self, *kinds):
        """Takes what comes, until each of the events came."""
        wanted = list(kinds)
        while wanted:
            for event in self.h2.receive_data(self.peer.recv(1 << 16)):
                if type(event) in wanted:
                    wanted.remove(type(event))
            self.send()

    def ask(self, stream, path):
        names = {":method": "GET", ":path": path, ":scheme": "http", ":authority": "met.example"}
        self.h2.send_headers(stream, list(names.items()), end_stream=True)
        self.send()

    def answer(self, stream, body):
        self.h2.send_headers(stream, [(":status", "200"), ("x-of", "h2")])
        at = 0
        while at < len(body):
            self.h2.send_data(stream, body[at : at + 16384])
            at += 16384
        self.h2.end_stream(stream)
        self.send()


def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]


def hand_over(end, mode, command):
    """Lets another process go on, to its end."""
    known = pickle.dumps((end.h2.encoder, end.h2.decoder))
    number = str(end.peer.fileno())
    words = [*command, sys.executable, __file__, "go-on", mode, number]
    subprocess.run(words, input=known, pass_fds=[end.peer.fileno()], check=True)


def first(near, far, body):
    """An exchange, after which both ends have read all that there is."""
    near.until(h2.events.RemoteSettingsChanged)
    near.ask(1, "/before")
    far.until(h2.events.SettingsAcknowledged, h2.events.RequestReceived)
    far.answer(1, body)


def parent(mode, command):
    socks = pair()
    near, far = End(socks[0], True), End(socks[1], False)
    if mode == "torn":
        first(near, far, LONG)
        near.peer.recv(20000, socket.MSG_WAITALL)
    else:
        first(near, far, CANARY)
        near.until(h2.events.SettingsAcknowledged, h2.events.StreamEnded)

    def serve():
        for stream in (3, 5):
            far.until(h2.events.RequestReceived)
            far.answer(stream, CANARY)

    def ask():
        for stream, path in ((3, "/before"), (5, "/after")):
            near.ask(stream, path)
            near.until(h2.events.StreamEnded)
        near.peer.shutdown(socket.SHUT_WR)

    is_server = mode == "server"
    other = threading.Thread(target=ask if is_server else serve, daemon=True)
    other.start()
    hand_over(far if is_server else near, mode, command)
    other.join()


def go_on(mode, number):
    peer = socket.socket(fileno=int(number))
    known = pickle.load(sys.stdin.buffer)
    if mode == "server":
        far = End(peer, False, known)
        far.h2.receive_data(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        far.h2.data_to_send()
        for stream in (3, 5):
            far.until(h2.events.RequestReceived)
            far.answer(stream, CANARY)
        peer.recv(1)
        return
    near = End(peer, True, known)
    # What it would say to itself of settings is said.
    near.h2.receive_data(b"\0\0\0\4\0\0\0\0\0")
    near.h2.data_to_send()
    for stream, path in ((3, "/before"), (5, "/after")):
        near.ask(stream, path)
        if mode == "torn":
            near.peer.recv(1 << 20)
        else:
            near.until(h2.events.StreamEnded)
    peer.close()


if sys.argv[1] == "go-on":
    go_on(*sys.argv[2:])
else:
    parent(sys.argv[1], sys.argv[2:])
