"""Servers of Python: its own, an application for gunicorn, and one that goes over to HTTP/2.

usage: pairs.py server|upgrading PORT LOG; gunicorn takes `pairs:app`
"""

import http.server
import socketserver
import sys


def answer(path, body):
    """(status, pieces of the answer) by the end of the path"""
    last = path.rsplit("/", 1)[1]
    if last == "large":
        return 200, [b"l" * 1000] * 300
    answers = {
        "small": (200, b"s" * 1024),
        "text": (200, b"fifteen letters" + body),
        "up": (201, b""),
        "fail": (503, b"no"),
    }
    status, answer = answers.get(last, (404, b"none"))
    return status, [answer] if answer else []


def logged(method, path, body):
    """The same, and first a line: the server may be told to end as soon as the answer has arrived."""
    status, pieces = answer(path, body)
    size = sum(map(len, pieces))
    with open(sys.argv[3], "a") as log:
        log.write(f"{method} {path} {status} {len(body)}/{size}\n")
    return status, pieces, size


def app(environ, start_response):
    """What gunicorn calls. The header says what came, for its log."""
    body = environ["wsgi.input"].read()
    status, pieces = answer(environ["PATH_INFO"], body)
    headers = [("X-Came", str(len(body)))]
    # More than one go in chunks.
    if len(pieces) < 2:
        headers.append(("Content-Length", str(sum(map(len, pieces)))))
    start_response(f"{status} As Asked", headers)
    return pieces


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_GET(self):
        status, pieces, size = logged(self.command, self.path, self.body())
        # HTTP/1.0 has no chunks.
        chunks = len(pieces) > 1 and self.request_version == "HTTP/1.1"
        self.send_response(status)
        if chunks:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(size))
        # A client of HTTP/1.0 would take an answer of HTTP/1.1 for a connection that stays.
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunks else piece)
        if chunks:
            self.wfile.write(b"0\r\n\r\n")

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


class Upgrading(socketserver.BaseRequestHandler):
    """The first request of a connection becomes the first stream (h2c, RFC 7540 section 3.2)."""

    def handle(self):
        import h2.config
        import h2.connection
        import h2.events

        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(4096)
        first, *lines = head.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines if line)
        settings = {name.lower(): value for name, value in fields.items()}["http2-settings"]
        self.request.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        self.speaks = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.speaks.initiate_upgrade_connection(settings.encode())
        # By stream: method, path and body of a request, and what is still to be sent of an answer.
        self.came, self.unsent = {}, {}
        method, path, _ = first.split(" ")
        self.came[1] = (method, path, bytearray())
        self.answer(1)
        while piece := self.request.recv(65536):
            for event in self.speaks.receive_data(piece):
                stream = getattr(event, "stream_id", None)
                if isinstance(event, h2.events.RequestReceived):
                    fields = {bytes(name): bytes(value).decode() for name, value in event.headers}
                    self.came[stream] = (fields[b":method"], fields[b":path"], bytearray())
                elif isinstance(event, h2.events.DataReceived):
                    self.came[stream][2].extend(event.data)
                    self.speaks.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.StreamEnded):
                    self.answer(stream)
            self.send()

    def answer(self, stream):
        method, path, body = self.came.pop(stream)
        status, pieces, _ = logged(method, path, bytes(body))
        self.speaks.send_headers(stream, [(":status", str(status))])
        self.unsent[stream] = b"".join(pieces)
        self.send()

    def send(self):
        """As much as the windows let through."""
        for stream, rest in list(self.unsent.items()):
            while True:
                window = self.speaks.local_flow_control_window(stream)
                size = min(len(rest), window, self.speaks.max_outbound_frame_size)
                if rest and not size:
                    break
                piece, rest = rest[:size], rest[size:]
                self.speaks.send_data(stream, piece, end_stream=not rest)
                if not rest:
                    break
            if rest:
                self.unsent[stream] = rest
            else:
                del self.unsent[stream]
        self.request.sendall(self.speaks.data_to_send())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    handler = {"server": Handler, "upgrading": Upgrading}[sys.argv[1]]
    Server(("127.0.0.1", int(sys.argv[2])), handler).serve_forever()
