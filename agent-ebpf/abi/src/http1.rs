//! Where in a byte stream HTTP/1 messages begin and end (RFC 9112 §2, §6, §7).
//!
//! A machine that takes a line at a time and allocates nothing, so that the probe and the tests run
//! the very same code. It finds out the framing and nothing else: what a head says is parsed in user
//! space. Bodies are counted by the caller, who is told how many bytes to pass over.
#![expect(
    clippy::cast_possible_truncation,
    reason = "a byte is what is lowest in a word, and a piece has less than 4 GiB"
)]

mod beginning;
mod chunk;
mod field;
mod line;
mod passing;
mod phase;
mod piece;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) use self::line::word;
use self::{
    beginning::{Beginning, HTTP2_BYTES, beginning},
    line::{Line, Pending},
};
pub use self::{
    line::{CARRY_BYTES, Piece, STRIDE_BYTES, Scan},
    phase::Phase,
    piece::Bytes,
};

/// `HTTP/1.1 200`.
const STATUS_LINE_MIN: u64 = 12;
/// A length or the size of a chunk from here on is nonsense.
const LENGTH_LIMIT: u64 = 1 << 48;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stream {
    /// What is known of the line, or of the header of a frame, that the last piece did not end.
    pub(crate) carry: [u64; 5],
    /// Bytes to pass over in [`Phase::LENGTH`] and [`Phase::CHUNK`]; in a head, its length so far.
    pub left: u64,
    /// Payload bytes of the message until now.
    pub body_bytes: u64,
    /// What comes next.
    pub phase: Phase,
    pub(crate) flags: u32,
    /// Bytes of the head until now.
    pub head_bytes: u32,
    /// Messages that began in this direction, interim responses not counted.
    pub ordinal: u32,
    /// Status code of a response.
    pub status: u32,
    /// How long `carry` is.
    carried: u32,
}

const _: () = assert!(size_of::<Stream>() == 80);

/// What the bytes made of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// More of the same.
    More,
    /// A chunk follows: [`Stream::pass_over`] is next.
    ChunkFollows,
    /// The head is complete: [`Stream::begin_body`] is next.
    HeadEnded,
    /// The message is complete.
    MessageEnded,
    /// This is not HTTP/1: the bytes belong to no message.
    Refused,
}

pub(crate) const IS_RESPONSE: u32 = 1;
const HAS_LENGTH: u32 = 1 << 1;
const IS_CHUNKED: u32 = 1 << 2;
const IS_HEAD: u32 = 1 << 3;
const IS_CONNECT: u32 = 1 << 4;
const HAS_LINE: u32 = 1 << 5;
const TO_HTTP2: u32 = 1 << 6;
/// Of HTTP/2.
pub(crate) const HAS_OPEN_MESSAGES: u32 = 1 << 7;
pub(crate) const MET_HALF_WAY: u32 = 1 << 8;
/// Of HTTP/1 again: the field at hand, which may go on in the next line (obs-fold, RFC 9112 §5.2).
const IN_LENGTH: u32 = 1 << 9;
const IN_ENCODING: u32 = 1 << 10;
const HAS_ENCODING: u32 = 1 << 11;

impl Stream {
    /// A stream on which nothing was seen.
    pub const NEW: Self = Self {
        carry: [0; 5],
        left: 0,
        body_bytes: 0,
        phase: Phase::START,
        flags: 0,
        head_bytes: 0,
        ordinal: 0,
        status: 0,
        carried: 0,
    };

    /// Whether the message at hand is a response.
    #[inline(always)]
    pub const fn is_response(&self) -> bool {
        self.flags & IS_RESPONSE != 0
    }

    /// Whether the request at hand has the method HEAD: its response has no body.
    #[inline(always)]
    pub const fn is_head(&self) -> bool {
        self.flags & IS_HEAD != 0
    }

    /// Whether the request at hand has the method CONNECT: success makes a tunnel.
    #[inline(always)]
    pub const fn is_connect(&self) -> bool {
        self.flags & IS_CONNECT != 0
    }

    /// Takes bytes of a head, of the framing of chunks or of frames. Looks for the end of a line, or
    /// judges one: never both, because the verifier would go through each way to the end with each
    /// way to judge.
    #[inline(always)]
    pub fn take(&mut self, scan: &mut Scan, piece: &impl Piece) -> Step {
        if self.phase.0 >= Phase::HTTP2.0 {
            return self.take_frames(scan, piece);
        }
        if scan.pending == Pending::Nothing {
            self.find(scan, piece);
            return Step::More;
        }
        let step = self.judge(scan, piece);
        if scan.pending == Pending::Nothing && scan.is_over() && scan.line != scan.at {
            self.keep(scan, piece);
        }
        step
    }

    #[inline(always)]
    fn find(&mut self, scan: &mut Scan, piece: &impl Piece) {
        let from = scan.at;
        if self.phase.is_head() && self.head_bytes == 0 {
            self.begin();
        }
        scan.find_line_feed(piece);
        if self.phase.is_head() {
            self.head_bytes = self.head_bytes.saturating_add((scan.at - from) as u32);
        }
        if scan.pending == Pending::Line
            && self.phase.0 == Phase::HEAD.0
            && self.flags & HAS_LINE != 0
            && !self.may_matter(piece.word(scan.line) as u8)
        {
            self.flags &= !(IN_LENGTH | IN_ENCODING);
            scan.pending = Pending::Nothing;
            self.next_line(scan);
        }
    }

    #[inline(always)]
    fn judge(&mut self, scan: &mut Scan, piece: &impl Piece) -> Step {
        let line = self.line(scan, piece);
        let has_ended = scan.pending == Pending::Line;
        if self.phase.0 == Phase::START.0 && !line.is_empty() {
            return self.first_line(&line, scan);
        }
        scan.pending = Pending::Nothing;
        let step = if self.phase.0 == Phase::CHUNK_LINE.0 {
            self.chunk_line(&line, has_ended)
        } else if !has_ended || self.phase.0 == Phase::START.0 {
            // An empty line is before a message what a robust server skips (RFC 9112 §2.2).
            Step::More
        } else if self.phase.0 == Phase::HEAD.0 {
            self.head_line(&line, scan, piece)
        } else if line.is_empty() {
            self.end();
            Step::MessageEnded
        } else {
            Step::More
        };
        if has_ended {
            self.next_line(scan);
        }
        step
    }

    /// Whether there can be a message; its first line waits to be judged then.
    #[inline(always)]
    fn first_line(&mut self, line: &Line, scan: &mut Scan) -> Step {
        let beginning = beginning(line);
        if beginning == Beginning::Open && scan.pending == Pending::Beginning {
            scan.pending = Pending::Nothing;
            return Step::More;
        }
        if beginning == Beginning::Request {
            if line.first[0] & 0xff_ffff_ffff == word(b"HEAD ") {
                self.flags |= IS_HEAD;
            } else if line.first[0] == word(b"CONNECT ") {
                self.flags |= IS_CONNECT;
            }
        } else if beginning == Beginning::Response {
            self.flags |= IS_RESPONSE;
        } else {
            scan.pending = Pending::Nothing;
            if beginning == Beginning::Http2 {
                // Up to what tells it, so that the rest is always as long.
                scan.at = scan.line + HTTP2_BYTES;
                return self.refuse(Phase::HTTP2);
            }
            return self.refuse(Phase::NEITHER);
        }
        self.phase = Phase::HEAD;
        Step::More
    }

    #[inline(always)]
    fn head_line(&mut self, line: &Line, scan: &Scan, piece: &impl Piece) -> Step {
        if self.flags & HAS_LINE == 0 {
            self.flags |= HAS_LINE;
            if self.is_response() {
                if line.len < STATUS_LINE_MIN {
                    return self.refuse(Phase::NEITHER);
                }
                self.status = status(piece.word(scan.line + 9));
            } else if line.end::<1>() & 0xff_ffff_ffff_ffff != word(b"HTTP/1.") {
                return self.refuse(Phase::NEITHER);
            }
            return Step::More;
        }
        if line.is_empty() {
            return Step::HeadEnded;
        }
        self.field_line(line, scan, piece)
    }

    /// The head is over: what kind of body follows. `to_head` and `to_connect` say what the request
    /// of a response was (RFC 9112 §6.3).
    #[inline(always)]
    pub fn begin_body(&mut self, to_head: bool, to_connect: bool) -> Step {
        self.body_bytes = 0;
        let is_response = self.is_response();
        let is_interim = is_response && self.status < 200 && self.status != 101;
        if !is_interim {
            self.ordinal = self.ordinal.wrapping_add(1);
        }
        if is_response && self.status == 101 && self.flags & TO_HTTP2 != 0 {
            self.end();
            self.expect_frames();
            return Step::MessageEnded;
        }
        if is_response && (self.status == 101 || (to_connect && self.status / 100 == 2)) {
            self.end();
            self.phase = Phase::NEITHER;
            return Step::MessageEnded;
        }
        let has_none = is_interim || self.status == 204 || self.status == 304 || to_head;
        if is_response && has_none {
            self.end();
            return Step::MessageEnded;
        }
        if self.flags & IS_CHUNKED != 0 {
            self.phase = Phase::CHUNK_LINE;
        } else if self.flags & HAS_LENGTH != 0 && self.left > 0 {
            self.phase = Phase::LENGTH;
        } else if self.flags & HAS_LENGTH == 0 && (is_response || self.flags & HAS_ENCODING != 0) {
            // A request has no other end than this where its last encoding is not `chunked`: a server
            // refuses it, and a body must not be taken for a head (RFC 9112 §6.3).
            self.phase = Phase::UNTIL_CLOSE;
        } else {
            self.end();
            return Step::MessageEnded;
        }
        Step::More
    }

    #[inline(always)]
    fn begin(&mut self) {
        self.flags = 0;
        self.status = 0;
        self.left = 0;
        // Apart, for to write both at once is a call of a function in a probe.
        core::hint::black_box(&mut *self);
        self.body_bytes = 0;
    }

    /// The message is over; what it was stays readable until the next begins.
    #[inline(always)]
    fn end(&mut self) {
        self.phase = Phase::START;
        self.head_bytes = 0;
    }

    #[inline(always)]
    pub(crate) fn refuse(&mut self, phase: Phase) -> Step {
        self.phase = phase;
        Step::Refused
    }
}

/// Three decimal digits, the first lowest; what is none is left out.
#[inline(always)]
fn status(mut word: u64) -> u32 {
    let (mut value, mut at) = (0, 0);
    while at < 3 {
        let digit = (word as u8).wrapping_sub(b'0');
        if digit < 10 {
            value = value * 10 + digit as u32;
        }
        word >>= 8;
        at += 1;
    }
    value
}

#[cfg(test)]
mod tests;
