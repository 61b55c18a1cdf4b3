//! Requests between containers: whose child each is, when not both ends have spans.

use std::sync::Arc;

use abi::socket as wire;

use super::{
    requests::{both_ends, connection, head, spans},
    tests::pipeline,
    *,
};
use crate::{
    id::{SpanId, TraceId},
    kube::{
        name::ContainerId,
        scope::{Place, Scope},
        select::Detail,
    },
    record::tests::first_in,
    span::SpanKind,
};

const CLIENTS: u64 = 7;
const SERVERS: u64 = 8;

/// A container of work, in a trace of its own.
fn scope(cgroup_id: u64, detail: Detail) -> Arc<Scope> {
    let name = cgroup_id.to_string();
    let trace_id = TraceId::derive("trace", &[name.as_bytes()]);
    let container = SpanId::derive("container", &[name.as_bytes()]);
    Arc::new(Scope {
        cgroup_id,
        container: ContainerId(name.clone()),
        name,
        place: Place::Work { trace_id, container },
        detail,
        resource: Arc::default(),
    })
}

/// A container of a service.
fn service(cgroup_id: u64) -> Arc<Scope> {
    let work = scope(cgroup_id, Detail::All);
    Arc::new(Scope { place: Place::Service, ..Scope::clone(&work) })
}

/// A client and a server that run, each in its container.
fn running(of_client: Detail) -> Pipeline {
    let mut pipeline = pipeline("always_on");
    pipeline.tell_containers_only();
    pipeline.scope(scope(CLIENTS, of_client));
    pipeline.scope(scope(SERVERS, Detail::All));
    let began = [first_in(CLIENTS, 10, "client"), first_in(SERVERS, 11, "server")];
    assert_eq!(spans(&mut pipeline, &began), []);
    pipeline
}

fn of(kind: SpanKind, found: &[Span]) -> &Span {
    let mut its = found.iter().filter(|span| span.kind == kind);
    let one = its.next().unwrap_or_else(|| panic!("no {kind:?} in {found:?}"));
    assert_eq!(its.next(), None);
    one
}

/// The server's span stands below its process, in its own trace.
fn stands_alone(found: &[Span]) {
    let server = of(SpanKind::Server, found);
    let own = scope(SERVERS, Detail::All);
    let Place::Work { trace_id, container } = own.place else { panic!("no work") };
    assert_eq!(server.trace_id, trace_id);
    // Its process.
    assert!(server.parent.is_some_and(|parent| parent != container), "{server:?}");
}

#[test]
fn a_server_s_stands_below_the_client_s() {
    let asked = both_ends("GET / HTTP/1.1\r\n\r\n", 100_000, (20, 21));
    let found = spans(&mut running(Detail::All), &asked);
    let (client, server) = (of(SpanKind::Client, &found), of(SpanKind::Server, &found));
    assert_eq!((server.parent, server.trace_id), (Some(client.span_id), client.trace_id));
}

#[test]
fn where_the_client_s_requests_have_no_spans_the_server_s_stands_alone() {
    let asked = both_ends("GET / HTTP/1.1\r\n\r\n", 100_000, (20, 21));
    let found = spans(&mut running(Detail::Processes), &asked);
    assert_eq!(found.len(), 1);
    stands_alone(&found);
}

/// What a service is asked by who is not told, and without a context, is a trace of its own; it goes on in
/// the one of a client that is told, and in that of a context.
#[test]
fn what_a_service_is_asked_is_a_trace_of_its_own_unless_its_client_is_known() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let served = |request: &str, is_client_told| {
        let mut pipeline = pipeline("always_on");
        pipeline.tell_containers_only();
        pipeline.scope(service(SERVERS));
        let mut records = vec![first_in(SERVERS, 11, "server")];
        let mut asked = both_ends(request, 100_000, (20, 21));
        if is_client_told {
            pipeline.scope(scope(CLIENTS, Detail::All));
            records.push(first_in(CLIENTS, 10, "client"));
        } else {
            // The kernel side has no record of what is not selected.
            asked = asked.into_iter().skip(1).filter(|record| !is_of_client(record)).collect();
        }
        records.extend(asked);
        spans(&mut pipeline, &records)
    };
    let plain = "GET / HTTP/1.1\r\n\r\n";
    let alone = served(plain, false);
    assert_eq!(alone.len(), 1, "{alone:?}");
    let server = of(SpanKind::Server, &alone);
    assert_eq!((server.parent, server.parent_is_remote), (None, false));
    let joined = served(plain, true);
    let (client, server) = (of(SpanKind::Client, &joined), of(SpanKind::Server, &joined));
    assert_eq!((server.parent, server.trace_id), (Some(client.span_id), client.trace_id));
    let context = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");
    let given = served(&format!("GET / HTTP/1.1\r\n{context}\r\n"), false);
    let server = of(SpanKind::Server, &given);
    assert_eq!((server.trace_id.to_string(), server.parent_is_remote), (TRACE.to_owned(), true));
}

/// By the socket of [`both_ends`] that is the client's.
fn is_of_client(record: &[u8]) -> bool {
    let sock = match decode(record) {
        Ok(Event::Connection(connection)) => connection.connection.sock,
        Ok(Event::Head(head)) => head.connection.sock,
        other => panic!("{other:?}"),
    };
    sock == 20
}

#[test]
fn a_client_that_was_left_is_not_above_others() {
    let mut pipeline = running(Detail::All);
    let asked = both_ends("GET / HTTP/1.1\r\n\r\n", 100_000, (20, 21));
    assert_eq!(spans(&mut pipeline, &asked).len(), 2);
    let mut left = Vec::new();
    pipeline.stop(CLIENTS, BootNanos(200_000), &mut left);
    assert_eq!(left.len(), 1, "the client's process");
    // From the same port.
    let again = [
        connection(11, 22, wire::Role::SERVER, (80, 20)),
        head(11, 22, 0, "GET / HTTP/1.1\r\n\r\n", 300_000),
        head(11, 22, 1, "HTTP/1.1 204 X\r\n\r\n", 300_100),
    ];
    stands_alone(&spans(&mut pipeline, &again));
}

#[test]
fn what_is_above_others_is_told_when_less_is_wanted() {
    let mut pipeline = running(Detail::All);
    pipeline.scope(scope(CLIENTS, Detail::Requests));
    let mut out = Vec::new();
    pipeline.record(&crate::record::tests::exit_record(10, 0, 0), &mut out);
    assert_eq!(out.len(), 1);
    let begun = first_in(CLIENTS, 12, "later");
    pipeline.record(&begun, &mut out);
    pipeline.record(&crate::record::tests::exit_record(12, 0, 0), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(pipeline.ledger().lost(Loss::LeftOut), 2);
}
