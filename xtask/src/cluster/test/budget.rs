//! A pod that does more in a second than one is told of: it says how much, and others do not suffer.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::admin::Metrics;
use super::told::{collected, told_as};
use super::traced::{TRACED, container, job, pod_of, prepared, run, wait_until_done};
use super::{Test, daemon};
use crate::cluster::running::Cluster;
use crate::say;

pub(super) const TESTS: [Test; 1] =
    [("a_pod_beyond_its_budget_of_a_second_says_so", a_pod_beyond_its_budget_of_a_second_says_so)];

/// What two cores do in a second is below what a pod gets unless something is said.
const FEW_A_SECOND: u64 = 40;
const PROGRAMS: u64 = 1000;
const ROUNDS: usize = 20;

fn a_pod_beyond_its_budget_of_a_second_says_so(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    daemon::with_values(cluster, &[&format!("limits.spansPerSecond={FEW_A_SECOND}")])?;
    let tested = with_a_small_budget(cluster);
    // Also where it failed: the tests after it are not about budgets.
    let restored = daemon::with_values(cluster, &[]);
    tested.and(restored)
}

fn with_a_small_budget(cluster: &Cluster) -> Result<()> {
    let quiet = format!("i=0; while [ $i -lt {ROUNDS} ]; do env true; sleep 0.2; i=$((i+1)); done");
    run(cluster, &job(TRACED, "quiet", &json!({ "containers": [container("main", &quiet)] })))?;
    let busy = format!("i=0; while [ $i -lt {PROGRAMS} ]; do /bin/true; i=$((i+1)); done; exit 0");
    run(cluster, &job(TRACED, "busy", &json!({ "containers": [container("main", &busy)] })))?;
    let quiet = pod_of(cluster, TRACED, "job-name=quiet")?;
    let busy = pod_of(cluster, TRACED, "job-name=busy")?;
    wait_until_done(cluster, "busy")?;
    let spans = collected(cluster, &format!("pod {busy}"), &busy)?;
    spans.is_whole()?;
    spans.lies_within()?;
    let tree = format!("pod {busy}\n  container main\n    sh\n      true\n");
    ensure!(spans.folded() == tree, "{}", spans.folded());
    let main = spans.one("container main")?;
    let told = u64::try_from(spans.0.iter().filter(|span| span.name == "true").count())?;
    let beyond = main.counted("lynceus.processes.over_limit", "lynceus.processes.execs");
    let took = Duration::from_nanos(main.end.saturating_sub(main.start));
    say::result(&format!("{told} of {PROGRAMS} programs in {took:?} are told, {beyond} counted"));
    ensure!(told + beyond == PROGRAMS, "{told} told, {beyond} beyond: {main:?}");
    // A second of the budget is one of the clock's: the first and the last are not whole.
    let most = (took.as_secs() + 2) * FEW_A_SECOND;
    ensure!(told > 0 && told <= most, "{told} told, at most {most} expected");
    let rounds = "      true\n      sleep\n".repeat(ROUNDS);
    let spans =
        told_as(cluster, &quiet, &format!("pod {quiet}\n  container main\n    sh\n{rounds}"))?;
    let main = spans.one("container main")?;
    let beyond = main.counted("lynceus.processes.over_limit", "lynceus.processes.execs");
    ensure!(beyond == 0, "{main:?}");
    let metrics = Metrics::read(cluster)?;
    let limited = metrics.of("lynceus_records_lost_total", "reason=\"limited\"")?;
    ensure!(
        limited >= f64::from(u32::try_from(PROGRAMS - told)?),
        "{limited} limited: {metrics:?}"
    );
    metrics.balance()
}
