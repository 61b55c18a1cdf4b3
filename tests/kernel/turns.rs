//! The driver of `cargo xtask bench`: does something when told, and says how long each time took.
//!
//! It lives as long as the measurement and takes turns with others of its kind that are traced in
//! another way: what the machine does besides meets all of them alike.

use std::{
    io::{self, BufRead as _, Write as _},
    process::Command,
    time::Duration,
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

use crate::talk;

/// Starts the program that often. With a URL, curl sends a span to it after every program: what people
/// do who have no tracer.
pub(crate) fn of_programs(program: &str, url: Option<&str>) -> io::Result<()> {
    stay_on_one_cpu()?;
    take(|| once(program, url))
}

/// Asks a server in this process that often, on one connection.
pub(crate) fn of_talk() -> io::Result<()> {
    stay_on_one_cpu()?;
    let mut stream = talk::connected()?;
    take(|| talk::ask_once(&mut stream, 0))
}

/// Reads how many, a line each, until the input ends; answers with nanoseconds, a line each.
fn take(mut once: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let count: u32 = line?.trim().parse().map_err(io::Error::other)?;
        let mut answer = String::new();
        for _ in 0..count {
            let start = now()?;
            once()?;
            answer.push_str(&(now()? - start).as_nanos().to_string());
            answer.push(' ');
        }
        writeln!(out, "{}", answer.trim_end())?;
        out.flush()?;
    }
    Ok(())
}

fn once(program: &str, url: Option<&str>) -> io::Result<()> {
    Command::new(program).status()?;
    let Some(url) = url else { return Ok(()) };
    let span = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"nothing","kind":1,"startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;
    let curl = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-H", "content-type: application/json", "-d", span])
        .arg(url)
        .status()?;
    if curl.success() { Ok(()) } else { Err(io::Error::other("curl failed")) }
}

fn now() -> io::Result<Duration> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?))
}

/// The first that is allowed: all drivers of one measurement are on the same, and migrate nowhere.
fn stay_on_one_cpu() -> io::Result<()> {
    let own = Pid::from_raw(0);
    let allowed = sched_getaffinity(own)?;
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(first.unwrap_or(0))?;
    Ok(sched_setaffinity(own, &one)?)
}
