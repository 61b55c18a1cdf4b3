//! What of a pod is beyond its budget of a second is not told, and counted.

use std::fs;

use agent::host::capture::{Backend, Capture};
use agent_tests::need::trial;
use anyhow::ensure;
use libtest_mimic::Trial;

use crate::{
    cgroups::{Group, Happened, Traced, Waits},
    peer,
};

const ROUNDS: usize = 5;
const AT_ONCE: usize = 4;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("limit_of_a_pod_holds_for_execs", &[], of_execs),
        trial("limit_of_a_pod_holds_for_requests", &[], of_requests),
    ]
}

fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

fn of_execs() -> anyhow::Result<()> {
    let group = Group::make()?;
    let mut traced = Traced::watch(&group, 2)?;
    let pod = group.within("pod")?;
    let exits = peer::command("exit", &["0"]);
    // Several at once, for an emulated machine needs a while for each; but not as many as stand at one
    // point of one processor before an event is missed on kernels from 7.0 on.
    for _ in 0..ROUNDS {
        let all = (0..AT_ONCE).map(|_| Waits::within(&pod, &words(&exits)));
        let mut all = all.collect::<anyhow::Result<Vec<_>>>()?;
        all.iter_mut().try_for_each(Waits::begin)?;
        all.iter_mut().try_for_each(|one| one.0.wait().map(drop))?;
    }
    fs::remove_dir(&pod)?;
    traced.until(|one| matches!(one, Happened::Gone(_)))?;
    let of = |is_it: fn(&Happened) -> bool| traced.happened.iter().filter(|one| is_it(one)).count();
    let (execs, exits) =
        (of(|one| matches!(one, Happened::Exec(..))), of(|one| matches!(one, Happened::Exit(..))));
    let counts = traced.probes.counts()?;
    let beyond = usize::try_from(counts.limited)?;
    ensure!(
        execs == exits && execs >= 2 && beyond > 0 && execs + beyond == ROUNDS * AT_ONCE,
        "{execs} execs, {exits} exits, {counts:?}: {:?}",
        traced.happened
    );
    Ok(())
}

/// Two containers of a pod share it; another pod has its own.
fn of_requests() -> anyhow::Result<()> {
    const EACH: u64 = 500;
    let group = Group::make()?;
    let mut traced = Traced::watch(&group, 20)?;
    let attached = traced.probes.attach_requests(Capture::Auto);
    let slowly = Capture::Only(Backend::Fentry);
    attached.or_else(|_| traced.probes.attach_requests(slowly))?;
    let (pod, other) = (group.within("pod")?, group.within("other")?);
    let containers = [pod.join("one"), pod.join("two")];
    let talk = peer::command("talk", &["1", &EACH.to_string()]);
    let mut all = Vec::new();
    for container in &containers {
        fs::create_dir(container)?;
        all.push(Waits::within(container, &words(&talk))?);
    }
    all.iter_mut().try_for_each(Waits::begin)?;
    for mut one in all {
        one.0.wait()?;
        traced.exit(one.0.id())?;
    }
    let (told, beyond) = (traced.requests, traced.beyond);
    // Each is asked and served.
    ensure!(told + beyond == 4 * EACH, "{told} told, {beyond} beyond: {:?}", traced.happened);
    ensure!(told > 0 && beyond > 0, "{told} told, {beyond} beyond");
    let few = peer::command("talk", &["1", "2"]);
    let pid = Waits::within(&other, &words(&few))?.go()?;
    traced.exit(pid)?;
    ensure!((traced.requests, traced.beyond) == (told + 4, beyond), "{:?}", traced.happened);
    Ok(())
}
