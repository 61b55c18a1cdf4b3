//! Calls of gRPC.

use super::*;

fn call() -> Vec<u8> {
    let head = [(":method", "POST"), (":path", "/s/M"), ("content-type", "application/grpc+proto")];
    block(&head)
}

fn answer() -> Vec<u8> {
    block(&[(":status", "200"), ("content-type", "application/grpc")])
}

fn trailers(status: &str) -> Vec<u8> {
    block(&[("grpc-status", status), ("grpc-message", "m")])
}

/// A message of so many bytes.
fn message(bytes: u8) -> Vec<u8> {
    [&[0, 0, 0, 0, bytes][..], &vec![b'm'; usize::from(bytes)]].concat()
}

/// How it looks if prefixes are shown, and if they are not.
fn check(frames: &dyn Fn(&mut Wire), expected: [&str; 2]) {
    for (shown, expected) in [5, 0].into_iter().zip(expected) {
        let mut wire = Wire::new();
        wire.shown = shown;
        frames(&mut wire);
        let seen = wire.seen().counted(Counts::default());
        assert_eq!(seen.lines(), [expected], "{shown} bytes shown");
    }
}

#[test]
fn unary() {
    let frames = |wire: &mut Wire| {
        wire.headers(Request, 0, 1, &call()).data(Request, 1, 1, &message(9));
        wire.headers(Response, 0, 1, &answer()).data(Response, 0, 1, &message(20));
        wire.headers(Response, END_STREAM, 1, &trailers("0"));
    };
    check(&frames, ["0 POST /s/M 200 14/25 grpc 0 1/1", "0 POST /s/M 200 14/25 grpc 0 ?/?"]);
}

#[test]
fn server_streaming_ends_at_the_trailers() {
    let frames = |wire: &mut Wire| {
        wire.headers(Request, 0, 1, &call()).data(Request, 0, 1, &message(0));
        wire.data(Request, 1, 1, b"").headers(Response, 0, 1, &answer());
        for bytes in 1..=100 {
            wire.data(Response, 0, 1, &message(bytes));
        }
        wire.headers(Response, END_STREAM, 1, &trailers("11"));
    };
    let expected = |messages: &str| format!("0 POST /s/M 200 5/5550 grpc 11 {messages}");
    check(&frames, [&expected("1/100"), &expected("?/?")]);
}

#[test]
fn both_sides_stream() {
    let frames = |wire: &mut Wire| {
        wire.headers(Request, 0, 1, &call()).headers(Response, 0, 1, &answer());
        for bytes in 0..5 {
            wire.data(Request, 0, 1, &message(bytes)).data(Response, 0, 1, &message(7));
        }
        wire.headers(Response, END_STREAM, 1, &trailers("0"));
        wire.frame(Request, RST_STREAM, 0, 1, &[0; 4]);
    };
    check(&frames, ["0 POST /s/M 200 35/60 grpc 0 5/5", "0 POST /s/M 200 35/60 grpc 0 ?/?"]);
}

#[test]
fn a_message_in_several_frames_is_one_and_frames_of_several_are_unknown() {
    let frames = |wire: &mut Wire| {
        let long = message(90);
        let (start, end) = long.split_at(40);
        wire.headers(Request, 0, 1, &call()).data(Request, 0, 1, start).data(Request, 1, 1, end);
        wire.headers(Response, 0, 1, &answer());
        wire.data(Response, 0, 1, &[message(3), message(4)].concat());
        wire.headers(Response, END_STREAM, 1, &trailers("0"));
    };
    check(&frames, ["0 POST /s/M 200 95/17 grpc 0 1/?", "0 POST /s/M 200 95/17 grpc 0 ?/?"]);
}

#[test]
fn trailers_alone_are_an_answer() {
    let frames = |wire: &mut Wire| {
        wire.headers(Request, 0, 1, &call()).data(Request, 1, 1, &message(9));
        let only = [("content-type", "application/grpc"), ("grpc-status", "12")];
        let only = [&status("200")[..], &block(&only)].concat();
        wire.headers(Response, END_STREAM, 1, &only);
    };
    check(&frames, ["0 POST /s/M 200 14/0 grpc 12 1/0", "0 POST /s/M 200 14/0 grpc 12 ?/0"]);
}

#[test]
fn a_call_says_how_long_it_waits_and_is_not_over_at_the_first_headers() {
    let mut wire = Wire::new();
    let timed = [call(), block(&[("grpc-timeout", "250m")])].concat();
    wire.headers(Request, END_STREAM, 1, &timed).headers(Response, 0, 1, &answer());
    let open = wire.seen();
    assert_eq!((open.out.len(), open.connection.open()), (0, 1));
    wire.headers(Response, END_STREAM, 1, &trailers("4"));
    let over = wire.seen();
    assert_eq!(over.out[0].request.timeout_ns, Some(250_000_000));
    assert_eq!(over.lines(), ["0 POST /s/M 200 0/0 grpc 4 0/0"]);
}

#[test]
fn a_cancelled_call_has_no_status() {
    let frames = |wire: &mut Wire| {
        wire.headers(Request, 0, 1, &call()).data(Request, 1, 1, &message(9));
        wire.headers(Response, 0, 1, &answer()).data(Response, 0, 1, &message(3));
        wire.frame(Request, RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    };
    let expected = |messages: &str| format!("0 POST /s/M 200 14/8 grpc ? {messages} Cancelled");
    check(&frames, [&expected("1/1"), &expected("?/?")]);
}

#[test]
fn padding_hides_where_messages_begin() {
    let frames = |wire: &mut Wire| {
        let padded = [&[1][..], &message(2), &[0]].concat();
        wire.headers(Request, 0, 1, &call()).data(Request, 1 | PADDED, 1, &padded);
        let only = [&status("200")[..], &trailers("x")].concat();
        wire.headers(Response, END_STREAM, 1, &only);
    };
    check(&frames, ["0 POST /s/M 200 9/0 grpc ? ?/0"; 2]);
}
