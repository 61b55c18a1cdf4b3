//! Any bytes are header blocks of HTTP/2 or are counted as none, the same in one frame or in several.
#![no_main]

use agent::{
    event::BootNanos,
    protocol::{
        Direction, Exchange,
        http2::{Connection, Counts},
    },
};

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], bytes: &mut Vec<u8>) {
    let len = u32::try_from(payload.len()).expect("inputs are short");
    bytes.extend(&len.to_be_bytes()[1..]);
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

/// Blocks behind their lengths: requests, and answers to them. In frames of `most` bytes.
fn seen(mut input: &[u8], most: usize) -> (Vec<Exchange>, Counts) {
    let mut connection = Connection::new();
    let mut out = Vec::new();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    connection.bytes(Direction::Request, BootNanos(1), 0, preface, &mut out);
    let (mut request, mut response, mut stream) = (preface.len() as u64, 0, 1);
    while let [len, rest @ ..] = input {
        let (block, behind) = rest.split_at(usize::from(*len).min(rest.len()));
        input = behind;
        let is_request = len % 2 == 0;
        let (direction, at) = if is_request {
            (Direction::Request, &mut request)
        } else {
            (Direction::Response, &mut response)
        };
        let (first, rest) = block.split_at(most.min(block.len()));
        let mut bytes = Vec::new();
        let ends = |is_last: bool| if is_last { END_HEADERS } else { 0 };
        frame(HEADERS, END_STREAM | ends(rest.is_empty()), stream, first, &mut bytes);
        for (nth, part) in (1..).zip(rest.chunks(most)) {
            let is_last = nth * most >= rest.len();
            frame(CONTINUATION, ends(is_last), stream, part, &mut bytes);
        }
        connection.bytes(direction, BootNanos(2), *at, &bytes, &mut out);
        *at += bytes.len() as u64;
        stream += if is_request { 0 } else { 2 };
    }
    connection.closed(BootNanos(3), &mut out);
    (out, connection.take_counts())
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let whole = seen(input, usize::MAX);
    assert_eq!(whole.0.len() as u64, whole.1.exchanges);
    assert_eq!(whole.1.out_of_step, 0);
    assert_eq!(seen(input, 1), whole);
    assert_eq!(seen(input, 5), whole);
});
