//! Where the lines of a stream begin and end, in whatever pieces they come.
//!
//! Of a line that goes on in the next piece the first 24 bytes and the last 16 are carried there. What
//! is decided of a line is decided from these, so that it does not matter how the bytes are cut.

use super::Stream;

/// Room in front of a piece for what is carried into it, bytes.
pub const CARRY_BYTES: u64 = 40;
/// How far a scan goes at a time, bytes.
pub const STRIDE_BYTES: u64 = 64;
/// What [`Stream::carried`] says of a line of which the middle is left out.
const IS_LONG: u32 = CARRY_BYTES as u32 + 1;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = ONES << 7;

/// Some bytes of a stream, behind room for [`CARRY_BYTES`].
pub trait Piece {
    /// Eight bytes, the first lowest. What is behind the end may be anything.
    fn word(&self, at: u64) -> u64;
}

/// How far a piece was looked at.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Scan {
    /// Where the line at hand begins.
    pub line: u64,
    /// What comes next.
    pub at: u64,
    /// Behind the last byte.
    pub end: u64,
    /// What in front of `at` waits to be judged.
    pub(super) pending: Pending,
}

/// See [`Scan`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(super) enum Pending {
    Nothing,
    /// A line.
    Line,
    /// The beginning of one.
    Beginning,
}

/// Up to eight letters as a piece has them.
pub(crate) const fn word(text: &[u8]) -> u64 {
    let (mut value, mut index) = (0, text.len());
    while index > 0 {
        index -= 1;
        value = (value << 8) | text[index] as u64;
    }
    value
}

/// Letters in lower case. Some other bytes change as well, but none into a letter or a hyphen that
/// a name of a field may have.
#[inline(always)]
pub(crate) const fn lower(word: u64) -> u64 {
    word | (ONES * 0x20)
}

impl Scan {
    /// No piece at hand.
    pub const NONE: Self = Self { line: 0, at: 0, end: 0, pending: Pending::Nothing };

    /// Whether all was looked at.
    #[inline(always)]
    pub const fn is_over(&self) -> bool {
        self.at >= self.end && matches!(self.pending, Pending::Nothing)
    }

    /// There is no piece at hand any more. One number, for to write more zeros is a call of a function
    /// in a probe.
    #[inline(always)]
    pub const fn close(&mut self) {
        self.end = 0;
    }

    /// How many bytes of the piece were taken.
    #[inline(always)]
    pub const fn taken(&self) -> u64 {
        self.at - CARRY_BYTES
    }

    /// Goes behind the next line feed, or a stride on where there is none.
    #[inline(always)]
    pub(super) fn find_line_feed(&mut self, piece: &impl Piece) {
        let mut from = 0;
        while from < STRIDE_BYTES {
            let other = piece.word(self.at + from) ^ (ONES * b'\n' as u64);
            let found = other.wrapping_sub(ONES) & !other & HIGH_BITS;
            if found != 0 {
                let at = self.at + from + first_byte(found);
                if at >= self.end {
                    break;
                }
                self.at = at + 1;
                self.pending = Pending::Line;
                return;
            }
            from += 8;
        }
        let next = self.at + STRIDE_BYTES;
        self.at = if next < self.end { next } else { self.end };
        self.pending = Pending::Beginning;
    }
}

/// Which byte has the lowest of the bits that are set, all of them highest bits of bytes.
#[inline(always)]
const fn first_byte(high_bits: u64) -> u64 {
    let lowest = (high_bits & high_bits.wrapping_neg()) >> 7;
    lowest.wrapping_mul(0x0001_0203_0405_0607) >> 56
}

/// What is known of a line, without the line feed.
pub(super) struct Line {
    /// The first 24 bytes.
    pub(super) first: [u64; 3],
    /// The last 16 bytes. What is in front of a shorter line may be anything.
    pub(super) last: [u64; 2],
    /// Its length, at most `CARRY_BYTES + 1` of what was carried counted.
    pub(super) len: u64,
}

impl Line {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 || (self.len == 1 && self.first[0] & 0xff == b'\r' as u64)
    }

    /// The last eight bytes without a carriage return and white space, of which there are at most
    /// `MOST`; the last highest.
    #[inline(always)]
    pub(super) fn end<const MOST: u32>(&self) -> u64 {
        let [mut before, mut end] = self.last;
        let mut turn = 0;
        while turn < MOST {
            let byte = (end >> 56) as u8;
            if byte != b'\r' && byte != b' ' && byte != b'\t' {
                break;
            }
            end = (end << 8) | (before >> 56);
            before <<= 8;
            turn += 1;
        }
        end
    }
}

impl Stream {
    /// What to write in front of a piece, at [`Scan::line`], before the piece.
    #[inline(always)]
    pub const fn carry(&self) -> &[u64; 5] {
        &self.carry
    }

    /// A scan of a piece of `len` bytes.
    #[inline(always)]
    pub const fn scan(&self, len: u64) -> Scan {
        let carried = if self.carried == IS_LONG { CARRY_BYTES } else { self.carried as u64 };
        let end = CARRY_BYTES + len;
        Scan { line: CARRY_BYTES - carried, at: CARRY_BYTES, end, pending: Pending::Nothing }
    }

    /// The line that begins at [`Scan::line`], or as much of it as there is.
    #[inline(always)]
    pub(super) fn line(&self, scan: &Scan, piece: &impl Piece) -> Line {
        let at = scan.line;
        let end = scan.at - matches!(scan.pending, Pending::Line) as u64;
        Line {
            first: [piece.word(at), piece.word(at + 8), piece.word(at + 16)],
            last: [piece.word(end - 16), piece.word(end - 8)],
            len: end - at + (self.carried == IS_LONG) as u64,
        }
    }

    /// The line is over: the next begins.
    #[inline(always)]
    pub(crate) fn next_line(&mut self, scan: &mut Scan) {
        scan.line = scan.at;
        self.carried = 0;
    }

    /// What was carried belongs to nothing.
    #[inline(always)]
    pub(crate) fn forget_line(&mut self) {
        self.carried = 0;
    }

    /// The piece is over and the line is not.
    #[inline(always)]
    pub(crate) fn keep(&mut self, scan: &Scan, piece: &impl Piece) {
        let (at, end) = (scan.line, scan.end);
        let is_long = self.carried == IS_LONG || end - at > CARRY_BYTES;
        let rest = if is_long { end - 16 } else { at + 24 };
        self.carry = [
            piece.word(at),
            piece.word(at + 8),
            piece.word(at + 16),
            piece.word(rest),
            piece.word(rest + 8),
        ];
        self.carried = if is_long { IS_LONG } else { (end - at) as u32 };
    }
}
