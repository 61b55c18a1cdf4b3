"""grpcio as a client that waits for a second for an answer that comes after two.

usage: grpc_too_late.py ADDRESS; it fails if the answer comes
"""

import sys

import grpc

# StreamingOutputCallRequest with one `response_parameters` of `size` 9 and `interval_us` 2 000 000.
LATE = b"\x12\x06\x08\x09\x10\x80\x89\x7a"
METHOD = "/grpc.testing.TestService/StreamingOutputCall"

with grpc.insecure_channel(sys.argv[1]) as channel:
    call = channel.unary_stream(METHOD, lambda message: message, lambda message: message)
    try:
        list(call(LATE, timeout=1))
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise SystemExit(0)
        raise
raise SystemExit("the answer came")
