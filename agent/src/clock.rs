//! Time since boot -> time of day. The host reads the clocks, once for a trace, so that spans of
//! one trace keep their order though somebody sets the time of day meanwhile.

use crate::{event::BootNanos, span::UnixNanos};

/// What the clocks said at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    boot: BootNanos,
    unix: UnixNanos,
}

impl Clock {
    pub fn new(boot: BootNanos, unix: UnixNanos) -> Self {
        Self { boot, unix }
    }

    pub fn unix(&self, at: BootNanos) -> UnixNanos {
        let unix = i128::from(self.unix.0) + i128::from(at.0) - i128::from(self.boot.0);
        UnixNanos(u64::try_from(unix.max(0)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_the_reading_keep_their_distance() {
        let clock = Clock::new(BootNanos(100), UnixNanos(1_000));
        assert_eq!(clock.unix(BootNanos(150)), UnixNanos(1_050));
        assert_eq!(clock.unix(BootNanos(50)), UnixNanos(950));
        assert_eq!(clock.unix(BootNanos(u64::MAX)), UnixNanos(u64::MAX));
        assert_eq!(Clock::new(BootNanos(9), UnixNanos(0)).unix(BootNanos(0)), UnixNanos(0));
    }
}
