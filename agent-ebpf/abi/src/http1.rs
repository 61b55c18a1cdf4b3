//! Where in a byte stream HTTP/1 messages begin and end (RFC 9112 §2, §6, §7).
//!
//! A machine that takes one byte at a time and allocates nothing, so that the probe and the tests
//! run the very same code. It finds out the framing and nothing else: what a head says is parsed
//! in user space. Bodies are counted by the caller, who is told how many bytes to pass over.

mod phase;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use self::phase::Phase;

/// Longest method that is believed, bytes.
const METHOD_MAX: u32 = 20;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stream {
    /// The last 24 bytes of a head in lower case, the newest lowest.
    window: [u64; 3],
    /// Bytes to pass over in [`Phase::LENGTH`] and [`Phase::CHUNK`].
    pub left: u64,
    /// The number that is being read.
    pub(crate) number: u64,
    /// Payload bytes of the message until now.
    pub body_bytes: u64,
    /// What comes next.
    pub phase: Phase,
    flags: u32,
    /// Bytes of the head until now.
    pub head_bytes: u32,
    /// Messages that began in this direction, interim responses not counted.
    pub ordinal: u32,
    /// Status code of a response.
    pub status: u32,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<Stream>() == 72);

/// What a byte made of the stream.
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
    /// This is not HTTP/1: the byte belongs to no message.
    Refused,
}

const IS_RESPONSE: u32 = 1;
const IN_LENGTH: u32 = 1 << 1;
const HAS_LENGTH: u32 = 1 << 2;
const IN_ENCODING: u32 = 1 << 3;
const IS_CHUNKED: u32 = 1 << 4;
const IN_EXTENSION: u32 = 1 << 5;
const IS_HEAD: u32 = 1 << 6;
const IS_CONNECT: u32 = 1 << 7;
const HAS_LINE: u32 = 1 << 8;

/// A number of up to eight bytes as the window holds them.
const fn word(text: &[u8]) -> u64 {
    let (mut value, mut index) = (0, 0);
    while index < text.len() {
        value = (value << 8) | text[index] as u64;
        index += 1;
    }
    value
}

const CONTENT_LENGTH: [u64; 2] = [word(b"-length:"), word(b"\ncontent")];
const TRANSFER_ENCODING: [u64; 2] = [word(b"ncoding:"), word(b"ansfer-e")];
/// The rest of it, two more bytes and the line end before.
const TRANSFER_ENCODING_HEAD: u64 = word(b"\ntr");

impl Stream {
    /// A stream on which nothing was seen.
    pub const NEW: Self = Self {
        window: [0; 3],
        left: 0,
        number: 0,
        body_bytes: 0,
        phase: Phase::START,
        flags: 0,
        head_bytes: 0,
        ordinal: 0,
        status: 0,
        _pad: 0,
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

    /// Passes over up to `count` bytes of a body. Gives how many, and whether the message ended.
    #[inline(always)]
    pub fn pass_over(&mut self, count: u64) -> (u64, Step) {
        let passed = if self.left < count { self.left } else { count };
        self.left -= passed;
        if self.phase.0 == Phase::LENGTH.0 {
            self.body_bytes += passed;
            if self.left == 0 {
                self.end();
                return (passed, Step::MessageEnded);
            }
        } else if self.left == 0 {
            self.phase = Phase::CHUNK_LINE;
            self.number = 0;
        }
        (passed, Step::More)
    }

    /// Takes the next byte of a head or of the framing of chunks.
    #[inline(always)]
    pub fn take(&mut self, byte: u8) -> Step {
        let lower = if byte.wrapping_sub(b'A') < 26 { byte | 0x20 } else { byte };
        self.window[2] = (self.window[2] << 8) | (self.window[1] >> 56);
        self.window[1] = (self.window[1] << 8) | (self.window[0] >> 56);
        self.window[0] = (self.window[0] << 8) | lower as u64;
        if self.phase.0 == Phase::CHUNK_LINE.0 {
            return self.chunk_line(byte);
        }
        if self.phase.0 == Phase::TRAILERS.0 {
            if self.is_blank_line() {
                self.end();
                return Step::MessageEnded;
            }
            return Step::More;
        }
        if self.phase.0 == Phase::HEAD.0 {
            return self.head(byte);
        }
        if self.phase.0 == Phase::TARGET.0 {
            return self.target(byte);
        }
        self.start(byte)
    }

    /// An empty line is before a message what a robust server skips (RFC 9112 §2.2).
    #[inline(always)]
    fn start(&mut self, byte: u8) -> Step {
        if self.head_bytes == 0 {
            self.begin();
            if byte == b'\r' || byte == b'\n' {
                return Step::More;
            }
            self.window = [0, 0, 0];
            self.window[0] = if byte.wrapping_sub(b'A') < 26 { byte | 0x20 } else { byte } as u64;
        }
        self.head_bytes += 1;
        if byte.wrapping_sub(b'A') < 26 || byte == b'-' || byte == b'_' {
            if self.head_bytes <= METHOD_MAX {
                return Step::More;
            }
        } else if byte == b'/' && self.head_bytes == 5 && self.window[0] == word(b"http/") {
            self.flags |= IS_RESPONSE;
            self.phase = Phase::HEAD;
            return Step::More;
        } else if byte == b' ' && self.head_bytes > 3 {
            if self.window[0] == word(b"head ") {
                self.flags |= IS_HEAD;
            } else if self.window[0] == word(b"connect ") {
                self.flags |= IS_CONNECT;
            }
            self.phase = Phase::TARGET;
            return Step::More;
        }
        self.refuse(Phase::NEITHER)
    }

    #[inline(always)]
    fn target(&mut self, byte: u8) -> Step {
        self.head_bytes += 1;
        if self.window[0] == word(b"pri *") {
            return self.refuse(Phase::HTTP2);
        }
        // Origin form, asterisk form, absolute form; authority form for CONNECT (RFC 9112 §3.2).
        if byte == b'/' || byte == b'*' || byte == b'h' || self.is_connect() {
            self.phase = Phase::HEAD;
            return Step::More;
        }
        self.refuse(Phase::NEITHER)
    }

    #[inline(always)]
    fn head(&mut self, byte: u8) -> Step {
        self.head_bytes = self.head_bytes.saturating_add(1);
        let digit = byte.wrapping_sub(b'0');
        if self.is_response() && self.head_bytes >= 10 && self.head_bytes <= 12 && digit < 10 {
            self.status = self.status * 10 + digit as u32;
        }
        if byte == b':' {
            if self.window[0] == CONTENT_LENGTH[0] && self.window[1] == CONTENT_LENGTH[1] {
                self.flags |= IN_LENGTH;
                self.number = 0;
            } else if self.window[0] == TRANSFER_ENCODING[0]
                && self.window[1] == TRANSFER_ENCODING[1]
                && self.window[2] & 0xff_ffff == TRANSFER_ENCODING_HEAD
            {
                self.flags |= IN_ENCODING;
            }
        } else if self.flags & IN_LENGTH != 0 && digit < 10 {
            // A length past this is nonsense; what follows is a body for as long as it lasts.
            if self.number < 1 << 56 {
                self.number = self.number * 10 + digit as u64;
            }
            self.flags |= HAS_LENGTH;
        } else if self.flags & IN_ENCODING != 0
            && self.window[0] & 0xff_ffff_ffff_ffff == word(b"chunked")
        {
            self.flags |= IS_CHUNKED;
        }
        if byte != b'\n' {
            return Step::More;
        }
        self.flags &= !(IN_LENGTH | IN_ENCODING);
        if self.flags & HAS_LINE == 0 {
            self.flags |= HAS_LINE;
            return if self.is_response() || self.ends_request_line() {
                Step::More
            } else {
                self.refuse(Phase::NEITHER)
            };
        }
        if self.is_blank_line() { Step::HeadEnded } else { Step::More }
    }

    /// ` HTTP/1.x` and the line end.
    #[inline(always)]
    const fn ends_request_line(&self) -> bool {
        let [low, high, _] = self.window;
        let without = if low & 0xffff == word(b"\r\n") {
            (low >> 16) | (high << 48)
        } else {
            (low >> 8) | (high << 56)
        };
        // Eight bytes: `http/1.` and the minor version.
        without >> 8 == word(b"http/1.")
    }

    /// A bare LF ends a line as well (RFC 9112 §2.2).
    #[inline(always)]
    const fn is_blank_line(&self) -> bool {
        self.window[0] & 0xff_ffff == word(b"\n\r\n") || self.window[0] & 0xffff == word(b"\n\n")
    }

    #[inline(always)]
    fn chunk_line(&mut self, byte: u8) -> Step {
        let lower = byte | 0x20;
        let digit = byte.wrapping_sub(b'0');
        let letter = lower.wrapping_sub(b'a');
        if byte == b'\n' {
            self.flags &= !IN_EXTENSION;
            if self.number == 0 {
                self.phase = Phase::TRAILERS;
            } else {
                self.phase = Phase::CHUNK;
                self.body_bytes += self.number;
                self.left = self.number + 2;
                return Step::ChunkFollows;
            }
        } else if self.flags & IN_EXTENSION == 0 && (digit < 10 || letter < 6) {
            if self.number >= 1 << 48 {
                return self.refuse(Phase::NEITHER);
            }
            let value = if digit < 10 { digit } else { letter + 10 };
            self.number = (self.number << 4) | value as u64;
        } else {
            // An extension, or the white space that some servers pad with.
            self.flags |= IN_EXTENSION;
        }
        Step::More
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
            self.number = 0;
        } else if self.flags & HAS_LENGTH != 0 && self.number > 0 {
            self.phase = Phase::LENGTH;
            self.left = self.number;
        } else if is_response && self.flags & HAS_LENGTH == 0 {
            self.phase = Phase::UNTIL_CLOSE;
        } else {
            self.end();
            return Step::MessageEnded;
        }
        Step::More
    }

    #[inline(always)]
    fn begin(&mut self) {
        self.window = [0; 3];
        self.flags = 0;
        self.status = 0;
        self.number = 0;
        self.left = 0;
        self.body_bytes = 0;
    }

    /// The message is over; what it was stays readable until the next begins.
    #[inline(always)]
    fn end(&mut self) {
        self.phase = Phase::START;
        self.head_bytes = 0;
    }

    #[inline(always)]
    fn refuse(&mut self, phase: Phase) -> Step {
        self.phase = phase;
        Step::Refused
    }
}

#[cfg(test)]
mod tests;
