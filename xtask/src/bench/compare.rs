//! One round: the same work untraced, with lynceus there but not for it, and traced.

use std::fs;

use anyhow::Result;

use super::Bench;
use super::driver::Driver;
use crate::privilege::Privilege;

/// Turns of each way in a round. What is shorter than the machine's moods meets all ways alike.
const TURNS: usize = 16;
/// Of one turn: a few milliseconds.
const TURN: usize = 30;

/// Nanoseconds of each.
pub(super) struct Round {
    pub(super) untraced: Vec<f64>,
    pub(super) untracked: Vec<f64>,
    pub(super) tracked: Vec<f64>,
    /// What lynceus itself used for one. Under sudo, the process that was started is sudo.
    pub(super) own_cpu: Option<f64>,
}

/// Untraced, then with lynceus there, then untraced again. What is compared takes turns with a driver
/// of the same kind, for the sake of the caches.
pub(super) fn round(bench: &Bench, driver: &[String], options: &[&str]) -> Result<Round> {
    let mut free = Driver::start(&mut bench.command(driver)?)?;
    let mut other = Driver::start(&mut bench.command(driver)?)?;
    let (mut untraced, _) = turns(&mut free, &mut other)?;

    let mut traced = Driver::start(bench.lynceus_with(options)?.args(driver))?;
    traced.turn(TURN)?;
    let (untracked, _) = turns(&mut free, &mut other)?;
    let before = cpu_ns(traced.pid());
    let (_, tracked) = turns(&mut free, &mut traced)?;
    let own_cpu = cpu_ns(traced.pid()) - before;
    traced.stop()?;

    untraced.extend(turns(&mut free, &mut other)?.0);
    free.stop()?;
    other.stop()?;
    let own_cpu = own_cpu / (tracked.len() + TURN) as f64;
    let own_cpu = (bench.privilege == Privilege::Root).then_some(own_cpu);
    Ok(Round { untraced, untracked, tracked, own_cpu })
}

/// The times of both, which take turns. The first ones find cold caches and are left out.
fn turns(one: &mut Driver, other: &mut Driver) -> Result<(Vec<f64>, Vec<f64>)> {
    one.turn(TURN)?;
    other.turn(TURN)?;
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        of_one.extend(one.turn(TURN)?);
        of_other.extend(other.turn(TURN)?);
    }
    Ok((of_one, of_other))
}

/// What the threads of a process ran in all (`sum_exec_runtime`, first field of schedstat).
pub(super) fn cpu_ns(pid: u32) -> f64 {
    let of_thread = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| of_thread(task.path())).sum()
}
