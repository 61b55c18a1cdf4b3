//! Connections of which the spans or the account once hung on the calls.

use super::{
    http2::{Start, begin, frame},
    same_spans,
    script::{CONTEXT, Cuts, Part, Script},
};
use crate::protocol::{
    Direction::{Request, Response},
    http2::tests::{END_HEADERS, END_STREAM, HEADERS, status},
};

fn check(script: &Script) {
    for len in [1, 2, 3, 5, 8, 9, 4097, 5000] {
        same_spans((script.clone(), Cuts::every(len), Cuts::none()));
        same_spans((script.clone(), Cuts::none(), Cuts::every(len)));
    }
}

/// Calls of 5000 bytes brought more of it to user space than whole ones.
#[test]
fn what_is_read_of_a_long_head_is_the_same() {
    let mut script = Script::default();
    let filler = "x".repeat(8150);
    let head = format!("GET / HTTP/1.1\r\nX: {filler}\r\nTraceparent: {CONTEXT}\r\n\r\n");
    script.say(Request, [Part::Shown(head.into())]);
    script.say(Response, [Part::Shown(b"HTTP/1.1 204 X\r\n\r\n".into())]);
    script.expected.push("GET 204 0/0".to_owned());
    check(&script);
}

/// Its first four bytes came as pieces of a head, and the frames of who spoke first before the
/// connection was announced: both were lost.
#[test]
fn a_connection_that_begins_byte_by_byte_is_whole() {
    for start in [Start::Client, Start::Server] {
        let mut script = Script::default();
        begin(&mut script, start);
        script.say(Request, frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x86\x84"));
        script.say(Response, frame(HEADERS, END_HEADERS | END_STREAM, 1, &status("200")));
        script.expected.push("GET 200 0/0".to_owned());
        check(&script);
    }
}
