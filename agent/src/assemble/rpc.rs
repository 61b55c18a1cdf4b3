//! A call of gRPC -> its span, in the terms of the semantic conventions for RPC (release candidate).

use super::{Machine, exchange::server, process::bare};
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
    if let Some(ends) = exchange.ends {
        add(Attribute::new(key::NETWORK_PEER_ADDRESS, ends.remote.ip().to_string()));
        add(Attribute::new(key::NETWORK_PEER_PORT, u32::from(ends.remote.port())));
    }
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
    let status = grpc.status.map(name);
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

fn error(exchange: &Exchange, status: Option<&str>) -> Option<String> {
    match (status, exchange.ending) {
        (Some("OK"), _) => None,
        (Some(status), _) => {
            let is_ours = exchange.role == Role::Client || OF_THE_SERVER.contains(&status);
            is_ours.then(|| status.to_owned())
        }
        (None, Ending::Failed(how)) => Some(how.to_owned()),
        (None, Ending::Closed(_)) => Some("connection_closed".to_owned()),
        (None, Ending::Whole | Ending::Unseen) => None,
    }
}
