//! Fields of a head that say of what kind its body is, each in a line or in several (obs-fold, RFC 9112
//! §5.2).

use super::{
    HAS_ENCODING, HAS_LENGTH, IN_ENCODING, IN_LENGTH, IS_CHUNKED, LENGTH_LIMIT, Line, Phase, Piece,
    Scan, Step, Stream, TO_HTTP2,
    line::{CARRY_BYTES, lower, word},
};

/// `content-length:`.
const NAME_BYTES: u64 = 15;
/// A blank and `chunked`.
const CHUNKED_BYTES: u64 = 8;

impl Stream {
    /// Whether a line that begins so says anything of the body, or ends the head.
    #[inline(always)]
    pub(super) fn may_matter(&self, first: u8) -> bool {
        may_matter(first) || (is_blank(first) && self.flags & (IN_LENGTH | IN_ENCODING) != 0)
    }

    /// A line behind the first that is not empty.
    #[inline(always)]
    pub(super) fn field_line(&mut self, line: &Line, scan: &Scan, piece: &impl Piece) -> Step {
        let goes_on = is_blank(line.first[0] as u8);
        if !goes_on {
            self.field(line);
        }
        if self.flags & IN_LENGTH != 0 {
            if goes_on && self.flags & HAS_LENGTH != 0 {
                // Two numbers in one field.
                return self.refuse(Phase::NEITHER);
            }
            let value = if goes_on { 1 } else { NAME_BYTES };
            return self.content_length(line, scan, piece, value);
        }
        if self.flags & IN_ENCODING != 0
            && line.len >= CHUNKED_BYTES
            && lower(line.end::<3>()) >> 8 == word(b"chunked")
        {
            self.flags |= IS_CHUNKED;
        }
        Step::More
    }

    /// A field begins.
    #[inline(always)]
    fn field(&mut self, line: &Line) {
        self.flags &= !(IN_LENGTH | IN_ENCODING);
        let [first, second, third] = line.first;
        let (first, second, third) = (lower(first), lower(second), lower(third));
        if first == word(b"content-") && second & 0xff_ffff_ffff_ffff == word(b"length:") {
            self.flags |= IN_LENGTH;
        }
        if first == word(b"upgrade:") && lower(line.end::<1>()) >> 40 == word(b"h2c") {
            self.flags |= TO_HTTP2;
        }
        if first == word(b"transfer")
            && second == word(b"-encodin")
            && third & 0xffff == word(b"g:")
        {
            self.flags |= IN_ENCODING | HAS_ENCODING;
        }
    }

    /// Some space, and a number, from there on in the line.
    #[inline(always)]
    fn content_length(&mut self, line: &Line, scan: &Scan, piece: &impl Piece, from: u64) -> Step {
        if line.len > CARRY_BYTES {
            return self.refuse(Phase::NEITHER);
        }
        self.left = 0;
        let mut at = from;
        while at < CARRY_BYTES {
            if at >= line.len || self.left >= LENGTH_LIMIT {
                break;
            }
            let byte = piece.word(scan.line + at) as u8;
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                self.left = self.left * 10 + digit as u64;
                self.flags |= HAS_LENGTH;
            }
            // Kept where the verifier does not follow it: it would go both ways at each byte.
            core::hint::black_box(&mut *self);
            at += 1;
        }
        if self.left >= LENGTH_LIMIT { self.refuse(Phase::NEITHER) } else { Step::More }
    }
}

/// Whether a line of a head that begins so says anything of the body, or ends the head: the names that
/// are looked for, and line ends, in lower case.
#[inline(always)]
const fn may_matter(first: u8) -> bool {
    const CARRIAGE_RETURN: u8 = b'\r' | 0x20;
    const LINE_FEED: u8 = b'\n' | 0x20;
    matches!(first | 0x20, b'c' | b't' | b'u' | CARRIAGE_RETURN | LINE_FEED)
}

/// Whether a line that begins so goes on with the field before it.
#[inline(always)]
const fn is_blank(first: u8) -> bool {
    matches!(first, b' ' | b'\t')
}
