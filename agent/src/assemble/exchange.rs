//! An exchange -> its span, in the terms of the semantic conventions for HTTP (stable).

use std::net::SocketAddr;

use super::{Machine, process::bare, rpc};
use crate::{
    correlate::Placement,
    event::{Connection, Ends, Role},
    exchange::{Ending, Exchange},
    protocol::Version,
    span::{Attribute, Span, SpanKind, Status, key},
};

/// RFC 9110, PATCH (RFC 5789) and QUERY. Others are `_OTHER`, so that names stay few.
const KNOWN_METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

pub(super) fn span(exchange: Exchange, placement: Placement, machine: &Machine) -> Span {
    if let Some(grpc) = exchange.grpc {
        return rpc::span(&exchange, grpc, placement, machine);
    }
    let is_server = exchange.role == Role::Server;
    let method = exchange.request.method.as_str();
    let is_known = KNOWN_METHODS.contains(&method);
    // No path in the name: it would be another one for each thing that is asked for.
    let name = if is_known { method } else { "HTTP" }.to_owned();
    let mut attributes = Vec::with_capacity(20);
    let mut add = |attribute| attributes.push(attribute);
    add(Attribute::new(key::HTTP_REQUEST_METHOD, if is_known { method } else { "_OTHER" }));
    if !is_known {
        add(Attribute::new(key::HTTP_REQUEST_METHOD_ORIGINAL, method));
    }
    let server = server(&exchange);
    if let Some((address, port)) = &server {
        add(Attribute::new(key::SERVER_ADDRESS, address.as_str()));
        if let Some(port) = port {
            add(Attribute::new(key::SERVER_PORT, u32::from(*port)));
        }
    }
    if is_server {
        let (path, query) = path_and_query(&exchange.request.target);
        if knows_target(&exchange) {
            add(Attribute::new(key::URL_PATH, path));
        }
        if let Some(query) = query {
            add(Attribute::new(key::URL_QUERY, query));
        }
        add(Attribute::new(key::URL_SCHEME, scheme(&exchange)));
        if let Some(agent) = &exchange.request.user_agent {
            add(Attribute::new(key::USER_AGENT_ORIGINAL, agent.as_str()));
        }
    } else if knows_target(&exchange) {
        add(Attribute::new(key::URL_FULL, url(&exchange, server.as_ref())));
    }
    peer(&exchange).into_iter().for_each(&mut add);
    if is_server && let Some(Ends::Inet { remote, .. }) = exchange.ends {
        add(Attribute::new(key::CLIENT_ADDRESS, remote.ip().to_string()));
        add(Attribute::new(key::CLIENT_PORT, u32::from(remote.port())));
    }
    add(Attribute::new(key::NETWORK_PROTOCOL_VERSION, version(exchange.version)));
    let sizes = [
        (key::HTTP_REQUEST_BODY_SIZE, exchange.request_body_bytes),
        (key::HTTP_RESPONSE_BODY_SIZE, exchange.response_body_bytes),
        (key::CONNECT_NS, exchange.connect_ns),
        (
            key::FIRST_BYTE_NS,
            exchange.response_first.map(|first| first.0.saturating_sub(exchange.request_first.0)),
        ),
    ];
    for (key, value) in sizes {
        if let Some(value) = value {
            add(Attribute::new(key, value));
        }
    }
    let status = exchange.response.map(|response| response.status);
    if let Some(status) = status {
        add(Attribute::new(key::HTTP_RESPONSE_STATUS_CODE, u32::from(status)));
    }
    if status.is_none() && exchange.ending == Ending::Unseen {
        add(Attribute::new(key::RESPONSE_UNSEEN, true));
    }
    if exchange.joined_late {
        add(Attribute::new(key::JOINED_LATE, true));
    }
    if exchange.request.is_cut {
        add(Attribute::new(key::HEAD_CUT, true));
    }
    let error = error(&exchange, status);
    if let Some(error) = &error {
        add(Attribute::new(key::ERROR_TYPE, error.as_str()));
    }
    Span {
        kind: if is_server { SpanKind::Server } else { SpanKind::Client },
        attributes,
        status: if error.is_some() { Status::Error } else { Status::Unset },
        records: exchange.records,
        ..bare(name, placement, exchange.request_first, exchange.last, machine)
    }
}

/// Who is at the other end, by the socket. The name of a UNIX socket is the server's.
pub(super) fn peer(exchange: &Exchange) -> Vec<Attribute> {
    match exchange.ends {
        None => Vec::new(),
        Some(Ends::Inet { remote, .. }) => vec![
            Attribute::new(key::NETWORK_PEER_ADDRESS, remote.ip().to_string()),
            Attribute::new(key::NETWORK_PEER_PORT, u32::from(remote.port())),
        ],
        Some(Ends::Unix { path, .. }) => {
            let path = Some(path.to_text())
                .filter(|path| !path.is_empty() && exchange.role == Role::Client);
            let path = path.map(|path| Attribute::new(key::NETWORK_PEER_ADDRESS, path));
            path.into_iter().chain([Attribute::new(key::NETWORK_TRANSPORT, "unix")]).collect()
        }
    }
}

/// A connection that could not be opened.
pub(super) fn refused(connection: &Connection, placement: Placement, machine: &Machine) -> Span {
    let mut attributes = vec![Attribute::new(key::ERROR_TYPE, errno(connection.error))];
    // Of UNIX sockets none is seen that could not be opened.
    if let Ends::Inet { remote, .. } = connection.ends {
        attributes.extend([
            Attribute::new(key::SERVER_ADDRESS, remote.ip().to_string()),
            Attribute::new(key::SERVER_PORT, u32::from(remote.port())),
            Attribute::new(key::NETWORK_PEER_ADDRESS, remote.ip().to_string()),
            Attribute::new(key::NETWORK_PEER_PORT, u32::from(remote.port())),
            Attribute::new(key::NETWORK_TRANSPORT, "tcp"),
        ]);
    }
    let start = connection.connect.unwrap_or(connection.time);
    Span {
        kind: SpanKind::Client,
        attributes,
        status: Status::Error,
        ..bare("connect".to_owned(), placement, start, connection.time, machine)
    }
}

/// A client counts 4xx as errors, a server does not: there they are the client's.
fn error(exchange: &Exchange, status: Option<u16>) -> Option<String> {
    let least = if exchange.role == Role::Server { 500 } else { 400 };
    if let Some(status) = status.filter(|status| *status >= least) {
        return Some(status.to_string());
    }
    failure(exchange.ending)
}

/// How it failed on the way, as `error.type` says it.
pub(super) fn failure(ending: Ending) -> Option<String> {
    let how = match ending {
        Ending::Closed(0) => "connection_closed",
        Ending::Closed(number) => return Some(errno(number)),
        Ending::Reset => "stream_reset",
        Ending::Cancelled => "cancelled",
        Ending::Refused => "stream_refused",
        Ending::GoneAway => "goaway",
        Ending::Whole | Ending::Unseen => return None,
    };
    Some(how.to_owned())
}

/// Names that are the same on every architecture: errno(3) of Linux.
fn errno(number: u32) -> String {
    let name = match number {
        32 => "broken_pipe",
        99 => "address_not_available",
        101 => "network_unreachable",
        103 => "connection_aborted",
        104 => "connection_reset",
        110 => "timeout",
        111 => "connection_refused",
        112 => "host_down",
        113 => "host_unreachable",
        125 => "cancelled",
        number => return format!("errno_{number}"),
    };
    name.to_owned()
}

/// Whom the request is for: what the head says, else the address.
pub(super) fn server(exchange: &Exchange) -> Option<(String, Option<u16>)> {
    let authority = exchange.request.authority.as_deref().filter(|text| !text.is_empty());
    let own = exchange.ends.and_then(|ends| match (ends, exchange.role) {
        (Ends::Inet { remote, .. }, Role::Client) => {
            Some((remote.ip().to_string(), Some(remote.port())))
        }
        (Ends::Inet { local, .. }, Role::Server) => {
            Some((local.ip().to_string(), Some(local.port())))
        }
        (Ends::Unix { path, .. }, _) => {
            Some((path.to_text(), None)).filter(|(path, _)| !path.is_empty())
        }
    });
    match authority {
        Some(authority) => {
            let (host, port) = host_and_port(authority);
            Some((host.to_owned(), port.or_else(|| own.and_then(|(_, port)| port))))
        }
        None => own,
    }
}

/// RFC 3986 §3.2: an IPv6 address stands in brackets.
fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !port.contains(']') => {
            (bare_host(host), port.parse().ok())
        }
        _ => (bare_host(authority), None),
    }
}

fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn path_and_query(target: &str) -> (&str, Option<&str>) {
    let after_scheme = target.split_once("://").map(|(_, rest)| rest);
    let target = match after_scheme {
        Some(rest) => rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/"),
        None => target,
    };
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

fn scheme(exchange: &Exchange) -> &str {
    exchange.request.scheme.as_deref().unwrap_or("http")
}

/// Whether an empty target is one.
fn knows_target(exchange: &Exchange) -> bool {
    !exchange.joined_late || !exchange.request.target.is_empty()
}

/// What a client would have been told to fetch.
fn url(exchange: &Exchange, server: Option<&(String, Option<u16>)>) -> String {
    let target = exchange.request.target.as_str();
    if target.contains("://") {
        return target.to_owned();
    }
    let authority = match exchange.request.authority.as_deref() {
        Some(authority) if !authority.is_empty() => authority.to_owned(),
        _ => server
            .and_then(|(host, port)| Some((host.parse().ok()?, (*port)?)))
            .map(|(ip, port)| SocketAddr::new(ip, port).to_string())
            .unwrap_or_default(),
    };
    let target = if target.starts_with('/') { target } else { "" };
    format!("{}://{authority}{target}", scheme(exchange))
}

fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
        Version::Http2 => "2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_taken_apart() {
        let check = |authority, host, port| {
            assert_eq!(host_and_port(authority), (host, port), "{authority}");
        };
        check("example", "example", None);
        check("example:8080", "example", Some(8080));
        check("user:pass@example:1", "example", Some(1));
        check("[::1]:80", "::1", Some(80));
        check("[::1]", "::1", None);
        check("example:", "example", None);
        check("", "", None);
    }

    #[test]
    fn targets_are_taken_apart() {
        let check = |target, path, query| {
            assert_eq!(path_and_query(target), (path, query), "{target}");
        };
        check("/", "/", None);
        check("/a?b=c?d", "/a", Some("b=c?d"));
        check("*", "*", None);
        check("http://host/a?b", "/a", Some("b"));
        check("http://host", "/", None);
    }
}
