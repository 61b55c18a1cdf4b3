//! Fork, exec and exit of a program that does nothing, in every way that people trace it.

use std::process::Command;

use anyhow::Result;

use super::Bench;
use super::compare;
use super::driver::Driver;
use super::ratio::{Ratio, mean, median, middle_mean};
use crate::demo::Collector;
use crate::{paths, say, setup};

/// Slow ways take fewer.
const STRACED: usize = 50;
const BY_HAND: usize = 10;

/// Nanoseconds a process in each way, a figure a round.
#[derive(Default)]
struct Times {
    /// Plain means, which what is met by chance is in.
    untraced_mean: Vec<f64>,
    tracked_mean: Vec<f64>,
    untraced: Vec<f64>,
    untracked: Vec<f64>,
    tracked: Vec<f64>,
    strace: Vec<f64>,
    by_hand: Vec<f64>,
    /// What lynceus itself used for a tracked process.
    own_cpu: Vec<f64>,
}

pub(super) fn measure(bench: &Bench, rounds: usize) -> Result<()> {
    let collector = setup::collector().ok().filter(|_| paths::program("curl").is_some());
    let theirs = bench.folder.path().join("collector.jsonl");
    let collector = collector.map(|program| Collector::start(&program, &theirs)).transpose()?;
    let url = collector.as_ref().map(|collector| collector.traces_url());
    let mut times = Times::default();
    say::step(&format!("{rounds} rounds of fork, exec and exit"), || {
        (0..rounds).try_for_each(|_| round(bench, url.as_deref(), &mut times))
    })?;
    if let Some(collector) = collector {
        collector.stop()?;
    }
    report(&times);
    Ok(())
}

/// What is compared turn by turn, and then the slow ways.
fn round(bench: &Bench, url: Option<&str>, times: &mut Times) -> Result<()> {
    let driver = bench.driver("turns", &[], &[]);
    // It delivers what it sees, as what it is compared with does.
    let options: Vec<&str> = url.map_or_else(Vec::new, |url| vec!["--otlp", url]);
    let round = compare::round(bench, &driver, &options)?;
    times.untraced.push(middle_mean(&round.untraced));
    times.untracked.push(middle_mean(&round.untracked));
    times.tracked.push(middle_mean(&round.tracked));
    times.tracked_mean.push(mean(&round.tracked));
    times.untraced_mean.push(mean(&round.untraced));
    times.own_cpu.extend(round.own_cpu);
    if let Some(mut strace) = strace(bench, &driver)? {
        let mut strace = Driver::start(&mut strace)?;
        strace.turn(2)?;
        times.strace.push(middle_mean(&strace.turn(STRACED)?));
        strace.stop()?;
    }
    if let Some(url) = url {
        let driver = bench.driver("turns", &[], &[url]);
        let mut by_hand = Driver::start(&mut bench.command(&driver)?)?;
        by_hand.turn(2)?;
        times.by_hand.push(middle_mean(&by_hand.turn(BY_HAND)?));
        by_hand.stop()?;
    }
    Ok(())
}

fn strace(bench: &Bench, driver: &[String]) -> Result<Option<Command>> {
    if paths::program("strace").is_none() {
        return Ok(None);
    }
    let words = ["strace", "-f", "-qq", "-e", "trace=process", "-o", "/dev/null"];
    let words = words.into_iter().map(str::to_owned).chain(driver.iter().cloned());
    bench.command(&words.collect::<Vec<_>>()).map(Some)
}

fn report(times: &Times) {
    let ways = [
        ("untraced", &times.untraced, &times.untraced),
        ("lynceus there, process not traced", &times.untracked, &times.untraced),
        ("lynceus run", &times.tracked, &times.untraced),
        ("  with what is met by chance", &times.tracked_mean, &times.untraced_mean),
        ("strace -f -e trace=process", &times.strace, &times.untraced),
        ("a span by curl after each", &times.by_hand, &times.untraced),
    ];
    say::result("fork + exec + exit of a static program, as a ratio in the same round:");
    for (name, times, base) in ways.into_iter().filter(|(_, times, _)| !times.is_empty()) {
        let (ratio, micros) = (Ratio::of(times, base), median(times) / 1000.0);
        say::result(&format!("  {name:36}{ratio}  {micros:9.1} us"));
    }
    if !times.own_cpu.is_empty() {
        let micros = median(&times.own_cpu) / 1000.0;
        say::result(&format!("  lynceus itself uses {micros:.1} us of CPU a process, beside it"));
    }
    if !times.by_hand.is_empty() {
        // Round by round, for the machine's speed wanders.
        let extra = |way: &[f64]| {
            let more = way.iter().zip(&times.untraced).map(|(time, base)| (time - base) / 1000.0);
            median(&more.collect::<Vec<f64>>())
        };
        let own = if times.own_cpu.is_empty() { 0.0 } else { median(&times.own_cpu) / 1000.0 };
        let (ours, by_hand) = (extra(&times.tracked) + own, extra(&times.by_hand));
        let times = if ours > 0.0 {
            format!("{:.0} times as much", by_hand / ours)
        } else {
            "which is below the noise".to_owned()
        };
        say::result(&format!(
            "  a delivered span costs {ours:.1} us by lynceus, its own CPU included, and {by_hand:.1} us \
             by curl: {times}"
        ));
    }
}
