//! Connections as their peers write them, and as the kernel side shows them.

mod flow;
mod golden;
mod late;
mod rpc;
mod split;

use super::*;
pub(super) use crate::protocol::Direction::{Request, Response};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

/// A header block of literals that set nothing.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "one byte of length");
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

pub(super) fn get(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", path)])
}

pub(crate) fn status(status: &str) -> Vec<u8> {
    block(&[(":status", status)])
}

/// Bytes that follow each other, of one direction.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(super) direction: Direction,
    pub(super) time: u64,
    pub(super) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What is written, cut into runs as the kernel side does. Each frame is a tick later than the one
/// before it.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) runs: Vec<Run>,
    /// Bytes at the start of each payload of DATA that are shown.
    pub(crate) shown: usize,
    at: Sides<u64>,
    time: u64,
}

impl Wire {
    /// Seen from anywhere.
    pub(super) fn joined() -> Self {
        Self { at: Sides { request: 1_000, response: 70_000 }, ..Self::default() }
    }

    /// Seen from its start.
    pub(super) fn new() -> Self {
        let mut wire = Self::default();
        wire.raw(Request, PREFACE);
        wire.frame(Request, SETTINGS, 0, 0, b"\0\x03\0\0\0\x64");
        wire.frame(Response, SETTINGS, 0, 0, b"");
        wire.frame(Response, SETTINGS, 1, 0, b"").frame(Request, SETTINGS, 1, 0, b"");
        wire
    }

    pub(super) fn raw(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.time += 1;
        let at = self.at.of_mut(direction);
        self.runs.push(Run { direction, time: self.time, offset: *at, bytes: bytes.to_vec() });
        *at += bytes.len() as u64;
        self
    }

    pub(crate) fn frame(
        &mut self,
        direction: Direction,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> &mut Self {
        let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        let hidden = if kind == DATA { payload.len().saturating_sub(self.shown) } else { 0 };
        bytes.extend(&payload[..payload.len() - hidden]);
        self.raw(direction, &bytes).skip(direction, hidden)
    }

    /// Bytes are written and not shown.
    pub(super) fn skip(&mut self, direction: Direction, bytes: usize) -> &mut Self {
        *self.at.of_mut(direction) += bytes as u64;
        self
    }

    pub(super) fn headers(
        &mut self,
        direction: Direction,
        flags: u8,
        stream: u32,
        block: &[u8],
    ) -> &mut Self {
        self.frame(direction, HEADERS, END_HEADERS | flags, stream, block)
    }

    pub(super) fn data(
        &mut self,
        direction: Direction,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> &mut Self {
        self.frame(direction, DATA, flags, stream, payload)
    }

    pub(super) fn seen(&self) -> Seen {
        let mut seen = Seen::of(Connection::new());
        self.runs.iter().for_each(|run| seen.run(run));
        seen
    }
}

/// A connection and what came of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) connection: Connection,
    pub(super) out: Vec<Exchange>,
    pub(super) counts: Counts,
}

impl Seen {
    pub(super) fn of(connection: Connection) -> Self {
        Self { connection, out: Vec::new(), counts: Counts::default() }
    }

    pub(super) fn run(&mut self, run: &Run) {
        let time = BootNanos(run.time);
        self.connection.bytes(run.direction, time, run.offset, &run.bytes, &mut self.out);
        self.counts += self.connection.take_counts();
        let open = self.connection.open() as u64;
        assert_eq!(self.counts.exchanges, self.out.len() as u64 + open, "nothing vanishes");
    }

    pub(super) fn closed(mut self) -> Self {
        self.connection.closed(BootNanos(1_000_000), &mut self.out);
        assert_eq!(self.connection.open(), 0);
        self
    }

    /// Each exchange on a line: its ordinal, request, answer and how it failed.
    pub(super) fn lines(&self) -> Vec<String> {
        self.out.iter().map(line).collect()
    }

    /// All that was counted, beside the exchanges, is this.
    pub(super) fn counted(self, counts: Counts) -> Self {
        assert_eq!(self.counts, Counts { exchanges: self.counts.exchanges, ..counts });
        self
    }
}

pub(super) fn line(exchange: &Exchange) -> String {
    let Exchange { ordinal, request, response, grpc, failure, .. } = exchange;
    let status = response.map_or_else(|| "-".to_owned(), |head| head.status.to_string());
    let mut line = format!("{ordinal} {} {} {status}", request.method, request.target);
    let (up, down) = (exchange.request_body_bytes, exchange.response_body_bytes);
    line += &format!(" {up}/{down}");
    if let Some(grpc) = grpc {
        let number =
            |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
        let status = number(grpc.status.map(u64::from));
        let (up, down) = (number(grpc.request_messages), number(grpc.response_messages));
        line += &format!(" grpc {status} {up}/{down}");
    }
    if let Some(failure) = failure {
        line += &format!(" {failure:?}");
    }
    if exchange.joined_late {
        line += " late";
    }
    line
}
