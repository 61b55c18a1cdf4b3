"""grpcio as a server of gRPC's interoperability service. It logs what each call was.

usage: grpc_interop.py PORT LOG; messages are read and written by hand, no code is generated
"""

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc


def fields(message):
    """(number, value) of each field; those of these messages are numbers and bytes."""

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    at = 0
    while at < len(message):
        key, value = number(), number()
        if key & 7 == 2:
            at, value = at + value, message[at : at + value]
        yield key >> 3, value


def number(value):
    """As protobuf writes it."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def payload(size):
    """A message whose first field is a `Payload` with a `body` of this size."""
    inner = b"\x12" + number(size) + bytes(size)
    return b"\x0a" + number(len(inner)) + inner


def serve(port, log):
    codes = {code.value[0]: code for code in grpc.StatusCode}

    def ended(method, status, came, went):
        with open(log, "a") as file:
            file.write(f"grpc.testing.TestService/{method} {status}: {came}/{went}\n")

    def asked_to_fail(method, request, came, context):
        status = dict(fields(dict(fields(request)).get(7, b"")))
        if code := codes.get(status.get(1, 0)):
            if code != grpc.StatusCode.OK:
                ended(method, code.name, came, 0)
                context.abort(code, status.get(2, b"").decode())

    def echo(context):
        came = dict(context.invocation_metadata())
        first, last = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
        if first in came:
            context.send_initial_metadata([(first, came[first])])
        if last in came:
            context.set_trailing_metadata([(last, came[last])])

    def answers(request):
        for field, value in fields(request):
            if field == 2:
                yield payload(dict(fields(value)).get(1, 0))

    def empty(_, context):
        ended("EmptyCall", "OK", 1, 1)
        return b""

    def unary(request, context):
        echo(context)
        asked_to_fail("UnaryCall", request, 1, context)
        ended("UnaryCall", "OK", 1, 1)
        return payload(dict(fields(request)).get(2, 0))

    def output(request, context):
        went = 0
        for went, answer in enumerate(answers(request), 1):
            yield answer
        ended("StreamingOutputCall", "OK", 1, went)

    def input(requests, context):
        came = size = 0
        for came, request in enumerate(requests, 1):
            size += len(dict(fields(dict(fields(request)).get(1, b""))).get(2, b""))
        ended("StreamingInputCall", "OK", came, 1)
        return b"\x08" + number(size)

    def both(requests, context):
        echo(context)
        came = went = 0
        for came, request in enumerate(requests, 1):
            asked_to_fail("FullDuplexCall", request, came, context)
            for answer in answers(request):
                went += 1
                yield answer
        ended("FullDuplexCall", "OK", came, went)

    methods = {
        "EmptyCall": grpc.unary_unary_rpc_method_handler(empty),
        "UnaryCall": grpc.unary_unary_rpc_method_handler(unary),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(output),
        "StreamingInputCall": grpc.stream_unary_rpc_method_handler(input),
        "FullDuplexCall": grpc.stream_stream_rpc_method_handler(both),
    }
    service = grpc.method_handlers_generic_handler("grpc.testing.TestService", methods)
    server = grpc.server(ThreadPoolExecutor(4), handlers=(service,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    ended_by = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended_by.set())
    server.start()
    ended_by.wait()
    server.stop(1).wait()


serve(*sys.argv[1:])
