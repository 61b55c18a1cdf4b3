//! Where the time of the probes goes, as the kernel itself counts it (`kernel.bpf_stats_enabled`).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::programs::loaded_programs;

use super::Bench;
use crate::say;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// Less is not worth a line.
const LEAST_RUNS: f64 = 0.01;

/// While it is there the kernel counts, which costs each run two readings of a clock.
pub(super) struct Counting {
    before: String,
}

impl Counting {
    /// `None`, and why is said, where that cannot be.
    pub(super) fn begin() -> Option<Self> {
        let Ok(before) = fs::read_to_string(SWITCH) else {
            say::note("no figures of single probes: this kernel does not count them");
            return None;
        };
        if fs::write(SWITCH, "1").is_err() {
            say::note("no figures of single probes: needs root itself, not sudo");
            return None;
        }
        Some(Self { before: before.trim().to_owned() })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SWITCH, &self.before) {
            say::note(&format!("{SWITCH} was {}, and stays 1: {error}", self.before));
        }
    }
}

/// What the programs of one process did.
#[derive(Debug, Clone, Default)]
pub(super) struct Spent(BTreeMap<String, Runs>);

#[derive(Debug, Clone, Copy, Default)]
struct Runs {
    count: f64,
    nanos: f64,
}

impl Spent {
    /// By the programs that `lynceus` has open, as they stand.
    pub(super) fn by(lynceus: &Child) -> Self {
        let folder = PathBuf::from(format!("/proc/{}/fdinfo", lynceus.id()));
        let open: Vec<u32> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| program_id(&fs::read_to_string(entry.path()).ok()?))
            .collect();
        let mut all = BTreeMap::new();
        for program in loaded_programs().flatten().filter(|program| open.contains(&program.id())) {
            let name = program.name_as_str().unwrap_or("?").to_owned();
            let of_name: &mut Runs = all.entry(name).or_default();
            of_name.count += program.run_count() as f64;
            of_name.nanos += program.run_time().as_nanos() as f64;
        }
        Self(all)
    }

    /// What was added since, for each of `turns`; the largest first.
    pub(super) fn report(&self, since: &Self, turns: f64) {
        let mut rows: Vec<(&str, Runs)> = Vec::new();
        for (name, now) in &self.0 {
            let then = since.0.get(name).copied().unwrap_or_default();
            let count = (now.count - then.count) / turns.max(1.0);
            rows.push((name, Runs { count, nanos: (now.nanos - then.nanos) / turns.max(1.0) }));
        }
        rows.retain(|(_, runs)| runs.count >= LEAST_RUNS);
        rows.sort_by(|one, other| other.1.nanos.total_cmp(&one.1.nanos));
        for (name, Runs { count, nanos }) in rows {
            let each = nanos / count;
            say::result(&format!(
                "    {name:15} {count:5.2} runs of {each:5.0} ns: {nanos:5.0} ns"
            ));
        }
    }
}

pub(super) fn measure(bench: &Bench) -> Result<()> {
    const PROCESSES: usize = 4000;
    let Some(counting) = Counting::begin() else { return Ok(()) };
    let mut command = bench.lynceus()?;
    command.args(bench.one_by_one(PROCESSES));
    let mut child = command.spawn().context("starting lynceus")?;
    let mut spent = Spent::default();
    while child.try_wait().context("waiting for lynceus")?.is_none() {
        let now = Spent::by(&child);
        if !now.0.is_empty() {
            spent = now;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(counting);
    say::result("the probes, for each process of 4000 (by the kernel's own count):");
    spent.report(&Spent::default(), PROCESSES as f64);
    Ok(())
}

fn program_id(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_the_files() {
        assert_eq!(program_id("pos:\t0\nprog_type:\t26\nprog_id:\t7\nrun_cnt:\t3\n"), Some(7));
        assert_eq!(program_id("pos:\t0\n"), None);
    }
}
