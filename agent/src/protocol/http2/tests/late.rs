//! Connections that were joined half-way, and those of which something was lost.

use super::*;

/// `:method GET`, `:scheme http`, and whatever follows.
fn request(path: &[u8]) -> Vec<u8> {
    [&[0x82, 0x86][..], path].concat()
}

#[test]
fn what_was_set_before_is_unknown_and_said_to_be() {
    let mut wire = Wire::joined();
    // An answer to what we did not see; then a path that was set before, one that is set now and
    // one that refers to it; a method that was set before.
    wire.headers(Response, END_STREAM, 1, &[0x88]);
    wire.headers(Request, END_STREAM, 7, &request(&[0xbe]));
    wire.headers(Request, END_STREAM, 9, &request(b"\x44\x02/9"));
    wire.headers(Request, END_STREAM, 11, &request(&[0xbe]));
    wire.headers(Request, END_STREAM, 13, &[0xbf, 0x86, 0x84]);
    for stream in [7, 9, 11] {
        wire.headers(Response, END_STREAM, stream, &[0x88]);
    }
    wire.headers(Response, END_STREAM, 13, &[0xc8]);
    let counts = Counts { fields_unknown: 3, responses_unmatched: 1, ..Counts::default() };
    let expected =
        ["0 GET  200 0/0 late", "1 GET /9 200 0/0", "2 GET /9 200 0/0", "3  / - 0/0 late"];
    assert_eq!(wire.seen().counted(counts).lines(), expected);
}

#[test]
fn trailers_of_what_we_did_not_see_are_no_request() {
    let mut wire = Wire::joined();
    wire.headers(Request, END_STREAM, 3, &block(&[("checksum", "x")]));
    wire.headers(Request, END_STREAM, 5, &get("/5")).headers(Response, END_STREAM, 5, &[0x88]);
    let counts = Counts { requests_unmatched: 1, ..Counts::default() };
    assert_eq!(wire.seen().counted(counts).lines(), ["0 GET /5 200 0/0"]);
}

#[test]
fn a_status_of_a_call_that_is_unknown_is_not_guessed() {
    let mut wire = Wire::joined();
    let call =
        block(&[(":method", "POST"), (":path", "/s/M"), ("content-type", "application/grpc")]);
    wire.headers(Request, END_STREAM, 3, &call).headers(Response, 0, 3, &[0x88]);
    wire.headers(Response, END_STREAM, 3, &[0xbe]);
    assert_eq!(wire.seen().lines(), ["0 POST /s/M 200 0/0 grpc ? 0/0 late"]);
}

#[test]
fn bytes_that_are_no_frames_are_skipped_until_a_run_begins_with_one() {
    let mut wire = Wire::joined();
    wire.raw(Request, b"the middle of something, which is long").raw(Request, b"and more of it.");
    wire.headers(Request, END_STREAM, 5, &get("/5")).headers(Response, END_STREAM, 5, &[0x88]);
    let counts = Counts { out_of_step: 2, dropped_bytes: 29 + 6, ..Counts::default() };
    assert_eq!(wire.seen().counted(counts).lines(), ["0 GET /5 200 0/0"]);
}

/// Three requests of which one is answered, one is being answered and one waits; then a hole.
fn before_the_hole() -> Wire {
    let mut wire = Wire::new();
    for stream in [1, 3, 5] {
        wire.headers(Request, END_STREAM, stream, &get(&format!("/{stream}")));
    }
    wire.headers(Response, END_STREAM, 1, &[0x88]).headers(Response, 0, 3, &[0x88]);
    wire.data(Response, 0, 3, b"abc");
    wire
}

#[test]
fn a_hole_in_the_answers_cuts_those_that_had_begun() {
    let mut wire = before_the_hole();
    wire.skip(Response, 100).data(Response, 1, 3, b"defg").headers(Response, 1, 5, &[0x88]);
    let counts = Counts { holes: 1, hole_bytes: 100, ..Counts::default() };
    let expected = ["0 GET /1 200 0/0", "1 GET /3 200 0/7 Lost", "2 GET /5 200 0/0"];
    assert_eq!(wire.seen().counted(counts).lines(), expected);
}

#[test]
fn what_ended_in_a_hole_is_lost_when_it_is_waited_for_no_longer() {
    let mut wire = before_the_hole();
    wire.skip(Response, 100).headers(Request, END_STREAM, 7, &get("/7"));
    wire.headers(Response, END_STREAM, 7, &[0x88]);
    let expected =
        ["0 GET /1 200 0/0", "3 GET /7 200 0/0", "1 GET /3 200 0/3 Lost", "2 GET /5 - 0/0 Lost"];
    assert_eq!(wire.seen().closed().lines(), expected);
    let mut later = wire.seen();
    let time = limit::MAX_DOUBT_NS + 1_000;
    later.run(&Run { direction: Request, time, offset: 0, bytes: Vec::new() });
    assert_eq!(later.lines(), expected);
    assert_eq!(later.out[2].end, BootNanos(11));
}

#[test]
fn a_hole_in_the_requests_cuts_bodies_and_leaves_the_rest() {
    let mut wire = Wire::new();
    wire.headers(Request, END_STREAM, 1, &get("/1")).headers(Request, 0, 3, &get("/3"));
    wire.skip(Request, 30).data(Request, 1, 3, b"end");
    // Set in the hole, for all we know.
    wire.headers(Request, END_STREAM, 7, &request(&[0xbe]));
    for stream in [1, 3, 5, 7] {
        wire.headers(Response, END_STREAM, stream, &[0x88]);
    }
    let counts = Counts {
        holes: 1,
        hole_bytes: 30,
        fields_unknown: 1,
        responses_unmatched: 1,
        ..Counts::default()
    };
    let expected = ["0 GET /1 200 0/0", "1 GET /3 200 3/0 Lost", "2 GET  200 0/0 late"];
    assert_eq!(wire.seen().counted(counts).lines(), expected);
}

#[test]
fn a_hole_within_a_frame_loses_that_frame() {
    let check = |kind: u8, payload: &[u8], expected: &str, counts: Counts| {
        let mut wire = Wire::new();
        wire.headers(Request, END_STREAM, 1, &get("/1"));
        wire.frame(Response, kind, END_HEADERS | END_STREAM, 1, payload);
        let last = wire.runs.last_mut().unwrap();
        last.bytes.truncate(10);
        wire.headers(Request, END_STREAM, 3, &get("/3"));
        wire.headers(Response, END_STREAM, 3, &[0x88]);
        let missing = payload.len() as u64 - 1;
        let counts = Counts { holes: 1, hole_bytes: missing, ..counts };
        assert_eq!(wire.seen().counted(counts).lines(), [expected, "1 GET /3 200 0/0"]);
    };
    let block_lost = Counts { blocks_lost: 1, ..Counts::default() };
    check(HEADERS, &status("200"), "0 GET /1 - 0/0 Lost", block_lost);
    let unread = Counts { frames_unread: 1, ..Counts::default() };
    check(RST_STREAM, &[0, 0, 0, 8], "0 GET /1 - 0/0 Lost", unread);
}

#[test]
fn a_hole_where_nothing_is_read_is_none() {
    let mut wire = Wire::new();
    wire.headers(Request, END_STREAM, 1, &get("/1")).frame(Response, PING, 0, 0, &[7; 8]);
    wire.runs.last_mut().unwrap().bytes.truncate(12);
    wire.headers(Response, END_STREAM, 1, &[0x88]);
    assert_eq!(wire.seen().counted(Counts::default()).lines(), ["0 GET /1 200 0/0"]);
}

#[test]
fn bytes_that_come_again_are_taken_once() {
    let mut wire = Wire::new();
    wire.headers(Request, END_STREAM, 1, &get("/1"));
    let again = wire.runs.last().unwrap().clone();
    wire.runs.push(again.clone());
    wire.headers(Request, END_STREAM, 3, &get("/3"));
    let counts = Counts { overlap_bytes: again.bytes.len() as u64, ..Counts::default() };
    let seen = wire.seen().counted(counts).closed();
    assert_eq!(seen.lines(), ["0 GET /1 - 0/0 Closed", "1 GET /3 - 0/0 Closed"]);
}

#[test]
fn a_block_that_is_interrupted_is_malformed() {
    let mut wire = Wire::new();
    wire.frame(Request, HEADERS, END_STREAM, 1, &get("/1"));
    wire.headers(Request, END_STREAM, 3, &get("/3"));
    let counts = Counts { blocks_malformed: 1, requests_unreadable: 1, ..Counts::default() };
    assert_eq!(wire.seen().counted(counts).closed().lines(), ["0 GET /3 - 0/0 Closed"]);
}
