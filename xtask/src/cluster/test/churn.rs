//! Pods that come and go: nothing of them stays with the agent.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::account::Account;
use super::admin::Metrics;
use super::collected::Collected;
use super::entries::Entries;
use super::gauge::{Agent, Gauge};
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
/// Of processes, connections and control groups that other pods of the node have at the moment, the agent's own
/// and system pods' among them.
const OF_OTHERS: usize = 20;
/// What an allocator keeps of memory that was used once, of 56 MiB: a hundred pods or a thousand are the same.
const KEPT_KIB: u64 = 8 * 1024;
/// Of tables in user space.
const TABLES: [&str; 3] = ["lynceus_pods", "lynceus_processes", "lynceus_records_held"];

/// What grows with what runs, at one moment.
struct Look {
    gauge: Gauge,
    entries: Entries,
    /// As [`TABLES`].
    tables: Vec<f64>,
}

impl Look {
    fn at(cluster: &Cluster, agent: Agent) -> Result<Self> {
        let metrics = Metrics::read(cluster)?;
        let tables = TABLES.iter().map(|name| metrics.sum(name)).collect::<Result<_>>()?;
        Ok(Self { gauge: agent.gauge()?, entries: agent.entries()?, tables })
    }

    fn say(&self, when: &str) {
        let Self { gauge, entries, tables } = self;
        let tables: Vec<_> =
            TABLES.iter().zip(tables).map(|(name, count)| format!("{name} {count}")).collect();
        say::result(&format!("  {when}: {gauge}; {entries}; {}", tables.join(", ")));
    }

    /// Fails if more is there than before, and than others could have made.
    fn is_no_more_than(&self, before: &Self) -> Result<()> {
        let (now, then) = (&self.gauge, &before.gauge);
        ensure!(now.descriptors <= then.descriptors + FEW, "{then} {now}");
        ensure!(now.threads <= then.threads + FEW, "{then} {now}");
        ensure!(now.resident_kib <= then.resident_kib + KEPT_KIB, "{then} {now}");
        ensure!(now.maps_kib <= then.maps_kib + KEPT_KIB, "{then} {now}");
        for (name, count) in &self.entries.0 {
            let had = before.entries.0.get(name).copied().unwrap_or_default();
            ensure!(*count <= had + OF_OTHERS, "{name}: {count}, and {had} before");
        }
        let of_others = f64::from(u32::try_from(OF_OTHERS)?);
        for ((name, count), had) in TABLES.iter().zip(&self.tables).zip(&before.tables) {
            ensure!(*count <= had + of_others, "{name}: {count}, and {had} before");
        }
        Ok(())
    }
}

/// Figures of before, of the end, and of when the agent has forgotten; and every pod was told.
fn churn_leaves_nothing_behind(cluster: &Cluster, load: Load) -> Result<()> {
    prepared(cluster)?;
    daemon::take_away(cluster)?;
    daemon::bring_back(cluster)?;
    let name = drawn("churn");
    batch(cluster, &format!("{name}-warm"), AT_ONE_TIME)?;
    let agent = Agent::find()?;
    let before = Look::at(cluster, agent)?;
    let watch = Stopwatch::start();
    let (mut left, mut number) = (load.pods, 0);
    while left > 0 {
        let count = left.min(BATCH);
        batch(cluster, &format!("{name}-{number}"), count)?;
        (left, number) = (left - count, number + 1);
    }
    let took = clock::human(watch.elapsed());
    let after = Look::at(cluster, agent)?;
    std::thread::sleep(REMEMBERED);
    let rested = Look::at(cluster, agent)?;
    say::result(&format!("{} pods in {took}", load.pods));
    let later = format!("{} s later", REMEMBERED.as_secs());
    for (when, look) in [("before", &before), ("after", &after), (&*later, &rested)] {
        look.say(when);
    }
    let told = pods_told(cluster, &name)?;
    let account = Account::read(&daemon::take_away(cluster)?)?;
    say::result(&format!("  {told} pods were told; {account:?}"));
    daemon::bring_back(cluster)?;
    ensure!(told == usize::try_from(load.pods + AT_ONE_TIME)?, "only {told} pods were told");
    ensure!(account.lost == 0, "{account:?}");
    rested.is_no_more_than(&before)
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
