//! Processes that talk, the probe that follows them, and the spans that come of it.

use abi::{
    header::{Header, Kind},
    socket::{ConnectionId, Frames, Head, Role, flag},
};
use zerocopy::FromBytes as _;

use super::{
    super::{
        message::{self, Following, Moved},
        tests::pipeline,
        *,
    },
    script::{CANARY, Call, Cuts, Cutter, Part},
};
use crate::{
    protocol::{
        Direction::{Request, Response},
        Sides,
        http2::PREFACE,
    },
    record::tests::{exec_record, exit_record, task},
    span::{UnixNanos, key},
};

/// One of the two processes that talk on a connection.
pub(super) struct End {
    following: Following,
    role: Role,
    cutter: Cutter,
    /// What of the bytes came to user space: of the head at hand, and before it.
    head: Sides<Vec<u8>>,
    pub(super) shown: Sides<Vec<u8>>,
}

impl End {
    pub(super) fn new(pid: u32, sock: u64, role: Role, cuts: Cuts) -> Self {
        let port = u16::try_from(5000 + sock / 2).unwrap();
        let ports = if role == Role::CLIENT { (port, 80) } else { (80, port) };
        let id = ConnectionId { sock, since_ns: 20_000 };
        Self {
            following: Following::new(task(pid), id, ports, cuts.behind),
            role,
            cutter: Cutter::new(cuts),
            head: Sides::default(),
            shown: Sides::default(),
        }
    }

    /// Keeps what of the bytes is in a record.
    fn see(&mut self, record: &[u8]) {
        let (header, _) = Header::read_from_prefix(record).unwrap();
        let is_request = |sent: u32| (sent == 1) == (self.role == Role::CLIENT);
        let direction = |sent: u32| if is_request(sent) { Request } else { Response };
        if header.kind == Kind::HEAD {
            let (fixed, bytes) = Head::read_from_prefix(record).unwrap();
            let direction = direction(fixed.sent);
            let head = self.head.of_mut(direction);
            head.extend_from_slice(bytes);
            if fixed.flags & flag::HEAD_ENDED != 0 {
                self.shown.of_mut(direction).append(head);
            }
        } else if header.kind == Kind::FRAMES {
            let (fixed, bytes) = Frames::read_from_prefix(record).unwrap();
            let direction = direction(fixed.sent);
            // A preface is known by its first bytes, and they may come one by one.
            let before = std::mem::take(self.head.of_mut(direction));
            assert!(PREFACE[..4].starts_with(&before), "{before:?}");
            let bytes = &bytes[..usize::try_from(fixed.frames_len).unwrap()];
            self.shown.of_mut(direction).extend_from_slice(bytes);
        }
    }
}

/// A machine with some processes.
pub(super) struct Host {
    pipeline: Pipeline,
    spans: Vec<CleanSpan>,
    now_ns: u64,
    pids: Vec<u32>,
}

impl Host {
    pub(super) fn new(pids: &[u32]) -> Self {
        let mut pipeline = pipeline("always_on");
        pipeline.instrumented = Instrumented::Keep;
        let mut host = Self { pipeline, spans: Vec::new(), now_ns: 30_000, pids: pids.to_vec() };
        pids.iter().for_each(|pid| host.record(&exec_record(*pid, 0, &["program"], &[])));
        host
    }

    /// Its process moves what is said in a round.
    pub(super) fn moves(&mut self, end: &mut End, round: &Sides<Vec<Part>>) {
        for (direction, call) in end.cutter.calls(round) {
            self.now_ns += 1;
            let is_sent = (direction == Request) == (end.role == Role::CLIENT);
            let way = if is_sent { message::Direction::Sent } else { message::Direction::Received };
            let moved = match &call {
                Call::Seen(bytes) => Moved::Seen(bytes),
                Call::Hidden(len) => Moved::Hidden(*len as u64),
            };
            end.following.moved(way, moved, self.now_ns);
            self.take(end);
        }
    }

    pub(super) fn closes(&mut self, end: &mut End) {
        self.now_ns += 1;
        end.following.over(self.now_ns);
        self.take(end);
    }

    fn take(&mut self, end: &mut End) {
        for record in end.following.take_records() {
            let leaks = record.windows(CANARY.len()).any(|bytes| bytes == CANARY);
            assert!(!leaks, "a part of a body is in {record:?}");
            end.see(&record);
            self.record(&record);
        }
    }

    fn record(&mut self, record: &[u8]) {
        self.pipeline.record(record, &mut self.spans);
        let ledger = self.pipeline.ledger();
        assert!(ledger.balances(self.pipeline.held()), "{ledger:?}");
    }

    /// All that there was, ordered by ids, without what depends on when it was.
    pub(super) fn finish(mut self) -> Vec<Span> {
        for pid in std::mem::take(&mut self.pids) {
            self.record(&exit_record(pid, 0, 0));
        }
        let Self { mut pipeline, mut spans, now_ns, .. } = self;
        pipeline.tick(BootNanos(u64::MAX), &mut spans);
        assert_eq!(pipeline.held(), 0, "everything is over");
        pipeline.finish(BootNanos(now_ns), &Left::default(), &mut spans);
        let ledger = pipeline.ledger();
        assert!(ledger.balances(0), "{ledger:?}");
        assert_eq!(ledger.lost_in_all(), 0, "{ledger:?}");
        let mut spans: Vec<_> = spans.iter().map(|span| timeless(span.span())).collect();
        spans.sort_by_key(|span| span.span_id);
        spans
    }
}

fn timeless(span: &Span) -> Span {
    let mut span = span.clone();
    (span.start, span.end, span.records) = (UnixNanos(0), UnixNanos(0), 0);
    span.attributes.retain(|attribute| attribute.key != key::FIRST_BYTE_NS);
    span
}
