//! The lines between the chunks of a body.

use super::{LENGTH_LIMIT, Line, Phase, Step, Stream};

impl Stream {
    /// The size in hexadecimal, and perhaps an extension (RFC 9112 §7.1).
    #[inline(always)]
    pub(super) fn chunk_line(&mut self, line: &Line, has_ended: bool) -> Step {
        let [mut digits, mut more, _] = line.first;
        self.left = 0;
        let mut at = 0;
        while at < 16 {
            let byte = digits as u8;
            let (digit, letter) = (byte.wrapping_sub(b'0'), (byte | 0x20).wrapping_sub(b'a'));
            if at >= line.len || (digit >= 10 && letter >= 6) {
                break;
            }
            let value = if digit < 10 { digit } else { letter + 10 };
            self.left = (self.left << 4) | value as u64;
            // As in `content_length`.
            core::hint::black_box(&mut *self);
            digits = (digits >> 8) | (more << 56);
            more >>= 8;
            at += 1;
        }
        let size = self.left;
        if size >= LENGTH_LIMIT || (at == 0 && line.len > 0) || at == 16 {
            return self.refuse(Phase::NEITHER);
        }
        if !has_ended {
            return Step::More;
        }
        if at == 0 {
            return self.refuse(Phase::NEITHER);
        }
        if size == 0 {
            self.phase = Phase::TRAILERS;
            return Step::More;
        }
        self.phase = Phase::CHUNK;
        self.body_bytes += size;
        self.left = size + 2;
        Step::ChunkFollows
    }
}
