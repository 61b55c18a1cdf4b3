"""A server that asks another one before it answers, and how it does that.

usage: calling_server.py HOW PORT; prints its port, serves until its input ends.
GET /N makes it get /bytes/17?n=N from PORT, twice.
"""

import asyncio
import concurrent.futures
import http.server
import os
import signal
import socketserver
import sys
import urllib.request

how, port = sys.argv[1], int(sys.argv[2])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        for _ in range(2):
            url = f"http://127.0.0.1:{port}/bytes/17?n={self.path[1:]}"
            urllib.request.urlopen(url).read()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class OneByOne(http.server.HTTPServer):
    request_queue_size = 128


class Threads(socketserver.ThreadingMixIn, OneByOne):
    daemon_threads = True


class Forks(socketserver.ForkingMixIn, OneByOne):
    pass


class Pool(OneByOne):
    """A thread of a few for each request."""

    pool = concurrent.futures.ThreadPoolExecutor(4)

    def process_request(self, request, client_address):
        self.pool.submit(self.serve, request, client_address)

    def serve(self, request, client_address):
        self.finish_request(request, client_address)
        self.shutdown_request(request)


def until_input_ends(server):
    print(server.server_port, flush=True)
    serving = os.fork()
    if serving == 0:
        server.serve_forever()
    sys.stdin.read()
    os.kill(serving, signal.SIGTERM)
    os.wait()


def workers(server):
    print(server.server_port, flush=True)
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            server.serve_forever()
        children.append(child)
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGTERM)
        os.wait()


async def call(number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /bytes/17?n=%s HTTP/1.1\r\nConnection: close\r\n\r\n" % number)
    await reader.read()
    writer.close()


async def answer(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    number = head.split()[1][1:]
    for _ in range(2):
        await call(number)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    await writer.drain()
    writer.close()


async def loop():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


address = ("127.0.0.1", 0)
if how == "threads":
    until_input_ends(Threads(address, Handler))
elif how == "forks":
    until_input_ends(Forks(address, Handler))
elif how == "pool":
    until_input_ends(Pool(address, Handler))
elif how == "workers":
    workers(OneByOne(address, Handler))
else:
    asyncio.run(loop())
