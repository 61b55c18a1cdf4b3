//! Time since boot -> time of day. The host reads the clocks, once for a trace, so that spans of
//! one trace keep their order though somebody sets the time of day meanwhile.

use crate::{event::BootNanos, span::UnixNanos};

/// By how much two readings may differ though nobody set the time of day: between the two clocks of one
/// reading a processor may be taken away.
const NOISE_NS: u64 = 1_000_000;

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

    /// As a later reading has it, if the time of day was set meanwhile. Both clocks run at one rate: what
    /// differs by less is noise, and would put one moment at two times in two spans.
    pub fn corrected_by(self, later: Self) -> Self {
        let (expected, read) = (self.unix(later.boot).0, later.unix.0);
        if expected.abs_diff(read) < NOISE_NS { self } else { later }
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

    #[test]
    fn a_moment_has_one_time_until_somebody_sets_the_clock() {
        let clock = Clock::new(BootNanos(100), UnixNanos(5_000_000));
        let check = |read: u64, expected: u64| {
            let later = Clock::new(BootNanos(200), UnixNanos(read));
            assert_eq!(clock.corrected_by(later).unix(BootNanos(200)), UnixNanos(expected));
        };
        check(5_000_105, 5_000_100);
        check(4_000_101, 5_000_100);
        check(6_000_100, 6_000_100);
        check(1, 1);
    }
}
