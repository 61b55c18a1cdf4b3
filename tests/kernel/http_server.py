"""A server that answers in every framing that HTTP/1 has.

usage: http_server.py; prints its port, serves until its input ends.
"""

import http.server
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def length(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for size in (1, 700, 40000):
                self.wfile.write(b"%x;a=b\r\n" % size + b"HTTP/1.1 200 GET / "[:1] * size + b"\r\n")
            self.wfile.write(b"0\r\nTrailer: x\r\n\r\n")
        elif path == "/close":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"c" * 5000)
            self.close_connection = True
        elif path == "/none":
            self.send_response(204)
            self.end_headers()
        elif path == "/hints":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            self.length(200, b"h" * 10)
        elif path == "/slow/head":
            time.sleep(0.1)
            self.length(200, b"slow")
        elif path == "/slow/body":
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            time.sleep(0.1)
            self.wfile.write(b"slow")
        elif path.startswith("/status/"):
            self.length(int(path.rsplit("/", 1)[1]), b"s" * 3)
        elif path.startswith("/bytes/"):
            self.length(200, b"CANARY-OF-A-BODY " * (int(path.rsplit("/", 1)[1]) // 17))
        else:
            self.length(404, b"no")

    do_HEAD = do_GET

    def do_POST(self):
        self.length(200, self.body())

    do_PUT = do_POST

    def do_PURGE(self):
        self.length(200, b"")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
