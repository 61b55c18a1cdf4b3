//! What a process used up is what it did use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use agent_tests::{
    lynceus::{check, run_with},
    need::{lacking, trial},
    tree,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;

use crate::peer;

pub(crate) fn trials() -> Vec<Trial> {
    let oom = if memory_cgroups().is_some() {
        trial("oom_kill_is_told", &["sh"], oom_kill_is_told)
    } else {
        lacking("oom_kill_is_told", "memory cgroup that can be written")
    };
    vec![
        trial("cpu_of_all_threads_is_summed", &[], cpu_of_all_threads),
        trial("bytes_and_memory_are_counted", &[], bytes_and_memory),
        oom,
    ]
}

fn cpu_of_all_threads() -> anyhow::Result<()> {
    let run = check(&peer::command("burn", &["60"]), &peer::name())?;
    let span = run.span(&peer::name())?;
    let part = |key: &str| span.int(key).unwrap_or_default();
    let cpu = part("lynceus.process.cpu.user_ns") + part("lynceus.process.cpu.system_ns");
    ensure!((120_000_000..400_000_000).contains(&cpu), "two threads of 60 ms used {cpu} ns");
    let switches = part("lynceus.process.context_switches.voluntary")
        + part("lynceus.process.context_switches.involuntary");
    ensure!(switches > 0, "two threads never switched");
    Ok(())
}

fn bytes_and_memory() -> anyhow::Result<()> {
    let run = check(&peer::command("io", &["1000000"]), &peer::name())?;
    let span = run.span(&peer::name())?;
    for key in ["lynceus.process.io.read_bytes", "lynceus.process.io.write_bytes"] {
        let bytes = span.int(key).unwrap_or_default();
        ensure!((1_000_000..3_000_000).contains(&bytes), "{key} is {bytes}");
    }
    let run = check(&peer::command("eat", &["40"]), &peer::name())?;
    let peak = run.span(&peer::name())?.int("lynceus.process.memory.peak_rss_bytes");
    let peak = peak.context("no peak")?;
    ensure!((40 << 20..120 << 20).contains(&peak), "40 MiB touched, peak is {peak}");
    let faults = run.span(&peer::name())?.int("lynceus.process.faults.minor");
    ensure!(faults.unwrap_or_default() > 0, "no page fault");
    Ok(())
}

/// Where memory cgroups are made and the file that limits one.
fn memory_cgroups() -> Option<(PathBuf, &'static str)> {
    let places =
        [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
    places.into_iter().find_map(|(place, file)| {
        let own = PathBuf::from(place).join(format!("lynceus-probe-{}", std::process::id()));
        if file == "memory.max" {
            // It fails where the controller is not there, which the look below finds.
            let _may_fail = fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
        }
        fs::create_dir(&own).ok()?;
        let limited = own.join(file).exists();
        fs::remove_dir(&own).ok()?;
        limited.then(|| (PathBuf::from(place), file))
    })
}

/// A process that ended is still booked to its cgroup for a moment.
fn remove_cgroup(path: &Path) -> io::Result<()> {
    let mut result = fs::remove_dir(path);
    for _ in 0..100 {
        if result.is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
        result = fs::remove_dir(path);
    }
    result
}

fn oom_kill_is_told() -> anyhow::Result<()> {
    let (place, file) = memory_cgroups().context("no memory cgroups")?;
    let own = place.join(format!("lynceus-test-{}", std::process::id()));
    fs::create_dir(&own)?;
    fs::write(own.join(file), "33554432")?;
    let eater = peer::command("eat", &["200"]).join(" ");
    let script = format!("echo $$ > {}/cgroup.procs; exec {eater}", own.display());
    let run = run_with(&[], &["sh", "-c", &script], |_| {});
    remove_cgroup(&own)?;
    let run = run?;
    run.is_whole()?;
    let found = tree::of(&run.spans);
    ensure!(found == format!("{}!OOMKilled", peer::name()), "{found} {}", run.stderr);
    ensure!(run.code() == Some(137), "{:?}", run.output.status);
    Ok(())
}
