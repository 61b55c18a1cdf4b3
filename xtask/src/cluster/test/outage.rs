//! What the agent needs is away for a while: the Collector.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::account::Account;
use super::collected::Collected;
use super::told::told_as;
use super::traced::{TRACED, container, job, pod_of, prepared, run};
use super::{Load, LongTest, Test, daemon, until};
use crate::clock::{self, Stopwatch};
use crate::cluster::component::Component;
use crate::cluster::running::Cluster;
use crate::say;

pub(super) const TESTS: [Test; 1] =
    [("a_collector_that_is_away_costs_what_it_missed", |cluster| {
        without_the_collector(cluster, SHORT)
    })];

pub(super) const LONG: [LongTest; 1] = [("a_collector_is_away_for_long", |cluster, load: Load| {
    without_the_collector(cluster, load.time())
})];

const SHORT: Duration = Duration::from_secs(20);
/// Of a pod that runs while the Collector is away.
const ROUNDS: usize = 200;

/// What came before and comes after is whole; what was made in between is counted as lost.
fn without_the_collector(cluster: &Cluster, away: Duration) -> Result<()> {
    prepared(cluster)?;
    // An agent whose account begins here, and a Collector's file that begins with it.
    daemon::take_away(cluster)?;
    cluster.stop(Component::Collector)?;
    cluster.start(Component::Collector)?;
    daemon::bring_back(cluster)?;
    let agent = daemon::container(cluster)?;
    let counts = |rounds: usize| {
        let script = format!("i=0; while [ $i -lt {rounds} ]; do env true; i=$((i+1)); done");
        json!({ "containers": [container("main", &script)] })
    };
    let tree = |pod: &str, rounds: usize| {
        let rounds = "      true\n".repeat(rounds);
        format!("pod {pod}\n  container main\n    sh\n{rounds}")
    };
    run(cluster, &job(TRACED, "sent-before", &counts(5)))?;
    let before = pod_of(cluster, TRACED, "job-name=sent-before")?;
    told_as(cluster, &before, &tree(&before, 5))?;
    cluster.stop(Component::Collector)?;
    let watch = Stopwatch::start();
    let mut arrived = ids(cluster)?;
    run(cluster, &job(TRACED, "meanwhile", &counts(ROUNDS)))?;
    let meanwhile = pod_of(cluster, TRACED, "job-name=meanwhile")?;
    let done =
        ["get", "job/meanwhile", "--namespace", TRACED, "--output=jsonpath={.status.succeeded}"];
    until("the Job ends", || cluster.kubectl(&done), |count| count == "1")?;
    std::thread::sleep(away.saturating_sub(watch.elapsed()));
    cluster.start(Component::Collector)?;
    run(cluster, &job(TRACED, "sent-after", &counts(5)))?;
    let after = pod_of(cluster, TRACED, "job-name=sent-after")?;
    told_as(cluster, &after, &tree(&after, 5))?;
    ensure!(daemon::container(cluster)? == agent, "the agent is another one now");
    let account = Account::read(&daemon::take_away(cluster)?)?;
    let all = || -> Result<String> {
        arrived.extend(ids(cluster)?);
        Ok(arrived.len().to_string())
    };
    until("what was sent arrived", all, |count| count == account.sent.to_string())?;
    let of_meanwhile = Collected::read(cluster)?.with("k8s.pod.name", &meanwhile).0.len();
    // The pod, its container, the shell.
    let missing = u64::try_from(ROUNDS + 3 - of_meanwhile)?;
    say::result(&format!(
        "the Collector was away for {}: of {} spans {} arrived and {} were lost",
        clock::human(watch.elapsed()),
        account.spans,
        account.sent,
        account.lost
    ));
    ensure!(missing > 0 && account.lost == missing, "{missing} are missing: {account:?}");
    daemon::bring_back(cluster)
}

/// Of all spans that the agent sent and the Collector's file has.
fn ids(cluster: &Cluster) -> Result<HashSet<String>> {
    let spans = Collected::read(cluster)?.with("telemetry.sdk.name", "lynceus");
    Ok(spans.0.into_iter().map(|span| span.id).collect())
}
