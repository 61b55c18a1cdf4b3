//! The ring's one reader.

use std::{os::fd::AsFd as _, time::Duration};

use aya::maps::{MapData, RingBuf};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

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

    /// Hands every record that is there to `take`. Gives how many.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while let Some(record) = self.0.next() {
            take(&record);
            count += 1;
        }
        count
    }
}
