//! Where in its TCP stream a connection is.
#![expect(unsafe_code, reason = "map values are shared with other CPUs: see Known")]

use abi::{place::Place, socket::Transport};

use crate::{connection::Known, message::Direction, read::offsets};

/// Of include/net/sock.h.
const RCV_SHUTDOWN: u32 = 1;

impl Known {
    /// The next byte's sequence number in the kernel; `None` on what is no TCP.
    #[inline(always)]
    fn position(self, direction: Direction) -> Option<u32> {
        let at = offsets();
        let next = if direction == Direction::Sent { at.tcp_written } else { at.tcp_read };
        (self.transport() == Transport::TCP).then(|| self.sock.u32(next))
    }

    /// Whether the other side's end was received: it is counted as one byte.
    #[inline(always)]
    fn is_behind_end(self) -> bool {
        let at = offsets();
        self.sock.u32(at.tcp_read) == self.sock.u32(at.tcp_received)
            && self.sock.u32(at.sock_shutdown) & RCV_SHUTDOWN != 0
    }

    /// Goes behind the `len` bytes that were moved just now. Gives how many before them nobody saw.
    #[inline(always)]
    pub(crate) fn pass_to(self, direction: Direction, len: u32) -> u32 {
        let Some(end) = self.position(direction) else { return 0 };
        let hidden = self.place(direction).pass_to(end, len);
        let is_end = hidden > 0 && direction == Direction::Received && self.is_behind_end();
        hidden - u32::from(is_end)
    }

    /// A call receives from here on. Gives how many bytes before it nobody saw.
    #[inline(always)]
    pub(crate) fn call_begins(self) -> u32 {
        let Some(begin) = self.position(Direction::Received) else { return 0 };
        let begin = begin.wrapping_sub(u32::from(self.is_behind_end()));
        self.place(Direction::Received).call_begins(begin)
    }

    /// Whether a thread is just receiving, in a call that did not tell of it yet: it has the lock, and what
    /// came meanwhile is looked at before the call ends.
    #[inline(always)]
    pub(crate) fn is_being_read(self) -> bool {
        let Some(now) = self.position(Direction::Received) else { return false };
        let now = now.wrapping_sub(u32::from(self.is_behind_end()));
        self.place(Direction::Received).is_behind(now) && self.sock.u32(offsets().sock_owned) != 0
    }

    /// How many bytes the call received since this was last asked, and before.
    #[inline(always)]
    pub(crate) fn received_until_now(self) -> (u32, u32) {
        let Some(end) = self.position(Direction::Received) else { return (0, 0) };
        let end = end.wrapping_sub(u32::from(self.is_behind_end()));
        self.place(Direction::Received).call_goes_on(end)
    }

    #[inline(always)]
    fn place<'entry>(self, direction: Direction) -> &'entry mut Place {
        // SAFETY: it points into an entry that a look-up in this run of the program gave.
        unsafe { &mut (*self.way(direction)).place }
    }
}
