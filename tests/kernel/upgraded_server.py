"""An HTTP/1 server that goes over to HTTP/2 where a client asks for it (h2c, RFC 7540 section 3.2).

usage: upgraded_server.py PORT; one thread a connection, every answer is 2000 bytes.
"""

import socketserver
import sys

import h2.config
import h2.connection
import h2.events

BODY = b"b" * 2000


class Upgraded(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(4096)
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n") if b": " in line)
        settings = {name.lower(): value for name, value in fields.items()}[b"http2-settings"]
        self.request.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        configuration = h2.config.H2Configuration(client_side=False)
        self.speaks = h2.connection.H2Connection(configuration)
        self.speaks.initiate_upgrade_connection(settings)
        self.answer(1)
        while piece := self.request.recv(65536):
            for event in self.speaks.receive_data(piece):
                if isinstance(event, h2.events.StreamEnded):
                    self.answer(event.stream_id)
            self.request.sendall(self.speaks.data_to_send())

    def answer(self, stream):
        self.speaks.send_headers(stream, [(":status", "200")])
        self.speaks.send_data(stream, BODY, end_stream=True)
        self.request.sendall(self.speaks.data_to_send())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


Server(("127.0.0.1", int(sys.argv[1])), Upgraded).serve_forever()
