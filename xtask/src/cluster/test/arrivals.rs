//! What arrives at the Collector, and when: its file, read on and on.
//!
//! The Collector makes batches for 50 ms, writes its file every 50 ms, and is asked every 5 ms: times are
//! later than the spans' arrival by that.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::collected::{Span, parsed};
use crate::clock::{self, Stopwatch};
use crate::cluster::interrupt;
use crate::cluster::running::Cluster;

const POLL: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub(super) struct Arrivals {
    file: File,
    /// A line that is not whole yet.
    rest: String,
}

/// A span, and when it was seen.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) span: Span,
    /// Nanoseconds since the epoch.
    pub(super) at: u64,
}

impl Arrival {
    pub(super) fn since_start(&self) -> Duration {
        Duration::from_nanos(self.at.saturating_sub(self.span.start))
    }

    pub(super) fn since_end(&self) -> Duration {
        Duration::from_nanos(self.at.saturating_sub(self.span.end))
    }
}

impl Arrivals {
    /// Of what arrives from now on.
    pub(super) fn from_now(cluster: &Cluster) -> Result<Self> {
        let path = cluster.collector_output();
        let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        file.seek(SeekFrom::End(0)).context("going to the end of the Collector's file")?;
        Ok(Self { file, rest: String::new() })
    }

    /// Waits for so many spans of this kind.
    pub(super) fn wait_for(
        &mut self,
        count: usize,
        is_wanted: impl Fn(&Span) -> bool,
    ) -> Result<Vec<Arrival>> {
        let watch = Stopwatch::start();
        let mut found = Vec::new();
        while found.len() < count {
            interrupt::check()?;
            ensure!(watch.elapsed() < LIMIT, "only {} of {count} spans arrived", found.len());
            std::thread::sleep(POLL);
            let spans = self.read()?;
            let at = clock::unix_ns();
            let wanted = spans.into_iter().filter(&is_wanted);
            found.extend(wanted.map(|span| Arrival { span, at }));
        }
        Ok(found)
    }

    fn read(&mut self) -> Result<Vec<Span>> {
        self.file.read_to_string(&mut self.rest).context("reading the Collector's file")?;
        let Some((whole, rest)) = self.rest.rsplit_once('\n') else { return Ok(Vec::new()) };
        let spans: Result<Vec<Vec<Span>>> = whole.lines().map(parsed).collect();
        self.rest = rest.to_owned();
        Ok(spans?.into_iter().flatten().collect())
    }
}

/// The middle, the last of a hundred, and the longest, in milliseconds.
pub(super) fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let last = times.len().saturating_sub(1);
    let at = |hundredth: usize| times.get(last * hundredth / 100).copied().unwrap_or_default();
    format!(
        "p50 {} ms, p99 {} ms, longest {} ms of {}",
        at(50).as_millis(),
        at(99).as_millis(),
        at(100).as_millis(),
        times.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up_in_their_order() {
        let times = (1..=201).rev().map(Duration::from_millis).collect();
        assert_eq!(summary(times), "p50 101 ms, p99 199 ms, longest 201 ms of 201");
        assert_eq!(summary(Vec::new()), "p50 0 ms, p99 0 ms, longest 0 ms of 0");
    }
}
