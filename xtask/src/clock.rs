//! How long a step took, and what time it is: the one place in `xtask` that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the rule is for the tracer's pure line")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Nanoseconds since the epoch, as spans have them.
#[expect(clippy::disallowed_methods, reason = "the rule is for the tracer's pure line")]
pub(crate) fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn human(elapsed: Duration) -> String {
    let whole = elapsed.as_secs();
    match whole {
        0..10 => format!("{:.1} s", elapsed.as_secs_f64()),
        10..120 => format!("{whole} s"),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_like_a_person_says_it() {
        let check = |millis, expected: &str| {
            assert_eq!(human(Duration::from_millis(millis)), expected);
        };
        check(400, "0.4 s");
        check(12_900, "12 s");
        check(185_000, "3 min 05 s");
    }
}
