//! An agent ends and another begins.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::account::Account;
use super::admin::Metrics;
use super::collected::Collected;
use super::told::{collected, told_as};
use super::traced::{
    TRACED, container, job, pod_of, prepared, run, touch, wait_until_done, wait_until_ready,
};
use super::{Test, daemon};
use crate::cluster::running::Cluster;
use crate::command;

pub(super) const CORE: &str = "a_restart_of_the_agent_is_hardly_seen";

pub(super) const TESTS: [Test; 3] = [
    (CORE, a_restart_of_the_agent_is_hardly_seen),
    ("nothing_is_missed_while_no_agent_runs", nothing_is_missed_while_no_agent_runs),
    ("nothing_stays_attached_without_a_daemon_set", nothing_stays_attached_without_a_daemon_set),
];

/// The kernel has files of its own there.
const FIND: [&str; 3] = ["/sys/fs/bpf", "-path", "*/lynceus-agent*"];

/// Waits for the file, and does this meanwhile.
fn until_told(meanwhile: &str, then: &str) -> String {
    format!("until [ -e /tmp/go ]; do {meanwhile}; done; {then}; exit 0")
}

/// A pod that runs while the agent is replaced has one trace, with what ran then in it.
fn a_restart_of_the_agent_is_hardly_seen(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let script = until_told("sleep 0.05", "env uname");
    run(cluster, &job(TRACED, "long", &json!({ "containers": [container("main", &script)] })))?;
    let pod = pod_of(cluster, TRACED, "job-name=long")?;
    let before = collected(cluster, "sleep", &pod)?;
    daemon::restart(cluster)?;
    touch(cluster, TRACED, &pod, "/tmp/go")?;
    let spans = collected(cluster, &format!("pod {pod}"), &pod)?;
    spans.is_whole()?;
    let (name, shell) = (spans.one("uname")?, spans.one("sh")?);
    ensure!(name.parent == shell.id, "{}", spans.tree());
    ensure!(shell.get("lynceus.process.taken_up") == "true", "{shell:?}");
    let kept = before.0.iter().filter(|span| span.name == "sleep");
    for span in kept {
        ensure!(span.parent == shell.id, "the shell has another span now: {}", spans.tree());
    }
    // Of the agent that goes on: what the one before counted is in no account of its own.
    Metrics::read(cluster)?.balance()
}

/// One pod runs on, one ends, and one begins and ends.
fn nothing_is_missed_while_no_agent_runs(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let counts = until_told("env true; i=$((i+1)); sleep 0.05", "echo $i");
    let ends = until_told("sleep 0.05", "env uname");
    for (name, script) in [("runs-on", &counts), ("ends", &ends)] {
        run(cluster, &job(TRACED, name, &json!({ "containers": [container("main", script)] })))?;
    }
    let runs_on = pod_of(cluster, TRACED, "job-name=runs-on")?;
    let ends = pod_of(cluster, TRACED, "job-name=ends")?;
    for pod in [&runs_on, &ends] {
        wait_until_ready(cluster, TRACED, pod)?;
        collected(cluster, "sleep", pod)?;
    }
    let said = daemon::take_away(cluster)?;
    ensure!(said.contains("what is attached stays"), "{said}");
    let account = Account::read(&said)?;
    ensure!(account.lost == 0, "{account:?}");
    touch(cluster, TRACED, &ends, "/tmp/go")?;
    let script = "env true; env uname; exit 0";
    run(cluster, &job(TRACED, "meanwhile", &json!({ "containers": [container("main", script)] })))?;
    for job in ["ends", "meanwhile"] {
        wait_until_done(cluster, job)?;
    }
    daemon::bring_back(cluster)?;
    let said = daemon::said(cluster)?;
    ensure!(said.contains("going on where an agent before this one ended"), "{said}");

    let meanwhile = pod_of(cluster, TRACED, "job-name=meanwhile")?;
    let tree = format!("pod {meanwhile}\n  container main\n    sh\n      true\n      uname\n");
    told_as(cluster, &meanwhile, &tree)?;
    let spans = over(cluster, &ends)?;
    let (name, shell) = (spans.one("uname")?, spans.one("sh")?);
    ensure!(name.parent == shell.id, "{}", spans.tree());

    touch(cluster, TRACED, &runs_on, "/tmp/go")?;
    let spans = over(cluster, &runs_on)?;
    let counted = cluster.kubectl(&["logs", "--namespace", TRACED, &runs_on])?;
    let counted: usize = counted.trim().parse().context("reading how many there were")?;
    let shell = spans.one("sh")?;
    let its = |name: &str| {
        spans.0.iter().filter(|span| span.name == name && span.parent == shell.id).count()
    };
    let (told, slept) = (its("true"), its("sleep"));
    ensure!((told, slept) == (counted, counted), "{told} and {slept} of {counted}");
    let metrics = Metrics::read(cluster)?;
    ensure!(
        metrics.of("lynceus_records_lost_total", "reason=\"ring_full\"")? == 0.0,
        "{metrics:?}"
    );
    metrics.balance()
}

/// All that was told of a pod that is over: whole, and once.
fn over(cluster: &Cluster, pod: &str) -> Result<Collected> {
    let spans = collected(cluster, &format!("pod {pod}"), pod)?;
    spans.is_whole()?;
    spans.lies_within()?;
    let ids: HashSet<&String> = spans.0.iter().map(|span| &span.id).collect();
    ensure!(ids.len() == spans.0.len(), "told twice:\n{}", spans.tree());
    Ok(spans)
}

/// What is attached stays for the next agent, and goes when none will come. What began meanwhile is taken up
/// by an agent that finds nothing attached.
fn nothing_stays_attached_without_a_daemon_set(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let pinned = || command::output(cluster.node().inside("find".as_ref())?.args(FIND));
    let found = pinned()?;
    ensure!(found.contains("exec@sched_process_exec"), "{found:?}");
    daemon::uninstall(cluster)?;
    let found = pinned()?;
    ensure!(found.is_empty(), "{found}");
    let script = until_told("sleep 0.2", "env uname");
    run(cluster, &job(TRACED, "unseen", &json!({ "containers": [container("main", &script)] })))?;
    let pod = pod_of(cluster, TRACED, "job-name=unseen")?;
    wait_until_ready(cluster, TRACED, &pod)?;
    daemon::ensure(cluster)?;
    let said = daemon::said(cluster)?;
    ensure!(!said.contains("going on where an agent before this one ended"), "{said}");
    collected(cluster, "sleep", &pod)?;
    touch(cluster, TRACED, &pod, "/tmp/go")?;
    let spans = over(cluster, &pod)?;
    let shell = spans.one("sh")?;
    ensure!(shell.get("lynceus.process.taken_up") == "true", "{shell:?}");
    ensure!(spans.one("uname")?.parent == shell.id, "{}", spans.tree());
    let shell_s = "    sh\n      sleep\n      uname\n";
    let tree = format!("pod {pod}\n  container main\n{shell_s}    touch\n");
    ensure!(spans.folded_after_taking_up() == tree, "{}", spans.tree());
    Metrics::read(cluster)?.balance()
}
