//! Connections that go on in another protocol, and what of HTTP/2 is counted.

use std::net::SocketAddr;

use super::{Ending, Exchanges, Told, multiplexed::BY_STREAM};
use crate::{
    event::{
        BootNanos, CloseReason, Closed, Connection, ConnectionId, Counted, Ends, Frames, Head,
        Position, Role, TaskId, Way,
    },
    protocol::http2::Counts,
    record::tests::task,
};

const ID: ConnectionId = ConnectionId { sock: 7, since_ns: 1 };
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// `:status: 200` by the static table, for stream 1 and for stream 3; both end with it.
const OK_1: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x01\x88";
const OK_3: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x03\x88";
/// `:method: GET`, `:scheme: http`, `:path: /`.
const GET_3: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x03\x82\x86\x84";

struct Seen {
    exchanges: Exchanges,
    out: Vec<Told>,
    time: u64,
    /// Records that were taken, of those the lost, and those of connections that are over.
    taken: u64,
    lost: u64,
    settled: u64,
}

impl Seen {
    fn client() -> Self {
        let end = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let announced = Connection {
            process: task(10),
            owner: task(10),
            connection: ID,
            time: BootNanos(1),
            role: Role::Client,
            ends: Ends::Inet { local: end(40_000), remote: end(80) },
            error: 0,
            connect: None,
            connected: None,
        };
        let (mut exchanges, mut out) = (Exchanges::default(), Vec::new());
        assert_eq!(exchanges.connection(&announced, &mut out).refused, 0);
        Self { exchanges, out, time: 1, taken: 1, lost: 0, settled: 0 }
    }

    fn head(mut self, way: Way, text: &str) -> Self {
        self.time += 10;
        let head = Head {
            process: task(10),
            owner: task(10),
            connection: ID,
            time: BootNanos(self.time),
            tid: 10,
            way,
            offset: 0,
            bytes: text.as_bytes(),
            head_ended: true,
            message_ended: true,
            is_cut: false,
            has_untold: false,
            ordinal: 1,
        };
        let mut out = Vec::new();
        let released = self.exchanges.head(&head, &mut out);
        self.took(out, released.unpaired)
    }

    fn frames(self, way: Way, offset: u64, bytes: &[u8]) -> Self {
        self.counted(way, offset, bytes, None)
    }

    /// On this stream so many messages are in the last frame, which is all of them.
    fn counted(mut self, way: Way, offset: u64, bytes: &[u8], told: Option<(u32, u32)>) -> Self {
        self.time += 10;
        let (process, owner): (TaskId, TaskId) = (task(10), task(10));
        let time = BootNanos(self.time);
        let (before, after) = (Position::BETWEEN, Position::BETWEEN);
        let counted = told.map(|(stream, whole)| Counted { stream, before, after, whole });
        let frames = Frames { process, owner, connection: ID, time, way, offset, bytes, counted };
        let mut out = Vec::new();
        let released = self.exchanges.frames(&frames, &mut out);
        self.took(out, released.unpaired)
    }

    fn closed(mut self, reason: CloseReason) -> Self {
        self.time += 10;
        let closed = Closed {
            connection: ID,
            reason,
            error: 0,
            sent_body_bytes: 0,
            received_body_bytes: 0,
            last: BootNanos(self.time),
            sent_cut: false,
            received_cut: false,
        };
        let mut out = Vec::new();
        let released = self.exchanges.closed(&closed, &mut out);
        let lost = released.unpaired;
        self.settled += u64::from(released.settled);
        self.took(out, lost)
    }

    fn took(mut self, out: Vec<Told>, lost: u32) -> Self {
        (self.taken, self.lost) = (self.taken + 1, self.lost + u64::from(lost));
        self.out.extend(out);
        let told: u64 = self.out.iter().map(|told| u64::from(told.records())).sum();
        assert_eq!(self.taken, told + self.lost + self.settled + self.exchanges.held());
        self
    }

    /// `number target status ending from-to` of each exchange.
    fn lines(&self) -> Vec<String> {
        let line = |told: &Told| match told {
            Told::Exchange(exchange) => {
                let status = exchange.response.map_or(0, |response| response.status);
                let stream = exchange.ordinal.checked_sub(BY_STREAM).map(|id| format!("s{id}"));
                let number = stream.unwrap_or_else(|| exchange.ordinal.to_string());
                let target = exchange.request.target.as_str();
                assert!(matches!(exchange.ending, Ending::Whole), "{exchange:?}");
                format!(
                    "{number} {target} {status} {}-{}",
                    exchange.request_first.0, exchange.last.0
                )
            }
            Told::Refused(_) => "refused".to_owned(),
        };
        self.out.iter().map(line).collect()
    }
}

fn asked(what: &str) -> Seen {
    let request = format!("GET /up HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: {what}\r\n\r\n");
    let switching = format!("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: {what}\r\n\r\n");
    Seen::client().head(Way::Sent, &request).head(Way::Received, &switching)
}

#[test]
fn the_answer_to_a_request_that_is_upgraded_to_http2_is_that_of_stream_1() {
    let seen = asked("h2c");
    assert!(seen.lines().is_empty());
    let seen = seen.frames(Way::Received, 0, SETTINGS).frames(Way::Sent, 0, SETTINGS);
    let seen = seen.frames(Way::Received, 9, OK_1);
    assert_eq!(seen.lines(), ["1 /up 200 11-51"]);
    let mut seen = seen.frames(Way::Sent, 9, GET_3).frames(Way::Received, 19, OK_3);
    assert_eq!(seen.lines(), ["1 /up 200 11-51", "s3 / 200 61-71"]);
    let counts = Counts { exchanges: 2, ..Counts::default() };
    assert_eq!(seen.exchanges.take_http2_counts(), counts);
}

#[test]
fn an_upgrade_that_is_not_followed_ends_at_its_101() {
    let followed_by_nothing = asked("h2c").closed(CloseReason::Tunnel);
    assert_eq!(followed_by_nothing.lines(), ["1 /up 101 11-21"]);
    let another = asked("websocket");
    assert_eq!(another.lines(), ["1 /up 101 11-21"]);
    assert_eq!(another.closed(CloseReason::Tunnel).lines(), ["1 /up 101 11-21"]);
}

/// An acknowledgement, `GOAWAY` of stream 0, and `RST_STREAM` with `CANCEL`.
const ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
const CANCEL_3: &[u8] = b"\0\0\x04\x03\0\0\0\0\x03\0\0\0\x08";

#[test]
fn a_connection_without_a_request_has_lost_none() {
    let begun = || Seen::client().frames(Way::Sent, 0, SETTINGS).frames(Way::Received, 0, SETTINGS);
    let idle = begun().frames(Way::Sent, 9, ACK).frames(Way::Sent, 18, GOAWAY);
    let seen = idle.closed(CloseReason::Socket);
    assert_eq!((seen.lines().len(), seen.lost, seen.settled), (0, 0, 6));
    // The client's preface, and nothing else.
    let seen = Seen::client().closed(CloseReason::Socket);
    assert_eq!((seen.lines().len(), seen.lost, seen.settled), (0, 0, 2));
    let mut seen = begun();
    assert_eq!(seen.exchanges.finish(BootNanos(99), &mut seen.out).settled, 3);
}

#[test]
fn a_call_that_is_cancelled_before_any_answer_is_told() {
    let cancelled = |seen: Seen| {
        let seen = seen.closed(CloseReason::Socket);
        let [Told::Exchange(one)] = &seen.out[..] else { panic!("{:?}", seen.out) };
        assert_eq!((one.ending, one.response, seen.lost), (Ending::Cancelled, None, 0));
    };
    let begun = || Seen::client().frames(Way::Sent, 0, SETTINGS);
    cancelled(begun().frames(Way::Sent, 9, GET_3).frames(Way::Sent, 21, CANCEL_3));
    cancelled(begun().frames(Way::Sent, 9, &[GET_3, CANCEL_3].concat()));
}

#[test]
fn a_connection_that_is_met_half_way_has_no_beginning() {
    // `:method: GET`, and the first field of a table of which nothing was seen.
    let block = b"\0\0\x02\x01\x05\0\0\0\x03\x82\xbe";
    let met = || Seen::client().frames(Way::Sent, abi::http2::MET_AT, block);
    let seen = met().frames(Way::Received, abi::http2::MET_AT, OK_3);
    let [Told::Exchange(one)] = &seen.out[..] else { panic!("{:?}", seen.out) };
    assert!(one.joined_late && one.request.target.is_empty(), "{one:?}");
    let seen = met().closed(CloseReason::OutOfStep);
    let [Told::Exchange(one)] = &seen.out[..] else { panic!("{:?}", seen.out) };
    assert_eq!((one.ending, one.response), (Ending::Unseen, None));
}

/// `:method: POST`, `:scheme: http`, `:path: /`, `content-type: application/grpc`, of stream 3.
const CALL_3: &[u8] = b"\0\0\x15\x01\x04\0\0\0\x03\x83\x86\x84\x5f\x10application/grpc";
/// Headers of five bytes of DATA, of which the first ends the stream.
const LAST_3: &[u8] = b"\0\0\x05\0\x01\0\0\0\x03";
const DATA_3: &[u8] = b"\0\0\x05\0\0\0\0\0\x03";

#[test]
fn messages_are_those_of_the_call_that_they_came_with() {
    let call = [SETTINGS, CALL_3, LAST_3].concat();
    let check = |seen: Seen, expected: [Option<u64>; 2], records: u32| {
        let seen = seen.frames(Way::Received, 14, OK_3);
        let [Told::Exchange(one)] = &seen.out[..] else { panic!("{:?}", seen.out) };
        let grpc = one.grpc.unwrap();
        assert_eq!([grpc.request_messages, grpc.response_messages], expected);
        assert_eq!((one.records, seen.lost), (records, 0));
    };
    let seen = |sent, received| {
        let seen = Seen::client().counted(Way::Sent, 0, &call, sent);
        seen.counted(Way::Received, 0, DATA_3, received)
    };
    check(seen(Some((3, 1)), Some((3, 1))), [Some(1), Some(1)], 4);
    // Counted in a later call; or by two.
    let later = |seen: Seen| seen.counted(Way::Received, 14, b"", Some((3, 1)));
    check(later(seen(Some((3, 1)), None)), [Some(1), Some(1)], 5);
    check(later(later(seen(Some((3, 1)), None))), [Some(1), None], 6);
    // Not counted; or on another stream.
    check(seen(None, Some((3, 2))), [None, Some(2)], 4);
    check(seen(Some((5, 1)), None), [None, None], 4);
}

#[test]
fn what_cannot_be_read_of_http2_is_counted() {
    // Field 62 is the first of a table of which nothing was seen.
    let block = b"\0\0\x01\x01\x05\0\0\0\x01\xbe";
    let seen = Seen::client().frames(Way::Sent, 0, SETTINGS).frames(Way::Sent, 9, block);
    let mut seen = seen.closed(CloseReason::Socket);
    let losses = seen.exchanges.take_http2_counts().losses();
    let found: Vec<_> = losses.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(found, [("requests_unmatched", 1), ("fields_unknown", 1)]);
    assert_eq!((seen.lost, seen.settled), (4, 0));
    assert_eq!(seen.exchanges.take_http2_counts(), Counts::default());
}
