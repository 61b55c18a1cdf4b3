//! The machine, in calls of every size.

extern crate std;

use std::{format, string::String, vec::Vec};

use super::*;

/// Does to both directions what the probe does, with `split` bytes a call. Tells of each message
/// its direction, the length of its head and of its body; `+` where it is not over.
fn follow(calls: &[(char, &[u8])], split: usize, behind: u8) -> Vec<String> {
    let mut ways = [Stream::NEW; 2];
    let (mut heads, mut connects) = ([false; 64], [false; 64]);
    let mut told = Vec::new();
    for (way, bytes) in calls {
        let stream = &mut ways[usize::from(*way == '<')];
        for call in bytes.chunks(split.max(1)) {
            let mut rest = call;
            while !rest.is_empty() {
                if stream.phase.is_counted() {
                    let (passed, step) = stream.pass_over(rest.len() as u64);
                    rest = &rest[usize::try_from(passed).unwrap()..];
                    if step == Step::MessageEnded {
                        told.push(format!("{way}body {}", stream.body_bytes));
                    }
                    continue;
                }
                if stream.phase == Phase::UNTIL_CLOSE {
                    stream.body_bytes += rest.len() as u64;
                    break;
                }
                if !stream.phase.is_head() && !stream.phase.is_framing() {
                    break;
                }
                let (taken, step) = take(stream, rest, behind);
                rest = &rest[taken..];
                match step {
                    Step::More | Step::ChunkFollows => {}
                    Step::MessageEnded => told.push(format!("{way}body {}", stream.body_bytes)),
                    Step::Refused => told.push(format!("{way}refused")),
                    Step::HeadEnded => {
                        let head = stream.head_bytes;
                        let next = (stream.ordinal as usize + 1) & 63;
                        let ended = if stream.is_response() {
                            stream.begin_body(heads[next], connects[next])
                        } else {
                            (heads[next], connects[next]) = (stream.is_head(), stream.is_connect());
                            stream.begin_body(false, false)
                        };
                        let more = if ended == Step::More { "+" } else { "" };
                        told.push(format!("{way}head {head}{more}"));
                    }
                }
            }
        }
    }
    told
}

/// Takes of the bytes until something ended; `behind` lies behind them.
fn take(stream: &mut Stream, bytes: &[u8], behind: u8) -> (usize, Step) {
    let (piece, mut scan) = Bytes::of(stream, bytes, behind);
    let mut step = Step::More;
    while step == Step::More && !scan.is_over() {
        step = stream.take(&mut scan, &piece);
    }
    (usize::try_from(scan.taken()).unwrap(), step)
}

/// The same whatever the calls are.
fn check(calls: &[(char, &[u8])], expected: &[&str]) {
    for split in [1, 2, 3, 5, 7, 11, 64, 1 << 20] {
        for behind in [b'\n', b'0', b'A', 0] {
            let seen = follow(calls, split, behind);
            assert_eq!(seen, expected, "in calls of {split} bytes before {behind}: {calls:?}");
        }
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn bodies_are_as_long_as_the_head_says() {
    check(&[('>', GET), ('<', OK)], &[">head 18", "<head 38+", "<body 3"]);
    let post = b"POST / HTTP/1.1\r\ncontent-LENGTH:  12 \r\nX: 99\r\n\r\nGET / HTTP/1";
    check(&[('>', post), ('>', GET)], &[">head 48+", ">body 12", ">head 18"]);
    let none = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    check(&[('>', GET), ('<', none), ('<', OK)], &[">head 18", "<head 38", "<head 38+", "<body 3"]);
    let until_close = b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    check(&[('<', until_close)], &["<head 19+"]);
}

#[test]
fn responses_without_a_body_have_none_whatever_they_say() {
    let head = b"HEAD / HTTP/1.1\r\n\r\n";
    let long = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    check(
        &[('>', head), ('<', long), ('<', OK)],
        &[">head 19", "<head 38", "<head 38+", "<body 3"],
    );
    for status in ["204", "304", "103"] {
        let bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n");
        check(&[('<', bytes.as_bytes()), ('<', OK)], &["<head 37", "<head 38+", "<body 3"]);
    }
}

#[test]
fn a_field_goes_on_in_a_line_that_begins_with_a_blank() {
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n{body}");
    let inner = "GET / HTTP/1.1\r\n\r\n";
    let chunked = format!("12\r\n{inner}\r\n0\r\n\r\n");
    let head = |fields: &str| format!(">head {}+", post(fields, "").len());
    let follows = |fields: &str, body: &str| {
        let request = post(fields, body);
        let expected = [&*head(fields), ">body 18", ">head 18"];
        check(&[('>', request.as_bytes()), ('>', GET)], &expected);
    };
    follows("Content-Length:\r\n 18", inner);
    follows("content-length: \n\t 18 ", inner);
    follows("Transfer-Encoding:\r\n chunked", &chunked);
    follows("Transfer-Encoding: gzip,\r\n\tChunked", &chunked);
    // It goes on with another field, and says nothing of the body.
    follows("Content-Length: 18\r\nX: a\r\n 99\r\n chunked", inner);
    follows("X: a\r\n Content-Length: 7\r\nContent-Length: 18", inner);
    follows("Content-Length: 18\r\nTo: a\r\n 99", inner);
    let none = post("X: a\r\n chunked\r\nUpgrade:\r\n Content-Length: 9", "");
    let expected = [&*format!(">head {}", none.len()), ">head 18"];
    check(&[('>', none.as_bytes()), ('>', GET)], &expected);
    // No number, or none that is certain: what follows is not taken for a head.
    check(&[('>', post("Content-Length: 1\r\n 8", inner).as_bytes())], &[">refused"]);
    let long = format!("Content-Length:\r\n {:>40}", 18);
    check(&[('>', post(&long, inner).as_bytes())], &[">refused"]);
}

#[test]
fn a_request_in_an_encoding_without_an_end_is_not_followed_by_a_head() {
    let gzip = b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    check(&[('>', gzip)], &[">head 44+"]);
    let folded =
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunk\r\n ed\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    check(&[('>', folded)], &[">head 50+"]);
    let known = b"POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc";
    check(&[('>', known), ('>', GET)], &[">head 67+", ">body 3", ">head 18"]);
}

#[test]
fn chunks_are_walked() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
        1;a=\"b\"\r\n0\r\nB \r\n0\r\n\r\nGET / \r\n0\r\nTrailer: x\r\n\r\n";
    check(&[('<', chunked), ('<', OK)], &["<head 53+", "<body 12", "<head 38+", "<body 3"]);
    let endless = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff";
    check(&[('>', endless)], &[">head 47+", ">refused"]);
}

#[test]
fn what_follows_an_upgrade_or_connect_is_not_looked_at() {
    let upgraded = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    check(&[('>', GET), ('<', upgraded)], &[">head 18", "<head 38"]);
    let connect = b"CONNECT example:443 HTTP/1.1\r\n\r\n";
    let yes = b"HTTP/1.1 200 OK\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    check(&[('>', connect), ('<', yes)], &[">head 32", "<head 19"]);
    let no = b"HTTP/1.1 403 X\r\nContent-Length: 2\r\n\r\nno";
    check(&[('>', connect), ('<', no)], &[">head 32", "<head 37+", "<body 2"]);
}

#[test]
fn an_upgrade_to_http2_is_followed_by_frames() {
    let mut stream = Stream::NEW;
    let upgraded =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let (taken, step) = take(&mut stream, upgraded, b'A');
    assert_eq!((taken, step), (upgraded.len(), Step::HeadEnded));
    assert_eq!(stream.begin_body(false, false), Step::MessageEnded);
    assert_eq!((stream.phase, stream.body_bytes), (Phase::FRAME_HEADER, 0));
}

#[test]
fn hidden_bytes_are_bodies_or_end_the_following() {
    let mut stream = Stream::NEW;
    assert_eq!(stream.pass_hidden(1), None, "a head");
    take(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", 0);
    stream.begin_body(false, false);
    assert_eq!(stream.pass_hidden(31), None, "more than there is");
    assert_eq!(stream.pass_hidden(10), Some(Step::More));
    assert_eq!(stream.pass_hidden(20), Some(Step::MessageEnded));
    stream.expect_frames();
    // A DATA frame of five bytes.
    take(&mut stream, b"\0\0\x05\0\0\0\0\0\x01", 0);
    assert_eq!((stream.phase, stream.pass_hidden(6)), (Phase::DATA, None));
    assert_eq!((stream.pass_hidden(5), stream.phase), (Some(Step::More), Phase::FRAME_HEADER));
}

#[test]
fn lines_may_end_in_a_bare_line_feed_and_messages_begin_with_empty_ones() {
    check(&[('>', b"\r\n\nPURGE /x HTTP/1.0\nA: b\n\n"), ('>', GET)], &[">head 27", ">head 18"]);
}

#[test]
fn other_protocols_are_refused_early() {
    for bytes in [
        &b"\x16\x03\x01"[..],
        b"SSH-2.0-x",
        b"EHLO host\r\n",
        b"GET /x\r\n",
        b"get / HTTP/1.1\r\n",
        b"A / HTTP/1.1\r\n",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZ /",
        b"HTTPS/1.1 200",
        b"*1\r\n$4\r\nPING\r\n",
    ] {
        check(&[('>', bytes)], &[">refused"]);
    }
}

#[test]
fn a_method_has_so_many_letters_and_no_more_in_whatever_calls() {
    let method = |letters: usize| format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(letters));
    check(&[('>', method(20).as_bytes())], &[">head 35"]);
    check(&[('>', method(21).as_bytes())], &[">refused"]);
}

#[test]
fn an_http2_preface_is_known_by_its_first_five_bytes() {
    for split in [1, 2, 5, 24] {
        let mut stream = Stream::NEW;
        let mut rest = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..];
        while stream.phase == Phase::START {
            let (taken, _) = take(&mut stream, &rest[..split.min(rest.len())], b'A');
            rest = &rest[taken..];
        }
        assert_eq!((stream.phase, rest.len()), (Phase::HTTP2, 19), "in calls of {split}");
    }
}

#[test]
fn long_lines_are_judged_by_their_ends() {
    let path = "x".repeat(300);
    let long = format!(
        "GET /{path} HTTP/1.1\r\nCookie: {path}\r\nTransfer-Encoding: {path}, chunked\r\n\r\n\
         3\r\nabc\r\n0\r\n\r\n"
    );
    check(&[('>', long.as_bytes()), ('>', GET)], &[">head 958+", ">body 3", ">head 18"]);
    let bad = format!("GET /{path} HTTP/1.1x\r\n\r\n");
    check(&[('>', bad.as_bytes())], &[">refused"]);
    let padded = format!("POST / HTTP/1.1\r\nContent-Length: {:>40}\r\n\r\n", 3);
    check(&[('>', padded.as_bytes())], &[">refused"]);
}
