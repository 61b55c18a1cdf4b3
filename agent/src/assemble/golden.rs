//! Whole spans of requests: every attribute, in its order, and the status.

use std::net::SocketAddr;

use abi::{budget::Untold, socket::PATH_MAX};

use super::{Machine, beyond, exchange};
use crate::{
    clock::Clock,
    correlate::Placement,
    event::{Beyond, BootNanos, ConnectionId, Ends, Role, SocketPath, TaskId, UnixSocket},
    exchange::{Ending, Exchange},
    id::{SpanId, TraceId},
    propagation::Upstream,
    protocol::{Grpc, RequestHead, ResponseHead, Version},
    span::{Attribute, SpanKind, Status, UnixNanos},
};

fn machine() -> Machine {
    Machine { clock: Clock::new(BootNanos(0), UnixNanos(1_000_000)), page_bytes: 4096 }
}

/// `POST http://api.example:8080/v1?a=b`, from 10.0.0.1:5000 to 10.0.0.2:80, by the one or the other.
fn request(role: Role) -> Exchange {
    let ends: [SocketAddr; 2] =
        ["10.0.0.1:5000", "10.0.0.2:80"].map(|address| address.parse().unwrap());
    let [client, server] = ends;
    Exchange {
        connection: ConnectionId { sock: 1, since_ns: 1 },
        ordinal: 1,
        role,
        process: TaskId::ROOT,
        owner: TaskId::ROOT,
        tid: Some(1),
        ends: Some(match role {
            Role::Client => Ends::Inet { local: client, remote: server },
            Role::Server => Ends::Inet { local: server, remote: client },
        }),
        peer: None,
        cause: None,
        version: Version::Http11,
        request: RequestHead {
            method: "POST".to_owned(),
            target: "/v1?a=b".to_owned(),
            authority: Some("api.example:8080".to_owned()),
            user_agent: Some("curl/8".to_owned()),
            ..RequestHead::default()
        },
        response: Some(ResponseHead { status: 200 }),
        request_first: BootNanos(1_000),
        response_first: Some(BootNanos(1_600)),
        last: BootNanos(2_000),
        request_body_bytes: Some(3),
        response_body_bytes: Some(5),
        connect_ns: Some(70),
        ending: Ending::Whole,
        grpc: None,
        joined_late: false,
        records: 3,
    }
}

fn text(attributes: &[Attribute]) -> Vec<String> {
    attributes.iter().map(|one| format!("{}={}", one.key, one.value)).collect()
}

fn check(exchange: Exchange, name: &str, status: Status, expected: &[&str]) {
    let kind = match exchange.role {
        Role::Client => SpanKind::Client,
        Role::Server => SpanKind::Server,
    };
    let placement = Placement {
        trace_id: TraceId::derive("trace", &[]),
        span_id: SpanId::derive("span", &[]),
        parent: None,
        parent_is_remote: false,
        upstream: Upstream::Open,
        trace_state: std::sync::Arc::default(),
        scope: None,
    };
    let span = exchange::span(exchange, placement, &machine());
    assert_eq!(text(&span.attributes), expected, "{name}");
    assert_eq!((span.name.as_str(), span.kind, span.status), (name, kind, status));
    assert_eq!((span.start, span.end), (UnixNanos(1_001_000), UnixNanos(1_002_000)));
    assert_eq!((span.events.len(), span.records), (0, 3));
}

#[test]
fn a_client_tells_whom_it_asked_for_what() {
    let expected = [
        "http.request.method=POST",
        "server.address=api.example",
        "server.port=8080",
        "url.full=http://api.example:8080/v1?a=b",
        "network.peer.address=10.0.0.2",
        "network.peer.port=80",
        "network.protocol.version=1.1",
        "http.request.body.size=3",
        "http.response.body.size=5",
        "lynceus.network.connect_ns=70",
        "lynceus.http.time_to_first_byte_ns=600",
    ];
    let with = |more: &[&'static str]| [&expected[..], more].concat();
    check(request(Role::Client), "POST", Status::Unset, &with(&["http.response.status_code=200"]));
    let failed = Exchange { response: Some(ResponseHead { status: 404 }), ..request(Role::Client) };
    let error = with(&["http.response.status_code=404", "error.type=404"]);
    check(failed, "POST", Status::Error, &error);
}

#[test]
fn a_server_tells_who_asked_and_404_is_no_error_of_its_own() {
    let expected = [
        "http.request.method=POST",
        "server.address=api.example",
        "server.port=8080",
        "url.path=/v1",
        "url.query=a=b",
        "url.scheme=http",
        "user_agent.original=curl/8",
        "network.peer.address=10.0.0.1",
        "network.peer.port=5000",
        "client.address=10.0.0.1",
        "client.port=5000",
        "network.protocol.version=1.1",
        "http.request.body.size=3",
        "http.response.body.size=5",
        "lynceus.http.time_to_first_byte_ns=600",
    ];
    let served = |status, more: &[&'static str], outcome| {
        let response = Some(ResponseHead { status });
        let exchange = Exchange { response, connect_ns: None, ..request(Role::Server) };
        check(exchange, "POST", outcome, &[&expected[..], more].concat());
    };
    served(404, &["http.response.status_code=404"], Status::Unset);
    served(500, &["http.response.status_code=500", "error.type=500"], Status::Error);
}

#[test]
fn a_method_that_nobody_knows_is_other_and_what_was_not_seen_or_read_is_said() {
    let mut exchange = request(Role::Client);
    exchange.request.method = "PURGE".to_owned();
    exchange.request.authority = None;
    exchange.request.is_cut = true;
    let unseen = Exchange {
        response: None,
        response_first: None,
        request_body_bytes: None,
        response_body_bytes: None,
        connect_ns: None,
        ending: Ending::Unseen,
        ..exchange
    };
    let expected = [
        "http.request.method=_OTHER",
        "http.request.method_original=PURGE",
        "server.address=10.0.0.2",
        "server.port=80",
        "url.full=http://10.0.0.2:80/v1?a=b",
        "network.peer.address=10.0.0.2",
        "network.peer.port=80",
        "network.protocol.version=1.1",
        "lynceus.http.response_unseen=true",
        "lynceus.http.head_cut=true",
    ];
    check(unseen, "HTTP", Status::Unset, &expected);
}

#[test]
fn a_unix_socket_is_an_address_without_a_port() {
    let name = b"/run/docker.sock";
    let mut bytes = [0; PATH_MAX];
    bytes[..name.len()].copy_from_slice(name);
    let path = SocketPath::new(bytes, name.len()).unwrap();
    let ends = Ends::Unix { local: UnixSocket(1), remote: UnixSocket(2), path };
    let over = |role| {
        let mut exchange = Exchange { ends: Some(ends), connect_ns: None, ..request(role) };
        exchange.request.authority = Some("docker".to_owned());
        exchange
    };
    let sizes = [
        "network.protocol.version=1.1",
        "http.request.body.size=3",
        "http.response.body.size=5",
        "lynceus.http.time_to_first_byte_ns=600",
        "http.response.status_code=200",
    ];
    let client = [
        "http.request.method=POST",
        "server.address=docker",
        "url.full=http://docker/v1?a=b",
        "network.peer.address=/run/docker.sock",
        "network.transport=unix",
    ];
    check(over(Role::Client), "POST", Status::Unset, &[&client[..], &sizes].concat());
    let server = [
        "http.request.method=POST",
        "server.address=docker",
        "url.path=/v1",
        "url.query=a=b",
        "url.scheme=http",
        "user_agent.original=curl/8",
        "network.transport=unix",
    ];
    check(over(Role::Server), "POST", Status::Unset, &[&server[..], &sizes].concat());
}

#[test]
fn a_call_tells_its_method_and_its_status() {
    let call = |role, status| {
        let mut exchange = request(role);
        exchange.request.target = "/shop.Cart/Add".to_owned();
        let (request_messages, response_messages) = (Some(1), Some(2));
        let grpc = Grpc { status: Some(status), request_messages, response_messages };
        Exchange { version: Version::Http2, grpc: Some(grpc), connect_ns: None, ..exchange }
    };
    let expected = |peer: [&'static str; 2], more: &[&'static str]| {
        let first = [
            "rpc.system.name=grpc",
            "rpc.method=shop.Cart/Add",
            "server.address=api.example",
            "server.port=8080",
        ];
        let counts = [
            "lynceus.rpc.request_messages=1",
            "lynceus.rpc.response_messages=2",
            "lynceus.http.time_to_first_byte_ns=600",
        ];
        [&first[..], &peer, &counts, more].concat()
    };
    let to_server = ["network.peer.address=10.0.0.2", "network.peer.port=80"];
    let to_client = ["network.peer.address=10.0.0.1", "network.peer.port=5000"];
    let check = |role, status, peer, outcome, more: &[&'static str]| {
        check(call(role, status), "shop.Cart/Add", outcome, &expected(peer, more));
    };
    check(Role::Client, 0, to_server, Status::Unset, &["rpc.response.status_code=OK"]);
    let not_found = ["rpc.response.status_code=NOT_FOUND", "error.type=NOT_FOUND"];
    check(Role::Client, 5, to_server, Status::Error, &not_found);
    check(Role::Server, 5, to_client, Status::Unset, &not_found[..1]);
    let internal = ["rpc.response.status_code=INTERNAL", "error.type=INTERNAL"];
    check(Role::Server, 13, to_client, Status::Error, &internal);
}

#[test]
fn what_is_beyond_the_budget_is_told_by_class() {
    let ways = [
        // Served: one is not answered.
        Untold { requests: 10, by_class: [1, 2, 0, 3, 2, 1] },
        Untold { requests: 4, by_class: [0, 0, 4, 0, 0, 0] },
    ];
    let event = beyond::event(&Beyond { first_ns: 500, ways }, &machine()).unwrap();
    let expected = [
        "lynceus.requests.server.requests=10",
        "lynceus.requests.server.1xx=1",
        "lynceus.requests.server.2xx=2",
        "lynceus.requests.server.4xx=3",
        "lynceus.requests.server.5xx=2",
        "lynceus.requests.server.rpc_failed=1",
        "lynceus.requests.server.unanswered=1",
        "lynceus.requests.client.requests=4",
        "lynceus.requests.client.3xx=4",
    ];
    assert_eq!(text(&event.attributes), expected);
    assert_eq!((event.name, event.time), ("lynceus.requests.over_budget", UnixNanos(1_000_500)));
    assert!(beyond::event(&Beyond::default(), &machine()).is_none());
}
