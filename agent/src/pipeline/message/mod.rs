//! What the probe of this name does with the bytes of a call, told again for tests and fuzz targets.
//!
//! The machine is the probe's own. What is around it stands here as it stands there (`message.rs`,
//! `heads.rs`, `frames.rs`, `data.rs`), turn by turn, but for the number of turns that a call may take,
//! the messages that are looked at in one, and the budget of requests; whoever changes one changes the
//! other. It needs `abi` and nothing else of this
//! crate, so that the fuzz targets can have it.

mod data;
mod records;

use std::collections::HashMap;

use abi::{
    http1::{Bytes, Phase, Step, Stream},
    http2::Open,
    place::Place,
    socket::{Conn, ConnectionId, HEAD_BYTES, Role, Transport, Way, closed, flag, state},
    task::TaskId,
};

pub(crate) use self::records::{connection, header};
use self::{data::Held, records::length};

const FRAMING_BYTES: usize = 64;

/// Which way the bytes of a call went. The number is the place in `Conn::ways`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Received = 0,
    Sent = 1,
}

/// What a call moved, or a part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moved<'a> {
    Seen(&'a [u8]),
    /// So many bytes, without a buffer of the process (sendfile, splice, io_uring).
    Hidden(u64),
}

/// A connection of a process, and the records that came of it.
#[derive(Debug)]
pub(crate) struct Following {
    conn: Conn,
    id: ConnectionId,
    /// Here and there, on 127.0.0.1.
    ports: (u16, u16),
    /// Lies behind the bytes of a piece.
    behind: u8,
    now_ns: u64,
    /// Of which stream, which way.
    open_messages: HashMap<(u32, u32), Open>,
    records: Vec<Vec<u8>>,
}

/// How far the bytes of a call were followed.
struct Walk {
    stream: Stream,
    direction: Direction,
    step: Step,
    held: Held,
}

#[derive(Clone, Copy)]
enum Piece {
    Head,
    Framing,
    Frames,
}

/// How many bytes a turn took; `None` to stop.
type Turn = Option<usize>;

impl Following {
    pub(crate) fn new(process: TaskId, id: ConnectionId, ports: (u16, u16), behind: u8) -> Self {
        let way = Way { stream: Stream::NEW, last_ns: 0, place: Place::UNKNOWN };
        let conn = Conn {
            since_ns: id.since_ns,
            process,
            owner: process,
            connect_ns: 0,
            connected_ns: 0,
            head_requests: 0,
            connect_requests: 0,
            untold_requests: 0,
            role: Role::UNKNOWN,
            state: state::NEW,
            is_over: 0,
            transport: Transport::TCP,
            inode: 0,
            is_told: 0,
            _pad: 0,
            ways: [way, way],
        };
        let (open_messages, records) = (HashMap::new(), Vec::new());
        Self { conn, id, ports, behind, now_ns: id.since_ns, open_messages, records }
    }

    /// The records since this was asked last.
    pub(crate) fn take_records(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.records)
    }

    /// The process moved bytes at this time.
    pub(crate) fn moved(&mut self, direction: Direction, moved: Moved<'_>, now_ns: u64) {
        self.now_ns = now_ns;
        if self.conn.state == state::NEITHER {
            return;
        }
        match moved {
            Moved::Seen(bytes) => self.follow(direction, bytes),
            Moved::Hidden(len) => self.unseen(direction, len),
        }
        self.way(direction).last_ns = now_ns;
    }

    /// The socket is closed, and all was read.
    pub(crate) fn over(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        if self.is_told() {
            self.end(closed::SOCKET);
        }
    }

    fn follow(&mut self, direction: Direction, bytes: &[u8]) {
        let stream = self.way(direction).stream;
        let mut walk = Walk { stream, direction, step: Step::More, held: Held::default() };
        let mut rest = bytes;
        while let Some(taken) = self.advance(&mut walk, rest)
            && let Some(behind) = rest.get(taken..)
        {
            rest = behind;
        }
        self.emit_held(&mut walk);
        if !rest.is_empty() && walk.stream.phase != Phase::NEITHER {
            self.out_of_step(&mut walk);
        }
        self.way(direction).stream = walk.stream;
    }

    fn unseen(&mut self, direction: Direction, len: u64) {
        self.way(direction).last_ns = self.now_ns;
        let mut stream = self.way(direction).stream;
        let step = stream.pass_hidden(len);
        self.way(direction).stream = stream;
        match step {
            Some(Step::MessageEnded) => self.emit_end(&stream, direction),
            Some(_) => {}
            None if self.is_told() => self.end(closed::OUT_OF_STEP),
            None => self.conn.state = state::NEITHER,
        }
    }

    fn advance(&mut self, walk: &mut Walk, rest: &[u8]) -> Turn {
        let first = *rest.first()?;
        let (phase, run) = (walk.stream.phase, rest.len() as u64);
        if phase.is_counted() {
            let (passed, step) = walk.stream.pass_over(run);
            if step == Step::MessageEnded {
                self.emit_end(&walk.stream, walk.direction);
            }
            return usize::try_from(passed).ok();
        }
        if phase == Phase::UNTIL_CLOSE {
            walk.stream.body_bytes += run;
            return Some(rest.len());
        }
        if phase.is_passed_over() {
            return usize::try_from(self.data(walk, rest)).ok();
        }
        if phase.is_frames() {
            return self.read(walk, Piece::Frames, rest, HEAD_BYTES);
        }
        if phase.is_head() {
            if self.conn.state == state::NEW && walk.stream.head_bytes == 0 && first == 0 {
                walk.stream.phase = Phase::FIRST_FRAME;
                return self.read(walk, Piece::Frames, rest, HEAD_BYTES);
            }
            return self.read(walk, Piece::Head, rest, HEAD_BYTES);
        }
        if phase.is_framing() {
            return self.read(walk, Piece::Framing, rest, FRAMING_BYTES);
        }
        None
    }

    fn read(&mut self, walk: &mut Walk, piece: Piece, rest: &[u8], most: usize) -> Turn {
        let read = rest.get(..most).unwrap_or(rest);
        let (bytes, mut scan) = Bytes::of(&walk.stream, read, self.behind);
        walk.step = Step::More;
        while walk.step == Step::More && !scan.is_over() {
            walk.step = walk.stream.take(&mut scan, &bytes);
        }
        let taken = usize::try_from(scan.taken()).ok()?;
        let taken_bytes = rest.get(..taken)?;
        let goes_on = match piece {
            Piece::Head => self.head(walk, taken_bytes),
            Piece::Framing => self.framing(walk),
            Piece::Frames => self.frames(walk, taken_bytes),
        };
        goes_on.map(|()| taken)
    }

    fn framing(&mut self, walk: &mut Walk) -> Option<()> {
        if walk.step == Step::Refused {
            self.out_of_step(walk);
            return None;
        }
        if walk.step == Step::MessageEnded {
            self.emit_end(&walk.stream, walk.direction);
        }
        Some(())
    }

    fn head(&mut self, walk: &mut Walk, taken: &[u8]) -> Option<()> {
        let offset = walk.stream.head_bytes.wrapping_sub(length(taken));
        if walk.stream.phase == Phase::HTTP2 && self.conn.state != state::HTTP1 {
            self.begin_http2(walk);
            return Some(());
        }
        if walk.step == Step::Refused || !self.is_the_right_kind(walk) {
            self.out_of_step(walk);
            return None;
        }
        let mut flags = 0;
        if walk.step == Step::HeadEnded {
            flags |= flag::HEAD_ENDED;
            if self.begin_body(walk) == Step::MessageEnded {
                flags |= flag::MESSAGE_ENDED;
            }
        }
        if self.conn.state == state::NEW && self.conn.role != Role::UNKNOWN {
            self.announce();
            self.conn.state = state::HTTP1;
        }
        self.emit_head(walk, taken, offset, flags);
        if walk.stream.phase == Phase::NEITHER {
            self.tunnel();
            return None;
        }
        if walk.stream.phase == Phase::FRAME_HEADER && self.conn.state == state::HTTP1 {
            self.conn.state = state::HTTP2;
        }
        Some(())
    }

    fn tunnel(&mut self) {
        if self.is_told() {
            self.end(closed::TUNNEL);
        } else {
            self.conn.state = state::NEITHER;
        }
    }

    fn is_the_right_kind(&mut self, walk: &Walk) -> bool {
        if walk.stream.phase == Phase::START && walk.step == Step::More {
            return true;
        }
        let is_sent = walk.direction == Direction::Sent;
        let role = if is_sent == walk.stream.is_response() { Role::SERVER } else { Role::CLIENT };
        if self.conn.role == Role::UNKNOWN {
            self.conn.role = role;
        }
        self.conn.role == role
    }

    fn begin_body(&mut self, walk: &mut Walk) -> Step {
        let stream = &mut walk.stream;
        let (head, connect) = (self.conn.head_requests, self.conn.connect_requests);
        let bit = 1_u64 << (stream.ordinal.wrapping_add(1) & 63);
        if stream.is_response() {
            return stream.begin_body(head & bit != 0, connect & bit != 0);
        }
        let with = |set: u64, is_in: bool| if is_in { set | bit } else { set & !bit };
        self.conn.head_requests = with(head, stream.is_head());
        self.conn.connect_requests = with(connect, stream.is_connect());
        stream.begin_body(false, false)
    }

    fn begin_http2(&mut self, walk: &mut Walk) {
        walk.stream.begin_http2();
        walk.stream.body_bytes = 0;
        let is_sent = walk.direction == Direction::Sent;
        self.conn.role = if is_sent { Role::CLIENT } else { Role::SERVER };
        let other = if is_sent { Direction::Received } else { Direction::Sent };
        self.way(other).stream.expect_frames();
        self.announce_http2();
    }

    fn announce_http2(&mut self) {
        if self.conn.state == state::NEW {
            self.announce();
            self.conn.state = state::HTTP2;
        }
    }

    fn frames(&mut self, walk: &mut Walk, taken: &[u8]) -> Option<()> {
        if walk.step == Step::Refused {
            self.out_of_step(walk);
            return None;
        }
        if self.conn.role == Role::UNKNOWN && walk.stream.phase != Phase::FIRST_FRAME {
            let is_sent = walk.direction == Direction::Sent;
            let is_server = is_sent == walk.stream.is_response();
            self.conn.role = if is_server { Role::SERVER } else { Role::CLIENT };
            if walk.stream.is_met_half_way() {
                let other = if is_sent { Direction::Received } else { Direction::Sent };
                self.way(other).stream.expect_frames_half_way();
            }
        }
        if self.conn.role != Role::UNKNOWN {
            self.announce_http2();
        }
        walk.held.hold(walk.stream.body_bytes, taken);
        walk.stream.body_bytes += taken.len() as u64;
        if walk.stream.phase != Phase::DATA {
            self.emit_held(walk);
        }
        Some(())
    }

    fn out_of_step(&mut self, walk: &mut Walk) {
        walk.stream.phase = Phase::NEITHER;
        if self.is_told() {
            self.end(closed::OUT_OF_STEP);
        } else {
            self.conn.state = state::NEITHER;
        }
    }

    fn is_told(&self) -> bool {
        self.conn.is_told != 0
    }

    fn way(&mut self, direction: Direction) -> &mut Way {
        let [received, sent] = &mut self.conn.ways;
        match direction {
            Direction::Received => received,
            Direction::Sent => sent,
        }
    }
}
