//! What the kernel side does not follow is counted by reason, and nothing is made up for it.

use super::{
    message::{Direction, Following, Moved},
    requests::spans,
    tests::pipeline,
    *,
};
use crate::{
    loss::Unfollowed,
    record::tests::{exec_record, task},
    span::{Value, key},
};

const OK: &[u8] = b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok";

/// What a client sent and received, in calls of at most so many bytes: `url status` of its requests, with
/// `cut` where fields of them were not read.
fn check(talk: &[(Direction, &[u8])], call: usize, expected: &[&str], count: Unfollowed) {
    let id = ConnectionId { sock: 7, since_ns: 90_000 };
    let mut following = Following::new(task(10), id, (5000, 80), b'A');
    let mut now_ns = 100_000;
    for (direction, bytes) in talk {
        for moved in bytes.chunks(call) {
            now_ns += 10;
            following.moved(*direction, Moved::Seen(moved), now_ns);
        }
    }
    following.over(now_ns + 10);
    let records = [vec![exec_record(10, 0, &["app"], &[])], following.take_records()].concat();
    let mut pipeline = pipeline("always_on");
    let found = spans(&mut pipeline, &records);
    let text = |span: &Span, key| match span.attribute(key) {
        Some(Value::Str(text)) => text.clone(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::Bool(_) | Value::StrList(_)) | None => "-".to_owned(),
    };
    let found: Vec<String> = found
        .iter()
        .map(|span| {
            let cut = span.attribute(key::HEAD_CUT).map_or("", |_| " cut");
            let status = text(span, key::HTTP_RESPONSE_STATUS_CODE);
            format!("{} {status}{cut}", text(span, key::URL_FULL))
        })
        .collect();
    assert_eq!(found, expected, "in calls of {call} bytes");
    assert_eq!(pipeline.ledger().unfollowed, count, "in calls of {call} bytes");
}

#[test]
fn a_head_of_more_than_8_kib_is_counted_and_its_span_says_so() {
    use Direction::{Received, Sent};
    let of = |bytes: usize, host: &str| {
        let rest = "\r\n\r\n".len() + host.len();
        let line = "GET /long HTTP/1.1\r\nX: ";
        format!("{line}{}\r\n{host}\r\n\r\n", "x".repeat(bytes - line.len() - rest - 2))
    };
    let short = b"GET /short HTTP/1.1\r\nHost: there\r\n\r\n";
    let answer = of(9000, "Content-Length: 0").replace("GET /long HTTP/1.1", "HTTP/1.1 200 X");
    for call in [1, 999, 4096, 5000, 1 << 20] {
        let talk = |long: &str, expected: [&str; 2], heads_cut| {
            let talk = [(Sent, long.as_bytes()), (Received, OK), (Sent, short), (Received, OK)];
            check(&talk, call, &expected, Unfollowed { heads_cut, ..Unfollowed::default() });
        };
        let (first, second) = ("http://here/long 200", "http://there/short 200");
        talk(&of(8192, "Host: here"), [first, second], 0);
        talk(&of(8193, "Host: here"), [&format!("{first} cut"), second], 1);
        // What stands behind is not known, and not made up: the server is whom the socket goes to.
        talk(&of(9000, "Host: here"), ["http://127.0.0.1:80/long 200 cut", second], 1);
        talk(&of(20_000, "Host: here"), ["http://127.0.0.1:80/long 200 cut", second], 1);
        // Of an answer all that is read is in front.
        let count = Unfollowed { heads_cut: 1, ..Unfollowed::default() };
        check(&[(Sent, short), (Received, answer.as_bytes())], call, &[second], count);
    }
}

#[test]
fn a_connection_out_of_step_is_counted_and_has_no_more_spans() {
    use Direction::{Received, Sent};
    let get = b"GET /a HTTP/1.1\r\nHost: there\r\n\r\n";
    let wrong = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n";
    let count = Unfollowed { connections_out_of_step: 1, ..Unfollowed::default() };
    for call in [1, 7, 1 << 20] {
        let talk = [(Sent, &get[..]), (Received, wrong), (Sent, get), (Received, OK)];
        check(&talk, call, &["http://there/a 200"], count);
    }
}

/// As the first byte that runc sends to its own child.
#[test]
fn what_begins_like_a_frame_and_is_none_is_not_counted() {
    use Direction::{Received, Sent};
    for first in [Sent, Received] {
        check(&[(first, b"\0"), (first, b"no frame, nor a head")], 32, &[], Unfollowed::default());
    }
}
