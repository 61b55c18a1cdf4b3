"""Clients that people write with Python and its packages.

usage: http_programs.py urllib|http.client|requests|httpx|httpx-http2|aiohttp URL PATHS...

Each path is fetched in turn; with packages then all of them at once too, twenty times each. What
starts with `+` is sent: `+9 /path` is a POST of 9 bytes, `=9 /path` a PUT, `~9 /path` a POST in chunks.
"""

import asyncio
import sys

SENT = {"+": "POST", "=": "PUT", "~": "POST"}
AT_ONCE = 20


def parse(word):
    """(method, path, size of the body, whether in chunks)"""
    if word[0] not in SENT:
        return "GET", word, None, False
    size, path = word[1:].split(" ", 1)
    return SENT[word[0]], path, int(size), word[0] == "~"


def pieces(size):
    for start in range(0, size, 1000):
        yield b"p" * min(1000, size - start)


async def pieces_async(size):
    for piece in pieces(size):
        yield piece


def sent(size, chunked):
    return None if size is None else pieces(size) if chunked else b"b" * size


def with_urllib(base, wanted):
    import urllib.error
    import urllib.request

    for method, path, size, chunked in wanted:
        request = urllib.request.Request(base + path, sent(size, chunked), method=method)
        try:
            urllib.request.urlopen(request).read()
        except urllib.error.HTTPError as error:
            error.read()


def with_http_client(base, wanted):
    import http.client
    import urllib.parse

    url = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(url.hostname, url.port)
    for method, path, size, chunked in wanted:
        connection.request(method, url.path + path, sent(size, chunked))
        connection.getresponse().read()


def with_requests(base, wanted):
    import concurrent.futures

    import requests

    def ask(session, one):
        method, path, size, chunked = one
        session.request(method, base + path, data=sent(size, chunked)).content

    with requests.Session() as session:
        for one in wanted:
            ask(session, one)

    def all_of_it(_):
        with requests.Session() as session:
            for one in wanted:
                ask(session, one)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(all_of_it, range(AT_ONCE)))


async def with_httpx(base, wanted, http2):
    import httpx

    # Over HTTP/2 two that send at one time may wait for ever for a window that the other was told of
    # (https://github.com/pydantic/httpx2/issues/1133).
    sending = asyncio.Semaphore(1 if http2 else AT_ONCE)

    async def ask(client, one):
        method, path, size, chunked = one
        if size is None:
            return await client.request(method, base + path)
        body = pieces_async(size) if chunked else b"b" * size
        async with sending:
            return await client.request(method, base + path, content=body)

    async with httpx.AsyncClient(http1=not http2, http2=http2, timeout=60) as client:
        for one in wanted:
            await ask(client, one)
        await asyncio.gather(*(ask(client, one) for one in wanted * AT_ONCE))


async def with_aiohttp(base, wanted):
    import aiohttp

    async def ask(session, one):
        method, path, size, chunked = one
        body = None if size is None else pieces_async(size) if chunked else b"b" * size
        async with session.request(method, base + path, data=body) as response:
            await response.read()

    async with aiohttp.ClientSession() as session:
        for one in wanted:
            await ask(session, one)
        await asyncio.gather(*(ask(session, one) for one in wanted * AT_ONCE))


if __name__ == "__main__":
    name, base, *paths = sys.argv[1:]
    wanted = [parse(path) for path in paths]
    in_turn = {"urllib": with_urllib, "http.client": with_http_client, "requests": with_requests}
    if name in in_turn:
        in_turn[name](base, wanted)
    elif name == "aiohttp":
        asyncio.run(with_aiohttp(base, wanted))
    else:
        asyncio.run(with_httpx(base, wanted, name == "httpx-http2"))
