//! Bytes of bodies, which are counted and not looked at.

use super::{Phase, Step, Stream};

impl Stream {
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
        }
        (passed, Step::More)
    }

    /// Whether the next `count` bytes are of a body, and none of them has to be looked at.
    #[inline(always)]
    pub const fn is_within_body(&self, count: u64) -> bool {
        self.phase.0 == Phase::UNTIL_CLOSE.0 || (self.phase.is_counted() && count <= self.left)
    }

    /// Passes over `count` bytes that nobody can look at: parts of bodies. `None` where they may be
    /// something else.
    #[inline(always)]
    pub fn pass_hidden(&mut self, count: u64) -> Option<Step> {
        if self.phase.0 == Phase::UNTIL_CLOSE.0 {
            self.body_bytes += count;
            return Some(Step::More);
        }
        if self.left < count {
            return None;
        }
        if self.phase.is_counted() {
            return Some(self.pass_over(count).1);
        }
        if self.phase.0 == Phase::DATA.0 {
            self.body_bytes += self.pass_hidden_data(count);
            return Some(Step::More);
        }
        None
    }
}
