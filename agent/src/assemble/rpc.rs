//! A call of gRPC -> its span, in the terms of the semantic conventions for RPC (release candidate).

use super::{
    Machine,
    exchange::{failure, peer, server},
    process::bare,
};
use crate::{
    correlate::Placement,
    event::Role,
    exchange::{Ending, Exchange},
    protocol::Grpc,
    span::{Attribute, Span, SpanKind, Status, key},
};

/// By number (grpc/status.h).
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// What a server is to blame for.
const OF_THE_SERVER: [&str; 6] =
    ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

pub(super) fn span(
    exchange: &Exchange,
    grpc: Grpc,
    placement: Placement,
    machine: &Machine,
) -> Span {
    let is_server = exchange.role == Role::Server;
    let target = exchange.request.target.as_str();
    let method = target.strip_prefix('/').unwrap_or(target);
    let mut attributes = vec![Attribute::new(key::RPC_SYSTEM_NAME, "grpc")];
    let mut add = |attribute| attributes.push(attribute);
    if !method.is_empty() {
        add(Attribute::new(key::RPC_METHOD, method));
    }
    if let Some((address, port)) = server(exchange) {
        add(Attribute::new(key::SERVER_ADDRESS, address));
        if let Some(port) = port {
            add(Attribute::new(key::SERVER_PORT, u32::from(port)));
        }
    }
    peer(exchange).into_iter().for_each(&mut add);
    let first = exchange.response_first;
    let counts = [
        (key::RPC_REQUESTS, grpc.request_messages),
        (key::RPC_RESPONSES, grpc.response_messages),
        (key::FIRST_BYTE_NS, first.map(|at| at.0.saturating_sub(exchange.request_first.0))),
    ];
    for (key, count) in counts {
        if let Some(count) = count {
            add(Attribute::new(key, count));
        }
    }
    let status = status(exchange, grpc);
    if let Some(status) = &status {
        add(Attribute::new(key::RPC_RESPONSE_STATUS_CODE, status.as_str()));
    }
    if exchange.joined_late {
        add(Attribute::new(key::JOINED_LATE, true));
    }
    if status.is_none() && exchange.ending == Ending::Unseen {
        add(Attribute::new(key::RESPONSE_UNSEEN, true));
    }
    let error = error(exchange, status.as_deref());
    if let Some(error) = &error {
        add(Attribute::new(key::ERROR_TYPE, error.as_str()));
    }
    let name = if method.is_empty() { "grpc" } else { method };
    Span {
        kind: if is_server { SpanKind::Server } else { SpanKind::Client },
        attributes,
        status: if error.is_some() { Status::Error } else { Status::Unset },
        records: exchange.records,
        ..bare(name.to_owned(), placement, exchange.request_first, exchange.last, machine)
    }
}

fn name(status: u32) -> String {
    let known = usize::try_from(status).ok().and_then(|status| STATUSES.get(status));
    known.map_or_else(|| status.to_string(), |name| (*name).to_owned())
}

/// The server's, else the one that a client makes of how the call ended (gRPC over HTTP/2, "Errors",
/// and doc/http-grpc-status-mapping.md). Where clients differ, none.
fn status(exchange: &Exchange, grpc: Grpc) -> Option<String> {
    let made = || match exchange.ending {
        Ending::Cancelled if is_too_late(exchange) => Some("DEADLINE_EXCEEDED"),
        Ending::Cancelled => Some("CANCELLED"),
        Ending::Refused => Some("UNAVAILABLE"),
        Ending::Whole => of_http(exchange.response?.status),
        Ending::Reset | Ending::GoneAway | Ending::Closed(_) | Ending::Unseen => None,
    };
    grpc.status.map(name).or_else(|| made().map(ToOwned::to_owned))
}

/// The client's time began a little before its request was sent, and what is left of it is rounded.
fn is_too_late(exchange: &Exchange) -> bool {
    let took = exchange.last.0.saturating_sub(exchange.request_first.0);
    exchange.request.timeout_ns.is_some_and(|timeout| took >= timeout - timeout / 50)
}

/// An answer of something between that knows nothing of gRPC.
fn of_http(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => return None,
        400 => "INTERNAL",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "UNIMPLEMENTED",
        429 | 502..=504 => "UNAVAILABLE",
        _ => "UNKNOWN",
    })
}

fn error(exchange: &Exchange, status: Option<&str>) -> Option<String> {
    let Some(status) = status else { return failure(exchange.ending) };
    let is_ours = exchange.role == Role::Client || OF_THE_SERVER.contains(&status);
    (status != "OK" && is_ours).then(|| status.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{BootNanos, ConnectionId, TaskId},
        protocol::{RequestHead, ResponseHead, Version},
    };

    fn call(role: Role, ending: Ending, http: Option<u16>, timeout_ns: Option<u64>) -> Exchange {
        Exchange {
            connection: ConnectionId { sock: 1, since_ns: 1 },
            ordinal: 0,
            role,
            process: TaskId::ROOT,
            owner: TaskId::ROOT,
            tid: None,
            ends: None,
            peer: None,
            cause: None,
            version: Version::Http2,
            request: RequestHead { timeout_ns, ..RequestHead::default() },
            response: http.map(|status| ResponseHead { status }),
            request_first: BootNanos(1_000),
            response_first: None,
            last: BootNanos(1_000 + 99_500_000),
            request_body_bytes: None,
            response_body_bytes: None,
            connect_ns: None,
            ending,
            grpc: None,
            joined_late: false,
            records: 1,
        }
    }

    #[test]
    fn a_call_has_the_status_that_its_client_was_given() {
        use Ending::{Cancelled, Closed, Refused, Reset, Unseen, Whole};
        let check = |ending, http, timeout_ns, grpc, client: &str, server: &str| {
            for (role, expected) in [(Role::Client, client), (Role::Server, server)] {
                let call = call(role, ending, http, timeout_ns);
                let status = status(&call, Grpc { status: grpc, ..Grpc::default() });
                let error = error(&call, status.as_deref());
                let shown = [status, error].map(|text| text.unwrap_or_else(|| "-".to_owned()));
                assert_eq!(shown.join(" "), expected, "{role:?} {ending:?} {http:?}");
            }
        };
        let late = "DEADLINE_EXCEEDED DEADLINE_EXCEEDED";
        check(Whole, Some(200), None, Some(0), "OK -", "OK -");
        check(Whole, Some(200), None, Some(5), "NOT_FOUND NOT_FOUND", "NOT_FOUND -");
        check(Whole, Some(200), None, Some(13), "INTERNAL INTERNAL", "INTERNAL INTERNAL");
        check(Whole, Some(200), None, Some(99), "99 99", "99 -");
        check(Cancelled, Some(200), None, None, "CANCELLED CANCELLED", "CANCELLED -");
        check(Cancelled, None, Some(100_000_000), None, late, late);
        check(Cancelled, None, Some(500_000_000), None, "CANCELLED CANCELLED", "CANCELLED -");
        check(Refused, None, None, None, "UNAVAILABLE UNAVAILABLE", "UNAVAILABLE UNAVAILABLE");
        check(Whole, Some(503), None, None, "UNAVAILABLE UNAVAILABLE", "UNAVAILABLE UNAVAILABLE");
        check(Whole, Some(401), None, None, "UNAUTHENTICATED UNAUTHENTICATED", "UNAUTHENTICATED -");
        check(Whole, Some(200), None, None, "- -", "- -");
        check(Reset, None, None, None, "- stream_reset", "- stream_reset");
        check(Closed(0), None, None, None, "- connection_closed", "- connection_closed");
        check(Unseen, None, None, None, "- -", "- -");
    }
}
