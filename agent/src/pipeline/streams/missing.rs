//! Connections of which records are missing, or that are no HTTP.

use abi::socket::ConnectionId;

use crate::{
    pipeline::{
        message::{self, Following, Moved},
        tests::pipeline,
    },
    record::tests::{exec_record, task},
    redact::CleanSpan,
    span::{Span, SpanKind},
};

/// A bus's first byte was told as the beginning of a frame, and nothing told of its end.
#[test]
fn what_begins_like_http_and_is_none_is_not_held() {
    let calls = [&[&b"\0"[..], b"AUTH EXTERNAL 31303030\r\n"][..], &[b"PING"], &[b"\n"]];
    for (sock, calls) in (2..).zip(calls) {
        let mut pipeline = pipeline("always_on");
        let id = ConnectionId { sock, since_ns: 20_000 };
        let mut following = Following::new(task(10), id, (5000, 80), 0);
        for call in calls {
            following.moved(message::Direction::Sent, Moved::Seen(call), 30_000);
        }
        following.over(30_001);
        let mut out = Vec::new();
        let records = following.take_records();
        records.iter().for_each(|record| pipeline.record(record, &mut out));
        let ledger = pipeline.ledger();
        assert_eq!((pipeline.held(), ledger.lost_in_all(), out.len()), (0, 0, 0), "{calls:?}");
    }
}

/// A request that only its server told of shifted the numbers of all behind it.
#[test]
fn a_lost_request_gives_no_other_a_wrong_parent() {
    let mut pipeline = pipeline("always_on");
    let mut out = Vec::new();
    for pid in [10, 11] {
        pipeline.record(&exec_record(pid, 0, &["x"], &[]), &mut out);
    }
    let id = |sock| ConnectionId { sock, since_ns: 20_000 };
    let mut client = Following::new(task(10), id(2), (5000, 80), 0);
    let mut server = Following::new(task(11), id(3), (80, 5000), 0);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let ask =
        |stream, method| [b"\0\0\x03\x01\x05\0\0\0", &[stream, method, 0x86, 0x84][..]].concat();
    let answer = |stream| [b"\0\0\x01\x01\x05\0\0\0", &[stream, 0x88][..]].concat();
    let mut feed =
        |end: &mut Following, direction: message::Direction, bytes: &[u8], arrives: bool| {
            end.moved(direction, Moved::Seen(bytes), 30_000);
            let records = end.take_records();
            records.iter().filter(|_| arrives).for_each(|record| pipeline.record(record, &mut out));
        };
    feed(&mut client, message::Direction::Sent, preface, true);
    feed(&mut server, message::Direction::Received, preface, true);
    for (stream, method, arrives) in [(1, 0x82, false), (3, 0x83, true), (5, 0x82, true)] {
        feed(&mut client, message::Direction::Sent, &ask(stream, method), arrives);
        feed(&mut server, message::Direction::Received, &ask(stream, method), true);
        feed(&mut client, message::Direction::Received, &answer(stream), arrives);
        feed(&mut server, message::Direction::Sent, &answer(stream), true);
    }
    let spans: Vec<&Span> = out.iter().map(CleanSpan::span).collect();
    let of = |kind| spans.iter().filter(move |span| span.kind == kind);
    let joined = of(SpanKind::Server)
        .filter_map(|served| {
            of(SpanKind::Client).find(|asked| served.parent == Some(asked.span_id))
        })
        .map(|asked| asked.name.as_str());
    assert_eq!(joined.collect::<Vec<_>>(), ["POST", "GET"]);
}
