//! Requests from records to spans: whose child each is, and which are left to others.

use abi::{header::Kind, socket as wire};
use zerocopy::IntoBytes as _;

use super::{
    message::{self, Direction, Following, Moved, header},
    tests::pipeline,
    *,
};
use crate::{
    record::tests::{exec_record, task},
    span::{SpanKind, Value, key},
};

const TRACED: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";

fn id(sock: u64) -> ConnectionId {
    ConnectionId { sock, since_ns: 1 }
}

pub(super) fn connection(pid: u32, sock: u64, role: wire::Role, ports: (u16, u16)) -> Vec<u8> {
    message::connection(task(pid), id(sock), role, ports, 90_000)
}

/// The first of its direction, by the first thread, whole and without a body.
pub(super) fn head(pid: u32, sock: u64, sent: u32, text: &str, time_ns: u64) -> Vec<u8> {
    let fixed = wire::Head {
        header: header(Kind::HEAD, size_of::<wire::Head>() + text.len(), time_ns),
        process: task(pid),
        owner: task(pid),
        connection: id(sock),
        tid: pid,
        sent,
        offset: 0,
        head_len: u32::try_from(text.len()).unwrap(),
        flags: wire::flag::HEAD_ENDED | wire::flag::MESSAGE_ENDED,
        ordinal: 1,
    };
    [fixed.as_bytes(), text.as_bytes()].concat()
}

/// A process asks on a connection of its own, and is answered.
fn asked(pid: u32, sock: u64, request: &str, time_ns: u64) -> [Vec<u8>; 3] {
    let port = u16::try_from(sock).unwrap();
    [
        connection(pid, sock, wire::Role::CLIENT, (port, 80)),
        head(pid, sock, 1, request, time_ns),
        head(pid, sock, 0, "HTTP/1.1 204 X\r\n\r\n", time_ns + 10),
    ]
}

/// The first asks the second, whose answer is seen first.
pub(super) fn both_ends(request: &str, time_ns: u64, socks: (u64, u64)) -> Vec<Vec<u8>> {
    let [opened, sent, heard] = asked(10, socks.0, request, time_ns);
    let port = u16::try_from(socks.0).unwrap();
    let accepted = connection(11, socks.1, wire::Role::SERVER, (80, port));
    let read = head(11, socks.1, 0, request, time_ns - 1);
    let answered = head(11, socks.1, 1, "HTTP/1.1 204 X\r\n\r\n", time_ns + 5);
    vec![opened, accepted, read, sent, answered, heard]
}

/// The spans of requests, in the order of their ends; the account holds after each record.
pub(super) fn spans(pipeline: &mut Pipeline, records: &[Vec<u8>]) -> Vec<Span> {
    let mut out = Vec::new();
    for record in records {
        pipeline.record(record, &mut out);
        assert!(pipeline.ledger().balances(pipeline.held()), "{:?}", pipeline.ledger());
    }
    pipeline.tick(BootNanos(u64::MAX), &mut out);
    assert!(pipeline.ledger().balances(pipeline.held()), "{:?}", pipeline.ledger());
    out.iter().map(|span| span.span().clone()).collect()
}

#[test]
fn what_is_asked_while_serving_is_a_child_in_the_same_trace() {
    let check = |fields: &str, trace_id: Option<&str>| {
        let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        let records = [
            &[exec_record(10, 0, &["python3"], &[])][..],
            &[connection(10, 7, wire::Role::SERVER, (80, 5000)), head(10, 7, 0, &request, 100_000)],
            &asked(10, 8, "GET /inner HTTP/1.1\r\n\r\n", 100_100),
            &[head(10, 7, 1, "HTTP/1.1 204 X\r\n\r\n", 100_200)],
        ];
        let found = spans(&mut pipeline("always_on"), &records.concat());
        let [inner, outer] = &found[..] else { panic!("{found:?}") };
        assert_eq!((inner.kind, outer.kind), (SpanKind::Client, SpanKind::Server));
        assert_eq!((inner.parent, inner.trace_id), (Some(outer.span_id), outer.trace_id));
        assert!(!inner.parent_is_remote);
        if let Some(trace_id) = trace_id {
            assert_eq!(inner.trace_id.to_string(), trace_id);
        }
    };
    check("", None);
    check(TRACED, Some("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[test]
fn a_request_that_is_kept_stands_below_the_span_that_it_names_at_both_ends() {
    let request = format!("GET / HTTP/1.1\r\n{TRACED}\r\n");
    let programs = [exec_record(10, 0, &["app"], &[]), exec_record(11, 0, &["server"], &[])];
    let records = [&programs[..], &both_ends(&request, 101_000, (8, 20))].concat();
    let mut kept = pipeline("always_on");
    kept.instrumented = Instrumented::Keep;
    let found = spans(&mut kept, &records);
    let kinds: Vec<_> = found.iter().map(|span| span.kind).collect();
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Client]);
    for span in found {
        let parent = span.parent.map(|parent| parent.to_string());
        assert_eq!(parent.as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(span.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(span.parent_is_remote);
    }
}

const EXPORT: &str = "POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n\r\n";

#[test]
fn a_program_that_delivers_spans_tells_what_follows_itself() {
    let (before, after) = ("GET /before HTTP/1.1\r\n\r\n", "GET /after HTTP/1.1\r\n\r\n");
    let records = [
        vec![exec_record(10, 0, &["app"], &[])],
        vec![exec_record(11, 10, &["curl"], &[])],
        asked(10, 7, before, 100_000).to_vec(),
        asked(10, 8, EXPORT, 101_000).to_vec(),
        asked(10, 9, after, 102_000).to_vec(),
        asked(11, 10, after, 103_000).to_vec(),
    ]
    .concat();
    let mut left = pipeline("always_on");
    let found = spans(&mut left, &records);
    let urls: Vec<_> = found.iter().map(|span| span.attribute(key::URL_FULL).cloned()).collect();
    let url = |path: &str| Some(Value::from(format!("http://127.0.0.1:80{path}").as_str()));
    assert_eq!(urls, [url("/before"), url("/after")]);
    assert_eq!(left.ledger().lost(Loss::Instrumented), 6);
    let mut kept = pipeline("always_on");
    kept.instrumented = Instrumented::Keep;
    assert_eq!(spans(&mut kept, &records).len(), 4);
}

/// Frames of a call of OTLP/gRPC by a process, and of its answer.
fn exported_over_grpc(pid: u32, sock: u64, time_ns: u64) -> Vec<Vec<u8>> {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let text = |name: &[u8], value: &str| {
        [name, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
    };
    let (headers, data, settings) = (1, 0, 4);
    let (end_stream, end_headers) = (1, 4);
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    // `:method: POST`, `:scheme: http`, `:path`, `content-type`.
    let fields = [&b"\x83\x86"[..], &text(b"\x44", path), &text(b"\x5f", "application/grpc")];
    let request = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(settings, 0, 0, &[]),
        frame(headers, end_headers, 1, &fields.concat()),
        frame(data, end_stream, 1, &[0, 0, 0, 0, 1, b'x']),
    ];
    let answer = [
        frame(settings, 0, 0, &[]),
        frame(headers, end_headers, 1, &[b"\x88", &*text(b"\x5f", "application/grpc")].concat()),
        frame(data, 0, 1, &[0, 0, 0, 0, 0]),
        frame(headers, end_headers | end_stream, 1, &text(b"\x40\x0bgrpc-status", "0")),
    ];
    let ports = (u16::try_from(sock).unwrap(), 4317);
    let mut following = Following::new(task(pid), id(sock), ports, b'A');
    following.moved(Direction::Sent, Moved::Seen(&request.concat()), time_ns);
    following.moved(Direction::Received, Moved::Seen(&answer.concat()), time_ns + 10);
    following.take_records()
}

#[test]
fn a_program_that_delivers_spans_over_grpc_tells_what_it_serves_itself() {
    let request = "GET /served HTTP/1.1\r\n\r\n";
    let records = [
        vec![exec_record(10, 0, &["app"], &[])],
        exported_over_grpc(10, 8, 101_000),
        vec![connection(10, 20, wire::Role::SERVER, (80, 9)), head(10, 20, 0, request, 102_000)],
        vec![head(10, 20, 1, "HTTP/1.1 204 X\r\n\r\n", 102_010)],
        asked(10, 9, "GET /asked HTTP/1.1\r\n\r\n", 103_000).to_vec(),
    ]
    .concat();
    let mut left = pipeline("always_on");
    assert_eq!(spans(&mut left, &records), []);
    assert_eq!(left.ledger().lost(Loss::Instrumented), records.len() as u64 - 1);
    let mut kept = pipeline("always_on");
    kept.instrumented = Instrumented::Keep;
    let found = spans(&mut kept, &records);
    let names: Vec<_> = found.iter().map(|span| (span.kind, span.name.as_str())).collect();
    let call = "opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let expected = [(SpanKind::Client, call), (SpanKind::Server, "GET"), (SpanKind::Client, "GET")];
    assert_eq!(names, expected);
    assert_eq!(kept.ledger().lost_in_all(), 0);
}

#[test]
fn a_server_does_not_stand_below_a_client_that_has_no_span() {
    let records = [
        vec![exec_record(10, 0, &["app"], &[])],
        vec![exec_record(11, 0, &["server"], &[])],
        both_ends(EXPORT, 101_000, (8, 20)),
        both_ends("GET / HTTP/1.1\r\n\r\n", 102_000, (9, 21)),
    ]
    .concat();
    let found = spans(&mut pipeline("always_on"), &records);
    let app = crate::correlate::process_span_id("boot", task(10));
    let kinds: Vec<_> = found.iter().map(|span| (span.kind, span.parent)).collect();
    assert_eq!(kinds, [(SpanKind::Server, Some(app)); 2]);
}

#[test]
fn who_passes_spans_on_is_not_thereby_instrumented() {
    let records = [
        vec![exec_record(10, 0, &["relay"], &[])],
        vec![connection(10, 20, wire::Role::SERVER, (80, 9)), head(10, 20, 0, EXPORT, 100_000)],
        asked(10, 8, EXPORT, 101_000).to_vec(),
        vec![head(10, 20, 1, "HTTP/1.1 204 X\r\n\r\n", 102_002)],
        asked(10, 9, EXPORT, 103_000).to_vec(),
    ]
    .concat();
    let mut pipeline = pipeline("always_on");
    let kinds: Vec<_> = spans(&mut pipeline, &records).iter().map(|span| span.kind).collect();
    // The first is passed on before it is answered.
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Client]);
}
