//! Where in a byte stream HTTP/2 frames begin, and which of them carry bodies (RFC 9113 §4.1, §6.1).
//!
//! As [`http1`](crate::http1), the same code in the probe and in its tests. The payload of DATA frames
//! is passed over; all else goes to user space, which knows what it means.

use crate::http1::{Phase, Step, Stream};

/// Length of a frame's header, bytes.
const HEADER_BYTES: u32 = 9;
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
        self.number = 0;
        self.head_bytes = 0;
    }

    /// The other direction has its first frame ahead, or is in the middle of it.
    #[inline(always)]
    pub fn expect_frames(&mut self) {
        if self.phase.0 == Phase::START.0 {
            self.phase = Phase::FRAME_HEADER;
            self.number = 0;
            self.head_bytes = 0;
        }
    }

    /// Takes the next byte of a frame's header.
    #[inline(always)]
    pub fn take_frame_header(&mut self, byte: u8) -> Step {
        self.head_bytes += 1;
        // The length, the type and the flags; what follows is the number of the stream.
        if self.head_bytes <= 5 {
            self.number = (self.number << 8) | byte as u64;
        }
        if self.head_bytes < HEADER_BYTES {
            return Step::More;
        }
        let (length, kind) = (self.number >> 16, (self.number >> 8) & 0xff);
        self.head_bytes = 0;
        self.number = 0;
        self.left = length;
        if length == 0 {
            self.phase = Phase::FRAME_HEADER;
            return Step::More;
        }
        if kind == DATA {
            self.phase = Phase::DATA;
            return Step::ChunkFollows;
        }
        self.phase = Phase::FRAME;
        Step::More
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

    /// A server may speak first: nine bytes that are the header of a SETTINGS frame, of the size that
    /// such have, on stream 0.
    #[inline(always)]
    pub fn take_first_frame(&mut self, byte: u8) -> Step {
        let at = self.head_bytes;
        let length_so_far = (self.number << 8) | byte as u64;
        let is_right = match at {
            0 | 1 => byte == 0,
            2 => length_so_far <= FIRST_SETTINGS_MAX && length_so_far.is_multiple_of(6),
            3 => byte as u64 == SETTINGS,
            _ => byte == 0,
        };
        if !is_right {
            self.phase = Phase::NEITHER;
            return Step::Refused;
        }
        if at == 8 {
            self.phase = Phase::FRAME_HEADER;
        }
        self.take_frame_header(byte)
    }
}
