//! Where in a byte stream HTTP/2 frames begin, and which of them carry bodies (RFC 9113 §4.1, §6.1).
//!
//! As [`http1`](crate::http1), the same code in the probe and in its tests. The payload of DATA frames
//! is passed over; all else goes to user space, which knows what it means.

#![expect(clippy::cast_possible_truncation, reason = "a stream has the lowest 31 bits of a word")]

mod join;
mod messages;

use self::join::FrameHeader;
pub use self::{
    join::MET_AT,
    messages::{Open, Position},
};
use crate::http1::{Phase, Piece, Scan, Step, Stream};

/// Length of a frame's header, bytes.
const HEADER_BYTES: u64 = 9;
/// What follows `PRI *` of the client's connection preface (RFC 9113 §3.4).
const PREFACE_REST: u64 = 19;
/// Longest first SETTINGS frame that is believed where nothing was seen before it: 16 settings.
const FIRST_SETTINGS_MAX: u64 = 96;
const DATA: u64 = 0;
const SETTINGS: u64 = 4;

impl Stream {
    /// The client's preface began: its rest, and then frames.
    #[inline(always)]
    pub fn begin_http2(&mut self) {
        self.phase = Phase::PREFACE;
        self.left = PREFACE_REST;
        self.forget_line();
    }

    /// The other direction has its first frame ahead, or is in the middle of it.
    #[inline(always)]
    pub fn expect_frames(&mut self) {
        if self.phase.0 == Phase::START.0 {
            self.phase = Phase::FRAME_HEADER;
            self.forget_line();
        }
    }

    /// The other direction began half-way: so does this one, with its next call if that begins a frame.
    #[inline(always)]
    pub fn expect_frames_half_way(&mut self) {
        if self.phase.0 == Phase::START.0 {
            self.expect_frames();
            self.meet_half_way(false);
            self.body_bytes = MET_AT;
        }
    }

    /// Passes over up to `count` bytes of a preface or of a frame's payload. Gives how many.
    #[inline(always)]
    pub fn pass_frame(&mut self, count: u64) -> u64 {
        let passed = if self.left < count { self.left } else { count };
        self.left -= passed;
        if self.left == 0 {
            self.phase = Phase::FRAME_HEADER;
        }
        passed
    }

    /// Takes the header of a frame, or as much as there is of it or of a payload.
    #[inline(always)]
    pub(crate) fn take_frames(&mut self, scan: &mut Scan, piece: &impl Piece) -> Step {
        if self.phase.0 == Phase::FRAME.0 {
            scan.at += self.pass_frame(scan.end - scan.at);
            self.next_line(scan);
            return Step::More;
        }
        let (begin, first) = (scan.end - scan.line, piece.word(scan.line));
        let frame = FrameHeader::new(first, piece.word(scan.line + 5));
        if self.phase.0 == Phase::FIRST_FRAME.0 {
            if may_be_first(first, piece.word(scan.line + 8) & 0xff, begin) {
                self.speaks_first();
            } else if begin < HEADER_BYTES || !self.joins(frame, scan, piece) {
                return self.refuse_all(scan);
            }
        }
        if begin < HEADER_BYTES {
            scan.at = scan.end;
            self.keep(scan, piece);
            return Step::More;
        }
        if self.is_met_half_way() && !frame.is_certain() {
            return self.refuse_all(scan);
        }
        self.left = frame.len;
        scan.at = scan.line + HEADER_BYTES;
        self.next_line(scan);
        // Of whatever frame: nothing is carried.
        self.begin_data(frame.stream(), frame.flags);
        self.phase = if self.left == 0 {
            Phase::FRAME_HEADER
        } else if frame.kind == DATA {
            Phase::DATA
        } else {
            Phase::FRAME
        };
        if self.phase.0 == Phase::DATA.0 { Step::ChunkFollows } else { Step::More }
    }

    /// These are no frames. They are taken all the same, for what is not taken is not told of.
    #[inline(always)]
    fn refuse_all(&mut self, scan: &mut Scan) -> Step {
        scan.at = scan.end;
        self.refuse(Phase::NEITHER)
    }
}

/// A server may speak first: nine bytes that are the header of a SETTINGS frame, of the size that
/// such have, on stream 0. Of the header `begin` bytes are known: eight in `word`, and the `last`.
#[inline(always)]
fn may_be_first(word: u64, last: u64, begin: u64) -> bool {
    let length = (word >> 16) & 0xff;
    let expected = (length << 16) | (SETTINGS << 24);
    let unknown = if begin < 8 { u64::MAX << (8 * begin) } else { 0 };
    let is_size = begin < 3 || (length <= FIRST_SETTINGS_MAX && length.is_multiple_of(6));
    (word ^ expected) & !unknown == 0 && is_size && (begin < HEADER_BYTES || last == 0)
}

#[cfg(test)]
mod tests;
