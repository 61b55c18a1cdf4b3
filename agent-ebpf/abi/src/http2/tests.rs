//! Frames and the messages in them, in calls of every size.

extern crate std;

use std::{collections::BTreeMap, format, string::String, vec::Vec};

use super::{MET_AT, Open, Position};
use crate::http1::{Bytes, Phase, Step, Stream};

/// Does to one direction what the probe does, with `split` bytes a call. Tells of each frame in which
/// a message begins its stream, where it begins and ends, and how many messages end in it.
#[derive(Debug)]
struct Follower {
    stream: Stream,
    kept: BTreeMap<u32, Open>,
    told: Vec<String>,
}

impl Follower {
    fn new() -> Self {
        let mut stream = Stream::NEW;
        stream.expect_frames();
        Self { stream, kept: BTreeMap::new(), told: Vec::new() }
    }

    fn call(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            let passed = self.turn(rest);
            rest = &rest[usize::try_from(passed).unwrap()..];
        }
    }

    fn turn(&mut self, rest: &[u8]) -> u64 {
        if self.stream.phase != Phase::DATA {
            let (piece, mut scan) = Bytes::of(&self.stream, rest, 0xff);
            while self.stream.phase != Phase::DATA && !scan.is_over() {
                self.stream.take(&mut scan, &piece);
            }
            return scan.taken();
        }
        if self.stream.awaits_open() {
            let kept = self.kept.get(&self.stream.data_stream());
            self.stream.reopen(kept.copied().unwrap_or(Open::NONE));
            return 0;
        }
        let prefix = self.stream.prefix_bytes(rest.len() as u64);
        if prefix == 0 {
            let passed = self.stream.pass_message(rest.len() as u64);
            return self.passed(passed);
        }
        let mut word = [0; 8];
        let len = usize::try_from(prefix).unwrap();
        word[..len].copy_from_slice(&rest[..len]);
        self.stream.take_prefix(u64::from_le_bytes(word), prefix);
        self.passed(prefix)
    }

    fn passed(&mut self, bytes: u64) -> u64 {
        if self.stream.phase == Phase::DATA {
            return bytes;
        }
        let (stream, before) = (self.stream.data_stream(), self.stream.before());
        let Some(open) = self.stream.open() else { return bytes };
        if open.position == Position::BETWEEN {
            self.kept.remove(&stream);
        } else {
            self.stream.keeps_messages();
            self.kept.insert(stream, open);
        }
        if self.stream.has_begun() {
            let [at, after, last] = self.stream.counted();
            assert_eq!((Position(at), Position(after)), (before, open.position));
            assert_eq!(last & 0xffff_ffff, u64::from(stream));
            let (before, after, whole) = (place(before), place(open.position), last >> 32);
            self.told.push(format!("{stream} {before}..{after} {whole}"));
        }
        bytes
    }
}

/// How many bytes of a message are to come, or came of a prefix.
fn place(position: Position) -> String {
    match (position.left(), position.came()) {
        (Some(left), None) => format!("{left}"),
        (None, Some(came)) => format!("+{came}"),
        other => panic!("{position:?}: {other:?}"),
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[a, b, c, kind, flags, 0x80, 0, 0, stream], payload].concat()
}

fn message(len: u8) -> Vec<u8> {
    [&[0, 0, 0, 0, len][..], &std::vec![0; usize::from(len)]].concat()
}

fn check(frames: &[Vec<u8>], expected: &[&str]) {
    let bytes = frames.concat();
    for split in (1..40).chain([1 << 20]) {
        let mut follower = Follower::new();
        bytes.chunks(split).for_each(|call| follower.call(call));
        assert_eq!(follower.told, expected, "in calls of {split} bytes: {frames:x?}");
        assert_eq!(follower.stream.phase, Phase::FRAME_HEADER);
    }
}

const SETTINGS: u8 = 4;
const DATA: u8 = 0;
const PADDED: u8 = 8;

#[test]
fn messages_are_counted_frame_by_frame() {
    check(&[frame(DATA, 1, 1, &message(7))], &["1 0..0 1"]);
    let three = [message(0), message(255), message(3)].concat();
    check(&[frame(DATA, 0, 7, &three)], &["7 0..0 3"]);
    check(&[frame(DATA, 1, 1, b"")], &[]);
    check(&[frame(1, 4, 1, &message(7)), frame(SETTINGS, 0, 0, &[0; 6])], &[]);
}

#[test]
fn a_message_goes_on_in_later_frames_behind_those_of_others() {
    let (long, other) = (message(30), message(9));
    let frames = [
        frame(DATA, 0, 1, &long[..2]),
        frame(DATA, 0, 3, &other[..7]),
        frame(SETTINGS, 1, 0, b""),
        frame(DATA, 0, 1, &long[2..4]),
        frame(DATA, 0, 1, &long[4..20]),
        frame(DATA, 0, 3, &other[7..]),
        // Nothing begins in this one: it is not told of.
        frame(DATA, 0, 1, &long[20..25]),
        frame(DATA, 0, 1, &[&long[25..], &message(1)[..3]].concat()),
        frame(DATA, 0, 1, &message(1)[3..]),
        frame(DATA, 0, 1, &message(2)),
    ];
    let expected = [
        "1 0..+2 0",
        "3 0..7 0",
        "1 +2..+4 0",
        "1 +4..15 0",
        "1 10..+3 1",
        "1 +3..0 1",
        "1 0..0 1",
    ];
    check(&frames, &expected);
}

#[test]
fn what_is_no_message_is_passed_over() {
    let text = b"{\"kind\": \"Pod\"}";
    let frames = [frame(DATA, 0, 1, text), frame(DATA, 0, 3, &message(2))];
    check(&frames, &["3 0..0 1"]);
    let behind = [&message(2)[..], text].concat();
    check(&[frame(DATA, 0, 1, &behind), frame(DATA, 0, 3, &message(2))], &["3 0..0 1"]);
    check(&[frame(DATA, PADDED, 1, &[&[1][..], &message(2), &[0]].concat())], &[]);
}

#[test]
fn what_nobody_can_look_at_may_be_the_inside_of_a_message_and_nothing_else() {
    // A frame of 35 bytes, of which these are seen first, then this many are not.
    let check = |seen: usize, hidden: u64, expected: &[&str]| {
        let payload = message(30);
        let mut follower = Follower::new();
        follower.call(&frame(DATA, 0, 1, &payload)[..9 + seen]);
        assert!(follower.stream.pass_hidden(hidden).is_some());
        follower.call(&payload[seen + usize::try_from(hidden).unwrap()..]);
        assert_eq!(follower.told, expected, "{seen} seen, {hidden} hidden");
        assert_eq!(follower.stream.phase, Phase::FRAME_HEADER);
    };
    check(5, 29, &["1 0..0 1"]);
    check(20, 10, &["1 0..0 1"]);
    check(0, 1, &[]);
    check(3, 30, &[]);
}

/// What comes of the first call of a connection of which nothing was seen: whether it is a response's,
/// where its bytes begin, and what is next.
fn first(bytes: &[u8]) -> Option<(bool, u64, Phase)> {
    let mut stream = Stream::NEW;
    stream.phase = Phase::FIRST_FRAME;
    let (piece, mut scan) = Bytes::of(&stream, bytes, 0xff);
    let step = stream.take(&mut scan, &piece);
    let joined = (stream.is_response(), stream.body_bytes, stream.phase);
    if step == Step::Refused { None } else { Some(joined) }
}

fn on_stream_1(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(kind, flags, 1, payload);
    bytes[5] = 0;
    bytes
}

#[test]
fn a_connection_is_met_half_way_at_headers_whose_first_field_tells_whose_they_are() {
    let check = |flags: u8, payload: &[u8], expected: Option<bool>| {
        let expected = expected.map(|is_response| (is_response, MET_AT, Phase::FRAME));
        let bytes = on_stream_1(1, flags, payload);
        assert_eq!(first(&bytes), expected, "{bytes:x?}");
    };
    let (request, response) = (Some(false), Some(true));
    // `:method: GET`, `:method: POST`, `:path` of the dynamic table, `:path` set and not set.
    check(5, b"\x82\xbe", request);
    check(4, b"\x83\x86", request);
    check(4, b"\xbe\x82", None);
    check(4, b"\x44\x01/\x82", request);
    check(4, b"\x04\x01/\x82", request);
    check(4, b"\x14\x01/\x82", request);
    // `:status: 200`, another status, and trailers with a name of their own or known.
    check(4, b"\x88\xbf", response);
    check(5, b"\x48\x82\x64\x02", response);
    check(5, b"\x40\x0bgrpc-status\x010", None);
    check(5, b"\xbf", None);
    check(5, b"\x90", None);
    // The size of a table.
    check(5, b"\x20\x82", None);
    // Without END_HEADERS, with a flag that it does not have, padded, with a priority, or cut.
    check(1, b"\x82\xbe", None);
    check(6, b"\x82\xbe", None);
    check(12, b"\x01\x82\0", request);
    check(36, b"\0\0\0\0\x10\x82", request);
    check(44, b"\x01\0\0\0\0\x10\x88\0", response);
    check(44, b"\x01\0\0\0\0\x10", None);
    check(4, b"", None);
    check(4, &[0x82; 8192], request);
    check(4, &[0x82; 8193], None);
    let settings = frame(SETTINGS, 0, 0, &[0; 6]);
    assert_eq!(first(&[&settings[..5], &[0], &settings[6..]].concat()).unwrap().1, 0);
    for cut in [4, 8, 9] {
        assert_eq!(first(&on_stream_1(1, 5, b"\x82")[..cut]), None, "{cut}");
    }
}

#[test]
fn what_is_met_half_way_is_followed_as_long_as_it_can_be_nothing_else() {
    let check = |bytes: &[u8], expected: Step| {
        let mut stream = Stream::NEW;
        stream.expect_frames_half_way();
        let (piece, mut scan) = Bytes::of(&stream, bytes, 0xff);
        assert_eq!(stream.take(&mut scan, &piece), expected, "{bytes:x?}");
        assert_eq!(stream.body_bytes, MET_AT);
    };
    let goes_on = [
        on_stream_1(1, 4, b"\x88"),
        on_stream_1(1, 5, b"\xbf"),
        on_stream_1(3, 0, &[0; 4]),
        on_stream_1(8, 0, &[0; 4]),
        on_stream_1(DATA, 1, b""),
        b"\0\0\x08\x06\x01\0\0\0\0".to_vec(),
        b"\0\0\0\x04\x01\0\0\0\0".to_vec(),
        b"\0\0\x08\x07\0\0\0\0\0".to_vec(),
    ];
    goes_on.iter().for_each(|bytes| check(bytes, Step::More));
    check(&on_stream_1(DATA, 0, b"x"), Step::ChunkFollows);
    let does_not = [
        &[0; 9][..],
        b"HTTP/1.1 200 OK",
        b"xxxxxxxxx",
        // One of DATA for no stream, PING on one, of another length, and of an unknown kind.
        b"\0\0\x01\0\0\0\0\0\0",
        b"\0\0\x08\x06\0\0\0\0\x01",
        b"\0\0\x07\x06\0\0\0\0\0",
        b"\0\0\x08\x0a\0\0\0\0\x01",
        b"\0\x40\x01\0\0\0\0\0\x01",
        b"\0\0\x01\0\0\x80\0\0\x01",
        // Messages of gRPC.
        b"\0\0\0\0\x01\x08\0\0\0\0\x05",
        b"\0\0\0\0\0\0\0\0\0\0",
        b"\0\0\0\x01\x04\x0a\x80\x02abc",
    ];
    does_not.iter().for_each(|bytes| check(bytes, Step::Refused));
}
