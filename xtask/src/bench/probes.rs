//! What one run of a probe takes, as the kernel itself counts it (`kernel.bpf_stats_enabled`).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Bench;
use crate::say;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

pub(super) fn measure(bench: &Bench) -> Result<()> {
    let Ok(before) = fs::read_to_string(SWITCH) else {
        say::note("no figures of single probes: this kernel does not count them");
        return Ok(());
    };
    if fs::write(SWITCH, "1").is_err() {
        say::note("no figures of single probes: needs root itself, not sudo");
        return Ok(());
    }
    let measured = watch(bench);
    fs::write(SWITCH, before.trim()).context("putting kernel.bpf_stats_enabled back")?;
    let programs = measured?;
    say::result("one run of a probe, by the kernel's own count (traced and untraced processes):");
    // They were loaded in this order, and their numbers rise.
    for (name, (runs, nanos)) in ["fork", "exec", "exit"].iter().zip(programs.values()) {
        say::result(&format!("  {name:6} {:6} ns, {runs} runs", nanos / (*runs).max(1)));
    }
    Ok(())
}

/// Run count and time of every tracing program of a lynceus, by its number.
fn watch(bench: &Bench) -> Result<BTreeMap<u64, (u64, u64)>> {
    let mut command = bench.lynceus()?;
    command.args(bench.one_by_one(4000));
    let mut child = command.spawn().context("starting lynceus")?;
    let folder = format!("/proc/{}/fdinfo", child.id());
    let mut programs = BTreeMap::new();
    while child.try_wait().context("waiting for lynceus")?.is_none() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            if let Some((id, figures)) = figures(&text) {
                programs.insert(id, figures);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(programs)
}

/// BPF_PROG_TYPE_TRACING is 26 (include/uapi/linux/bpf.h).
fn figures(text: &str) -> Option<(u64, (u64, u64))> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    let (id, runs, nanos) = (field("prog_id:")?, field("run_cnt:")?, field("run_time_ns:")?);
    (field("prog_type:")? == 26 && runs > 0).then_some((id, (runs, nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_tracing_programs_are_read() {
        let text = |kind| {
            format!("pos:\t0\nprog_type:\t{kind}\nprog_id:\t7\nrun_time_ns:\t90\nrun_cnt:\t3\n")
        };
        assert_eq!(figures(&text(26)), Some((7, (3, 90))));
        assert_eq!(figures(&text(17)), None);
        assert_eq!(figures("pos:\t0\n"), None);
    }
}
