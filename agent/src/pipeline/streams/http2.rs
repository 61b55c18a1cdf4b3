//! Connections that speak HTTP/2, as two ends of them may.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*, sample::select};

use super::script::{CONTEXT, Part, Script, bytes};
use crate::protocol::{
    Direction::{self, Request, Response},
    http2::{
        PREFACE,
        tests::{
            CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, RST_STREAM,
            SETTINGS, Wire, block, status,
        },
    },
};

const ACK: u8 = 1;
/// What the first request sets for those after it.
const FIRST_PATH: &[u8] = b"\x44\x06/first";
const AS_THE_FIRST: &[u8] = b"\xbe";

/// Who begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Client,
    Server,
    /// The first request came by HTTP/1.
    Upgraded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Cancelled,
    Refused,
    Unanswered,
}

/// A DATA frame: bytes of its payload, some of them padding.
#[derive(Debug, Clone, Copy)]
struct Data {
    len: usize,
    padding: Option<u8>,
}

#[derive(Debug, Clone)]
struct Stream {
    is_grpc: bool,
    is_traced: bool,
    /// Where the header blocks are cut in two frames.
    cut: Option<usize>,
    up: Vec<Data>,
    has_interim: bool,
    status: u16,
    down: Vec<Data>,
    has_trailers: bool,
    ending: Ending,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    streams: Vec<Stream>,
    /// Which stream is next; gone through again and again.
    order: Vec<usize>,
    /// Both directions go at once, once all was asked for.
    is_at_once: bool,
    has_goaway: bool,
}

/// Frames that nothing may come between.
type Frames = (Direction, Vec<Part>);

fn streams() -> impl Strategy<Value = Stream> {
    let frames = || {
        let padding = prop_oneof![3 => Just(None), 1 => (0..20_u8).prop_map(Some)];
        let data = (prop_oneof![0..80_usize, 0..3000_usize], padding);
        vec(data.prop_map(|(len, padding)| Data { len, padding }), 0..4)
    };
    let cut = prop_oneof![Just(None), (0..20_usize).prop_map(Some)];
    let ending = prop_oneof![5 => Just(Ending::Whole), 1 => Just(Ending::Cancelled),
            1 => Just(Ending::Refused), 1 => Just(Ending::Unanswered)];
    let status = select(vec![200_u16, 404, 500]);
    let flags = any::<[bool; 4]>();
    (flags, cut, frames(), status, frames(), ending).prop_map(
        |([is_grpc, is_traced, has_interim, has_trailers], cut, up, status, down, ending)| Stream {
            is_grpc,
            is_traced,
            cut,
            up,
            has_interim,
            status: if is_grpc { 200 } else { status },
            down,
            has_trailers: has_trailers || is_grpc,
            ending,
        },
    )
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let order = vec(0..16_usize, 1..20);
    (vec(streams(), 1..6), order, any::<bool>(), any::<bool>()).prop_map(
        |(mut streams, order, is_at_once, has_goaway)| {
            if is_at_once {
                // Of a stream that one side ends it would matter what came first.
                streams.iter_mut().for_each(|stream| stream.ending = Ending::Whole);
            }
            Plan { streams, order, is_at_once, has_goaway }
        },
    )
}

/// Connections that speak it from the start.
pub(super) fn scripts() -> impl Strategy<Value = Script> {
    (plans(), select(vec![Start::Client, Start::Server])).prop_map(|(plan, start)| {
        let mut script = Script::default();
        plan.say(&mut script, start);
        script
    })
}

impl Plan {
    pub(super) fn say(&self, script: &mut Script, start: Start) {
        begin(script, start);
        let mut queues: Vec<VecDeque<Frames>> = vec![of_no_stream().into()];
        for (nth, stream) in self.streams.iter().enumerate() {
            let upgraded = start == Start::Upgraded && nth == 0;
            let stream = Stream { is_grpc: stream.is_grpc && !upgraded, ..stream.clone() };
            let path = match (start, nth) {
                (Start::Upgraded, _) => &b"\x04\x06/first"[..],
                (_, 0) => FIRST_PATH,
                _ => AS_THE_FIRST,
            };
            let mut frames = stream.frames(u32::try_from(2 * nth + 1).unwrap(), path);
            if upgraded {
                frames.retain(|(direction, _)| *direction == Response);
            }
            script.expected.push(stream.line(upgraded));
            queues.push(frames.into());
        }
        if self.is_at_once {
            self.say_at_once(script, queues);
        } else {
            self.say_in_turn(script, queues);
        }
        if self.has_goaway {
            let last = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
            script.say(Response, frame(GOAWAY, 0, 0, &[&last[..], b"bye"].concat()));
        }
    }

    /// One after the other, in any order that those of the streams allow: later ones begin later.
    fn say_in_turn(&self, script: &mut Script, mut queues: Vec<VecDeque<Frames>>) {
        let lens: Vec<usize> = queues.iter().map(VecDeque::len).collect();
        let mut order = self.order.iter().cycle();
        loop {
            let begun = queues.iter().zip(&lens).skip(1);
            let begun = 1 + begun
                .take_while(|(queue, len)| queue.is_empty() || queue.len() < **len)
                .count();
            let ready = 0..=begun.min(queues.len() - 1);
            let ready: Vec<usize> = ready.filter(|at| !queues[*at].is_empty()).collect();
            let Some(nth) = order.next().and_then(|nth| nth.checked_rem(ready.len())) else {
                return;
            };
            if let Some((direction, parts)) = queues[ready[nth]].pop_front() {
                script.join(direction, parts);
            }
        }
    }

    /// First all that is asked, then the rest of both directions.
    fn say_at_once(&self, script: &mut Script, mut queues: Vec<VecDeque<Frames>>) {
        for queue in queues.iter_mut().skip(1) {
            if let Some((Request, parts)) =
                queue.pop_front_if(|(direction, _)| *direction == Request)
            {
                script.join(Request, parts);
            }
        }
        let (mut request, mut response) = (Vec::new(), Vec::new());
        let mut order = self.order.iter().cycle();
        while queues.iter().any(|queue| !queue.is_empty()) {
            let nth = order.next().map_or(0, |nth| nth % queues.len());
            queues.rotate_left(nth);
            match queues.iter_mut().find_map(VecDeque::pop_front) {
                Some((Request, parts)) => request.extend(parts),
                Some((Response, parts)) => response.extend(parts),
                None => {}
            }
        }
        script.say_both(request, response);
    }
}

pub(super) fn begin(script: &mut Script, start: Start) {
    let settings = || frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x64");
    let ack = || frame(SETTINGS, ACK, 0, b"");
    let preface = [vec![Part::Passed(PREFACE.to_vec())], settings()].concat();
    match start {
        Start::Client => {
            script.say(Request, preface);
            script.say(Response, [settings(), ack()].concat());
            script.say(Request, ack());
        }
        Start::Server => {
            script.say(Response, settings());
            script.say(Request, [preface, ack()].concat());
            script.say(Response, ack());
        }
        Start::Upgraded => script.say_both(preface, settings()),
    }
}

/// What belongs to the connection, or to nothing known.
fn of_no_stream() -> Vec<Frames> {
    vec![
        (Request, frame(PING, 0, 0, &[0; 8])),
        (Response, frame(PING, ACK, 0, &[0; 8])),
        (Request, frame(8, 0, 0, &[0, 0, 1, 0])),
        (Response, frame(0xfe, 0xff, 77, b"what is this")),
    ]
}

impl Stream {
    fn frames(&self, id: u32, path: &[u8]) -> Vec<Frames> {
        let mut frames = Vec::new();
        let of = |end: bool| if end { END_STREAM } else { 0 };
        let method: &[u8] = if self.is_grpc { b"\x83\x86" } else { b"\x82\x86" };
        let kind = if self.is_grpc { "application/grpc" } else { "text/plain" };
        let (kind, context) =
            (block(&[("content-type", kind)]), block(&[("traceparent", CONTEXT)]));
        let head = [method, path, &kind, if self.is_traced { &context } else { &[] }].concat();
        frames.push((Request, self.block(id, of(self.up.is_empty()), &head)));
        for (nth, data) in (1..).zip(&self.up) {
            frames.push((Request, data.frame(id, of(nth == self.up.len()))));
        }
        match self.ending {
            Ending::Unanswered => return frames,
            Ending::Cancelled | Ending::Refused => {
                let is_cancelled = self.ending == Ending::Cancelled;
                let (by, code) = if is_cancelled { (Request, 8) } else { (Response, 7) };
                frames.push((by, frame(RST_STREAM, 0, id, &[0, 0, 0, code])));
                return frames;
            }
            Ending::Whole => {}
        }
        if self.has_interim {
            frames.push((Response, self.block(id, 0, &status("103"))));
        }
        let ends = self.down.is_empty() && !self.has_trailers;
        frames.push((Response, self.block(id, of(ends), &status(&self.status.to_string()))));
        for (nth, data) in (1..).zip(&self.down) {
            let ends = nth == self.down.len() && !self.has_trailers;
            frames.push((Response, data.frame(id, of(ends))));
        }
        if self.has_trailers {
            let trailers = block(&[("grpc-status", "5"), ("checksum", "x")]);
            frames.push((Response, self.block(id, END_STREAM, &trailers)));
        }
        frames
    }

    /// HEADERS, or padded ones and a CONTINUATION.
    fn block(&self, id: u32, flags: u8, block: &[u8]) -> Vec<Part> {
        let Some(at) = self.cut else {
            return frame(HEADERS, END_HEADERS | flags, id, block);
        };
        let (start, end) = block.split_at(at.min(block.len()));
        let padded = [&[2], start, &[0, 0]].concat();
        let first = frame(HEADERS, flags | PADDED, id, &padded);
        [first, frame(CONTINUATION, END_HEADERS, id, end)].concat()
    }

    /// What each end is to tell of it.
    fn line(&self, upgraded: bool) -> String {
        let sum = |frames: &[Data]| frames.iter().map(|data| data.payload_len()).sum::<usize>();
        let up = if upgraded { 0 } else { sum(&self.up) };
        let (status, error) = match self.ending {
            Ending::Whole if self.is_grpc => ("NOT_FOUND", ""),
            Ending::Whole => return format!("GET {} {up}/{}", self.status, sum(&self.down)),
            // The client said so where this request was not.
            Ending::Cancelled if upgraded => ("-", " connection_closed"),
            Ending::Cancelled if self.is_grpc => ("CANCELLED", ""),
            Ending::Cancelled => ("-", " cancelled"),
            Ending::Refused if self.is_grpc => ("UNAVAILABLE", ""),
            Ending::Refused => ("-", " stream_refused"),
            Ending::Unanswered => ("-", " connection_closed"),
        };
        let call = if self.is_grpc { "first" } else { "GET" };
        let sizes = if self.is_grpc { String::new() } else { format!(" {up}/-") };
        format!("{call} {status}{sizes}{error}")
    }
}

impl Data {
    fn payload_len(self) -> usize {
        self.len + self.padding.map_or(0, |padding| 1 + usize::from(padding))
    }

    fn frame(self, id: u32, flags: u8) -> Vec<Part> {
        let mut payload = bytes(self.len);
        let mut flags = flags;
        if let Some(padding) = self.padding {
            flags |= PADDED;
            payload.insert(0, padding);
            payload.resize(self.payload_len(), 0);
        }
        frame(DATA, flags, id, &payload)
    }
}

/// The direction does not matter to a frame.
pub(super) fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<Part> {
    let mut wire = Wire::default();
    wire.shown = usize::MAX;
    wire.frame(Request, kind, flags, id, payload);
    let bytes: Vec<u8> = wire.runs.into_iter().flat_map(|run| run.bytes).collect();
    if kind != DATA {
        return vec![Part::Shown(bytes)];
    }
    let (header, payload) = bytes.split_at(bytes.len() - payload.len());
    vec![Part::Shown(header.to_vec()), Part::Body(payload.to_vec())]
}
