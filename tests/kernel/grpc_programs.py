"""grpcio as a client of gRPC's interoperability service, and as a server with health and reflection.

usage: grpc_programs.py client PORT | server PORT [ADDRESS]

Messages are written by hand: the four kinds of calls need no generated code.
"""

import signal
import sys
import threading

import grpc

SERVICE = "/grpc.testing.TestService/"
# StreamingOutputCallRequest with one `response_parameters` of `size` 10.
ONE_OF_TEN = b"\x12\x02\x08\x0a"
CANARY = b"CANARY-OF-A-BODY"
# SimpleRequest with `response_status`, code 5 (NOT_FOUND), and a `payload`.
NOT_FOUND = b"\x3a\x02\x08\x05" + b"\x1a\x12\x12\x10" + CANARY
# 200 000 as protobuf writes it.
LONG = b"\xc0\x9a\x0c"
# SimpleRequest with `response_size` LONG and a `payload` as long, of zeros, which look like messages.
BOTH_LONG = b"\x10" + LONG + b"\x1a\xc4\x9a\x0c" + b"\x12" + LONG + bytes(199_984) + CANARY


def identity(message):
    return message


def client(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:

        def call(kind, method):
            make = getattr(channel, kind)
            return make(SERVICE + method, request_serializer=identity, response_deserializer=identity)

        for _ in range(20):
            call("unary_unary", "EmptyCall")(b"")
        list(call("unary_stream", "StreamingOutputCall")(ONE_OF_TEN * 7))
        call("stream_unary", "StreamingInputCall")(iter([b""] * 5))
        list(call("stream_stream", "FullDuplexCall")(iter([ONE_OF_TEN] * 3)))
        for method, request in (("UnaryCall", NOT_FOUND), ("UnimplementedCall", b"")):
            try:
                call("unary_unary", method)(request)
            except grpc.RpcError:
                continue
            raise SystemExit(f"{method} did not fail")
        # Many at one time on one connection.
        empty = call("unary_unary", "EmptyCall")
        for future in [empty.future(b"") for _ in range(50)]:
            future.result()
        # Messages in many frames between those of others, and many in a frame.
        unary = call("unary_unary", "UnaryCall")
        for future in [unary.future(BOTH_LONG) for _ in range(6)]:
            future.result()
        list(call("unary_stream", "StreamingOutputCall")(ONE_OF_TEN * 3000))
        call("stream_unary", "StreamingInputCall")(iter([b""] * 1000))


def server(port, *addresses):
    from concurrent.futures import ThreadPoolExecutor

    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection

    server = grpc.server(ThreadPoolExecutor(4))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection([health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    for address in (f"127.0.0.1:{port}", *addresses):
        server.add_insecure_port(address)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server.start()
    ended.wait()
    server.stop(1).wait()


{"client": client, "server": server}[sys.argv[1]](*sys.argv[2:])
