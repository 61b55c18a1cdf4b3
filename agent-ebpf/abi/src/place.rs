//! Where in a TCP stream the bytes are that were seen, by the kernel's sequence numbers: so that what
//! nobody saw (sendfile, splice, io_uring) is known by its length.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What is further ahead than this is behind: two threads use the socket.
const AHEAD_MAX: u32 = 1 << 31;

/// A place in one direction of a connection.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Place {
    /// Sequence number of the next byte.
    next: u32,
    /// 1 where that is known, else 0.
    is_known: u32,
    /// Sequence number with which the call began that moves bytes now.
    call: u32,
    /// Zero.
    _pad: u32,
}

impl Place {
    /// Nothing was seen yet.
    pub const UNKNOWN: Self = Self { next: 0, is_known: 0, call: 0, _pad: 0 };

    /// `len` bytes were moved, up to `end`. Gives how many before them nobody saw.
    #[inline(always)]
    pub const fn pass_to(&mut self, end: u32, len: u32) -> u32 {
        let hidden = self.hidden_before(end.wrapping_sub(len));
        self.next = end;
        self.is_known = 1;
        hidden
    }

    /// A call moves bytes from `begin` on. Gives how many before it nobody saw.
    #[inline(always)]
    pub const fn call_begins(&mut self, begin: u32) -> u32 {
        self.call = begin;
        self.pass_to(begin, 0)
    }

    /// The call has come to `end`. Gives how many bytes it moved since this was last asked, and before.
    #[inline(always)]
    pub const fn call_goes_on(&mut self, end: u32) -> (u32, u32) {
        let (new, old) = (end.wrapping_sub(self.next), self.next.wrapping_sub(self.call));
        self.next = end;
        if self.is_known == 0 || new >= AHEAD_MAX { (0, 0) } else { (new, old) }
    }

    /// Whether bytes before `now` were moved, of which no call told yet.
    #[inline(always)]
    pub const fn is_behind(&self, now: u32) -> bool {
        self.hidden_before(now) != 0
    }

    #[inline(always)]
    const fn hidden_before(&self, begin: u32) -> u32 {
        let ahead = begin.wrapping_sub(self.next);
        if self.is_known == 0 || ahead >= AHEAD_MAX { 0 } else { ahead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_saw_is_known_by_its_length() {
        let mut place = Place::UNKNOWN;
        assert_eq!(place.pass_to(1000, 10), 0, "what was before the first is not asked for");
        assert_eq!(place.pass_to(1030, 30), 0);
        assert_eq!(place.pass_to(1100, 20), 50);
        assert_eq!(place.pass_to(1090, 5), 0, "told late by another thread");
        assert!(place.is_behind(1101) && !place.is_behind(1090) && !Place::UNKNOWN.is_behind(7));
        let mut wraps = Place::UNKNOWN;
        wraps.pass_to(u32::MAX - 4, 1);
        assert_eq!(wraps.pass_to(15, 10), 10);
    }

    #[test]
    fn a_call_is_followed_piece_by_piece() {
        let mut place = Place::UNKNOWN;
        assert_eq!(place.call_goes_on(7), (0, 0), "its beginning was not seen");
        assert_eq!(place.call_begins(100), 0);
        assert_eq!(place.call_goes_on(150), (50, 0));
        assert_eq!(place.call_goes_on(150), (0, 50), "MSG_PEEK");
        assert_eq!(place.call_goes_on(160), (10, 50));
        assert_eq!(place.call_begins(160), 0);
        assert_eq!(place.call_goes_on(161), (1, 0));
    }
}
