//! The ring's one reader.

use std::{os::fd::AsFd as _, time::Duration};

use aya::maps::{MapData, RingBuf};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Before each record (`BPF_RINGBUF_HDR_SZ`), which begins at a multiple of it.
const HEADER_BYTES: usize = 8;
/// How long a [`Peak`] is remembered at least; twice as long at most.
const PEAK_NS: u64 = 30_000_000_000;

pub struct Ring(RingBuf<MapData>);

impl Ring {
    pub fn new(ring: RingBuf<MapData>) -> Self {
        Self(ring)
    }

    /// Waits until the kernel side says that the ring fills up, at most `time`.
    pub fn wait(&self, time: Duration) {
        let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        // Interrupted, timed out or ready: the ring is looked at in any case.
        let _ready = poll(&mut fds, timeout);
    }

    /// Hands every record to `take`, also of those that come meanwhile.
    pub fn drain(&mut self, take: impl FnMut(&[u8])) {
        self.drain_some(usize::MAX, take);
    }

    /// Hands records to `take` until there are none, or they took so many bytes of the ring. Gives how
    /// many.
    pub fn drain_some(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut bytes = 0;
        while bytes < most
            && let Some(record) = self.0.next()
        {
            take(&record);
            bytes += HEADER_BYTES + record.len().next_multiple_of(HEADER_BYTES);
        }
        bytes
    }
}

/// The most that was drained at once, of late.
#[derive(Debug, Default)]
pub struct Peak {
    since_ns: u64,
    now: u64,
    before: u64,
}

impl Peak {
    pub fn at(&mut self, now_ns: u64, bytes: usize) {
        if now_ns.saturating_sub(self.since_ns) > PEAK_NS {
            (self.since_ns, self.before, self.now) = (now_ns, self.now, 0);
        }
        self.now = self.now.max(bytes as u64);
    }

    pub fn bytes(&self) -> u64 {
        self.now.max(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_forgotten_after_a_while() {
        let mut peak = Peak::default();
        peak.at(PEAK_NS * 2, 7);
        peak.at(PEAK_NS * 3, 3);
        assert_eq!(peak.bytes(), 7);
        peak.at(PEAK_NS * 4, 2);
        assert_eq!(peak.bytes(), 7);
        peak.at(PEAK_NS * 6, 1);
        assert_eq!(peak.bytes(), 2);
    }
}
