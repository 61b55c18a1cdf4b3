//! Pods that come and go: nothing of them stays with the agent.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::account::Account;
use super::collected::Collected;
use super::gauge::Agent;
use super::pod::delete;
use super::traced::{TRACED, container, drawn, job, prepared, run};
use super::{Load, LongTest, daemon, until};
use crate::clock::{self, Stopwatch};
use crate::cluster::running::Cluster;
use crate::say;

pub(super) const LONG: [LongTest; 1] =
    [("churn_leaves_nothing_behind", churn_leaves_nothing_behind)];

/// Pods of one Job. It is removed when it is over.
const BATCH: u32 = 50;
const AT_ONE_TIME: u32 = 10;
/// How long the agent remembers what is gone, and a little.
const REMEMBERED: Duration = Duration::from_secs(310);
/// Descriptors come and go: of a watch that begins again, of the connection to the Collector.
const FEW: usize = 3;

/// Figures of before, of the end, and of when the agent has forgotten; and every pod was told.
fn churn_leaves_nothing_behind(cluster: &Cluster, load: Load) -> Result<()> {
    prepared(cluster)?;
    daemon::take_away(cluster)?;
    daemon::bring_back(cluster)?;
    let name = drawn("churn");
    batch(cluster, &format!("{name}-warm"), AT_ONE_TIME)?;
    let agent = Agent::find()?;
    let look = || Ok::<_, anyhow::Error>((agent.gauge()?, agent.entries()?));
    let (before, in_before) = look()?;
    let watch = Stopwatch::start();
    let (mut left, mut number) = (load.pods, 0);
    while left > 0 {
        let count = left.min(BATCH);
        batch(cluster, &format!("{name}-{number}"), count)?;
        (left, number) = (left - count, number + 1);
    }
    let took = clock::human(watch.elapsed());
    let (after, in_after) = look()?;
    std::thread::sleep(REMEMBERED);
    let (rested, in_rested) = look()?;
    say::result(&format!("{} pods in {took}", load.pods));
    let later = format!("{} s later", REMEMBERED.as_secs());
    let looks = [("before", before, in_before), ("after", after, in_after)];
    for (when, gauge, entries) in looks.into_iter().chain([(&*later, rested, in_rested)]) {
        say::result(&format!("  {when}: {gauge}; {entries}"));
    }
    let told = pods_told(cluster, &name)?;
    let account = Account::read(&daemon::take_away(cluster)?)?;
    say::result(&format!("  {told} pods were told; {account:?}"));
    daemon::bring_back(cluster)?;
    ensure!(told == usize::try_from(load.pods + AT_ONE_TIME)?, "only {told} pods were told");
    ensure!(account.lost == 0, "{account:?}");
    ensure!(rested.descriptors <= before.descriptors + FEW, "{before} {rested}");
    ensure!(rested.threads <= before.threads + FEW, "{before} {rested}");
    Ok(())
}

/// Runs a Job of so many pods, to its end and beyond.
fn batch(cluster: &Cluster, name: &str, count: u32) -> Result<()> {
    let containers = json!({ "containers": [container("main", "env true; exit 0")] });
    let mut job = job(TRACED, name, &containers);
    job["spec"]["completions"] = json!(count);
    job["spec"]["parallelism"] = json!(AT_ONE_TIME);
    run(cluster, &job)?;
    let path = "--output=jsonpath={.status.succeeded}";
    let ask = ["get", "job", name, "--namespace", TRACED, path];
    let count = count.to_string();
    until(&format!("{name} ends"), || cluster.kubectl(&ask), |done| done == count)?;
    delete(cluster, &format!("--namespace={TRACED}"), &format!("job/{name}"))?;
    let selector = format!("--selector=job-name={name}");
    let ask = ["get", "pods", "--namespace", TRACED, &selector, "--output=name"];
    until("its pods are gone", || cluster.kubectl(&ask), str::is_empty).map(drop)
}

/// Pods of the Jobs with this name before their number.
fn pods_told(cluster: &Cluster, name: &str) -> Result<usize> {
    let spans = Collected::read(cluster)?.0;
    let is_pod = |span: &&super::collected::Span| {
        span.name.starts_with("pod ") && span.get("k8s.job.name").starts_with(name)
    };
    let ids: HashSet<&str> = spans.iter().filter(is_pod).map(|span| span.id.as_str()).collect();
    Ok(ids.len())
}
