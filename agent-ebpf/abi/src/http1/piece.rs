//! A piece in ordinary memory, for whoever is not a probe.

use super::{CARRY_BYTES, Piece, Scan, Stream};

const CARRY: usize = CARRY_BYTES as usize;

/// Some bytes of a stream, and in front of them what is carried.
#[derive(Debug)]
pub struct Bytes<'a> {
    carried: [u8; CARRY],
    bytes: &'a [u8],
    /// Where they end lies something else.
    behind: u8,
}

impl<'a> Bytes<'a> {
    /// The next bytes of a stream, and what is to be looked at. `behind` is what lies behind them.
    pub fn of(stream: &Stream, bytes: &'a [u8], behind: u8) -> (Self, Scan) {
        let scan = stream.scan(bytes.len() as u64);
        let mut carried = [behind; CARRY];
        let words = stream.carry().iter().flat_map(|word| word.to_le_bytes());
        for (to, byte) in carried.iter_mut().skip(scan.line as usize).zip(words) {
            *to = byte;
        }
        (Self { carried, bytes, behind }, scan)
    }

    fn byte(&self, at: u64) -> u8 {
        let Ok(at) = usize::try_from(at) else { return self.behind };
        let known = self.carried.get(at).or_else(|| self.bytes.get(at.checked_sub(CARRY)?));
        known.copied().unwrap_or(self.behind)
    }
}

impl Piece for Bytes<'_> {
    fn word(&self, at: u64) -> u64 {
        let bytes = [0, 1, 2, 3, 4, 5, 6, 7].map(|byte| self.byte(at.saturating_add(byte)));
        u64::from_le_bytes(bytes)
    }
}
