//! A request and its response over HTTP/1, kept alive, on loopback: both ends in one process.

use anyhow::Result;

use super::compare;
use super::ratio::{Ratio, mean, median, middle_mean};
use super::{Bench, EVERY_REQUEST};
use crate::say;

pub(super) fn measure(bench: &Bench, rounds: usize) -> Result<()> {
    let driver = bench.driver("turns-of-talk", &[], &[]);
    let [mut untraced, mut untracked, mut tracked] = [const { Vec::new() }; 3];
    let [mut untraced_mean, mut tracked_mean, mut own_cpu] = [const { Vec::new() }; 3];
    say::step(&format!("{rounds} rounds of requests over HTTP"), || {
        (0..rounds).try_for_each(|_| {
            let round = compare::round(bench, &driver, &EVERY_REQUEST)?;
            untraced.push(middle_mean(&round.untraced));
            untracked.push(middle_mean(&round.untracked));
            tracked.push(middle_mean(&round.tracked));
            untraced_mean.push(mean(&round.untraced));
            tracked_mean.push(mean(&round.tracked));
            own_cpu.extend(round.own_cpu);
            Ok(())
        })
    })?;
    say::result(
        "GET and 300 bytes back on one connection, client and server on one CPU, as a ratio:",
    );
    let ways = [
        ("untraced", &untraced, &untraced),
        ("lynceus there, process not traced", &untracked, &untraced),
        ("lynceus run, a span at each end", &tracked, &untraced),
        ("  with what is met by chance", &tracked_mean, &untraced_mean),
    ];
    for (name, times, base) in ways {
        let (ratio, micros) = (Ratio::of(times, base), median(times) / 1000.0);
        say::result(&format!("  {name:36}{ratio}  {micros:9.1} us"));
    }
    if !own_cpu.is_empty() {
        let millis = median(&own_cpu) / 2.0 * 10_000.0 / 1e6;
        say::result(&format!("  lynceus itself uses {millis:.0} ms of CPU for 10 000 spans"));
    }
    Ok(())
}
