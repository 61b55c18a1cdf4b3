//! What the agent needs is away for a while: the Collector, the API server.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::account::Account;
use super::admin::Metrics;
use super::collected::{Collected, Span};
use super::told::{collected, told_as};
use super::traced::{
    TRACED, container, job, pod_of, prepared, run, touch, wait_until_done, wait_until_ready,
};
use super::{Load, LongTest, Test, daemon, until};
use crate::clock::{self, Stopwatch};
use crate::cluster::component::Component;
use crate::cluster::running::Cluster;
use crate::say;

pub(super) const TESTS: [Test; 2] = [
    ("a_collector_that_is_away_costs_what_it_missed", |cluster| {
        without_the_collector(cluster, SHORT)
    }),
    ("pods_are_traced_without_the_api_server", |cluster| without_the_api_server(cluster, SHORT)),
];

pub(super) const LONG: [LongTest; 2] = [
    ("a_collector_is_away_for_long", |cluster, load: Load| {
        without_the_collector(cluster, load.time())
    }),
    ("an_api_server_is_away_for_long", |cluster, load: Load| {
        without_the_api_server(cluster, load.time())
    }),
];

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
    wait_until_done(cluster, "meanwhile")?;
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

/// One pod goes on as if nothing were, the container of another begins anew, and nothing new is known
/// of it until the API server is back.
fn without_the_api_server(cluster: &Cluster, away: Duration) -> Result<()> {
    prepared(cluster)?;
    let script = "until [ -e /tmp/go ]; do sleep 0.2; done; exit 0";
    run(cluster, &job(TRACED, "goes-on", &json!({ "containers": [container("main", script)] })))?;
    run(cluster, &begins_anew())?;
    let goes_on = pod_of(cluster, TRACED, "job-name=goes-on")?;
    let anew = pod_of(cluster, TRACED, "job-name=begins-anew")?;
    for pod in [&goes_on, &anew] {
        wait_until_ready(cluster, TRACED, pod)?;
        collected(cluster, "sleep", pod)?;
    }
    let agent = daemon::container(cluster)?;
    touch(cluster, TRACED, &anew, "/kept/go")?;
    cluster.stop(Component::Apiserver)?;
    let (watch, stopped) = (Stopwatch::start(), clock::unix_ns());
    let told = || -> Result<Vec<Span>> {
        let mut spans = Collected::read(cluster)?.with("k8s.pod.name", &goes_on).0;
        spans.retain(|span| span.name == "sleep" && span.start > stopped);
        Ok(spans)
    };
    std::thread::sleep(away);
    let told = told()?.len();
    let most = watch.elapsed().as_millis() / 200;
    say::result(&format!(
        "the API server was away for {}: {told} of at most {most} spans arrived meanwhile",
        clock::human(watch.elapsed())
    ));
    ensure!(u128::try_from(told)? > most / 2, "only {told} of {most} spans arrived");
    let starts = clock::unix_ns();
    cluster.start(Component::Apiserver)?;
    let containers = json!({ "containers": [container("main", "env true; exit 0")] });
    run(cluster, &job(TRACED, "new-after", &containers))?;
    let new = pod_of(cluster, TRACED, "job-name=new-after")?;
    told_as(cluster, &new, &format!("pod {new}\n  container main\n    sh\n      true\n"))?;
    touch(cluster, TRACED, &goes_on, "/tmp/go")?;
    let spans = collected(cluster, &format!("pod {goes_on}"), &goes_on)?;
    spans.is_whole()?;
    spans.lies_within()?;
    let spans = collected(cluster, &format!("pod {anew}"), &anew)?;
    spans.is_whole()?;
    spans.lies_within()?;
    let again = spans.one("uname")?;
    ensure!(stopped < again.start && again.end < starts, "{again:?} is not of {stopped}..{starts}");
    let runs = spans.0.iter().filter(|span| span.name == "container main");
    let runs: Vec<_> = runs.map(|run| run.get("lynceus.container.exit_code")).collect();
    // The kubelet forgets a run that it could not tell of before the next one ended.
    ensure!(runs == ["1", "0"] || runs == ["", "0"], "{runs:?}: {}", spans.tree());
    ensure!(daemon::container(cluster)? == agent, "the agent is another one now");
    Metrics::read(cluster)?.balance()
}

/// A container that fails and succeeds the next time, seconds after it was told to.
fn begins_anew() -> serde_json::Value {
    let script = "if [ -e /kept/once ]; then env uname; exit 0; fi; \
                  until [ -e /kept/go ]; do sleep 0.2; done; : > /kept/once; sleep 12; exit 1";
    let mut main = container("main", script);
    main["volumeMounts"] = json!([{ "name": "kept", "mountPath": "/kept" }]);
    let spec = json!({
        "restartPolicy": "OnFailure",
        "containers": [main],
        "volumes": [{ "name": "kept", "emptyDir": {} }],
    });
    let mut job = job(TRACED, "begins-anew", &spec);
    job["spec"]["backoffLimit"] = json!(3);
    job
}
