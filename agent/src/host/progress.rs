//! What became of spans and metrics so far, for who looks while they are delivered.

use std::sync::atomic::{AtomicU64, Ordering};

use super::metric::{Histogram, number};

/// Bounds of the times from the end of a span to the answer of who took it, seconds.
const BOUNDS: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, f64::INFINITY];

/// What was given of spans is delivered, lost, waiting, or under way between these threads.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) file_written: AtomicU64,
    pub(crate) file_lost: AtomicU64,
    pub(crate) otlp_sent: AtomicU64,
    /// Refused, or given up.
    pub(crate) otlp_lost: AtomicU64,
    /// There was no room among those that wait for the network.
    pub(crate) queue_full: AtomicU64,
    pub(crate) waiting: AtomicU64,
    /// Of metrics, and all of them.
    pub(crate) pushes_taken: AtomicU64,
    pub(crate) pushes_failed: AtomicU64,
    pub(crate) latency: Latency,
}

/// How late spans arrive.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    counts: [AtomicU64; BOUNDS.len()],
    sum_micros: AtomicU64,
}

impl Latency {
    pub(crate) fn add(&self, nanos: u64) {
        let seconds = number(nanos) / 1e9;
        let at = BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(count) = at.and_then(|at| self.counts.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(nanos / 1000, Ordering::Relaxed);
    }

    pub(crate) fn histogram(&self) -> Histogram {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Histogram {
            buckets: BOUNDS.into_iter().zip(counts).collect(),
            sum: number(self.sum_micros.load(Ordering::Relaxed)) / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_once_at_the_first_bound_that_holds_it() {
        let latency = Latency::default();
        for nanos in [0, 10_000_000, 10_000_001, 400_000_000_000] {
            latency.add(nanos);
        }
        let histogram = latency.histogram();
        let found: Vec<_> =
            histogram.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(found, [(0.01, 2), (0.025, 1), (f64::INFINITY, 1)]);
        assert!((histogram.sum - 400.02).abs() < 1e-6, "{}", histogram.sum);
    }
}
