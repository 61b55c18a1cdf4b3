//! How long things take until they are seen: figures that are printed, and nothing more.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::arrivals::{Arrivals, summary};
use super::gauge::Agent;
use super::pod::delete;
use super::traced::{
    TRACED, container, drawn, job, namespace, pod, pod_of, prepared, run, touch, wait_until_ready,
};
use super::{Load, LongTest, daemon};
use crate::clock::{self, Stopwatch};
use crate::cluster::running::Cluster;
use crate::{command, say};

pub(super) const LONG: [LongTest; 4] = [
    ("latency_from_label_to_span", from_label_to_span),
    ("latency_from_exec_to_span", from_exec_to_span),
    ("latency_of_new_pods", of_new_pods),
    ("latency_of_a_new_agent", of_a_new_agent),
];

const LABELS: usize = 5;
const EXECS: usize = 50;
const PODS: usize = 5;
const AGENTS: usize = 3;
/// After it nothing more comes of a namespace that is not wanted any longer.
const QUIET: Duration = Duration::from_secs(3);

/// From before kubectl is started, with a process every 50 ms.
fn from_label_to_span(cluster: &Cluster, _: Load) -> Result<()> {
    prepared(cluster)?;
    let name = drawn("labelled");
    namespace(cluster, &name, &json!({}))?;
    let script = "while :; do env true; sleep 0.05; done";
    run(cluster, &pod(&name, "busy", &json!({ "containers": [container("main", script)] })))?;
    wait_until_ready(cluster, &name, "busy")?;
    let label = |value: &str| {
        let said = format!("{}={value}", daemon::TRACE);
        cluster.kubectl(&["label", "--overwrite", "namespace", &name, &said])
    };
    let (mut asked, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..LABELS {
        std::thread::sleep(QUIET);
        let mut arrivals = Arrivals::from_now(cluster)?;
        let watch = Stopwatch::start();
        label("enabled")?;
        asked.push(watch.elapsed());
        arrivals.wait_for(1, |span| span.get("k8s.namespace.name") == name)?;
        seen.push(watch.elapsed());
        label("disabled")?;
    }
    say::result(&format!("from `kubectl label namespace` to the first span: {}", summary(seen)));
    say::result(&format!("  of which kubectl itself: {}", summary(asked)));
    delete(cluster, "--wait=false", &format!("namespace/{name}"))
}

/// In a container that is known.
fn from_exec_to_span(cluster: &Cluster, _: Load) -> Result<()> {
    prepared(cluster)?;
    let script = format!(
        "until [ -e /tmp/go ]; do sleep 0.2; done; sleep 2; \
         i=0; while [ $i -lt {EXECS} ]; do env true; sleep 0.2; i=$((i+1)); done"
    );
    run(cluster, &job(TRACED, "execs", &json!({ "containers": [container("main", &script)] })))?;
    let pod = pod_of(cluster, TRACED, "job-name=execs")?;
    wait_until_ready(cluster, TRACED, &pod)?;
    let mut arrivals = Arrivals::from_now(cluster)?;
    touch(cluster, TRACED, &pod, "/tmp/go")?;
    let is_wanted =
        |span: &super::collected::Span| span.name == "true" && span.get("k8s.pod.name") == pod;
    let found = arrivals.wait_for(EXECS, is_wanted)?;
    let since = found.iter().map(|one| one.since_start()).collect();
    say::result(&format!("from an exec to its span at the Collector: {}", summary(since)));
    let since = found.iter().map(|one| one.since_end()).collect();
    say::result(&format!("  from the process's end: {}", summary(since)));
    Ok(())
}

/// From the first exec of a pod, of which the API server says later whose it is.
fn of_new_pods(cluster: &Cluster, _: Load) -> Result<()> {
    prepared(cluster)?;
    let mut arrivals = Arrivals::from_now(cluster)?;
    let containers = json!({ "containers": [container("main", "env true; sleep 4; exit 0")] });
    let mut job = job(TRACED, "first-execs", &containers);
    job["spec"]["completions"] = json!(PODS);
    run(cluster, &job)?;
    let found = arrivals
        .wait_for(PODS, |span| span.name == "true" && span.get("k8s.job.name") == "first-execs")?;
    let since = found.iter().map(|one| one.since_start()).collect();
    say::result(&format!("from a pod's first exec to its span: {}", summary(since)));
    Ok(())
}

/// By the time that its log has, and the kernel's of its start, which is good to 10 ms. Whether it is ready is
/// asked by kubectl, again and again: each time takes a tenth of a second or more.
fn of_a_new_agent(cluster: &Cluster, _: Load) -> Result<()> {
    prepared(cluster)?;
    let (mut traced, mut answered, mut ready) = (Vec::new(), Vec::new(), Vec::new());
    let (mut replaced, mut said) = (Vec::new(), Vec::new());
    for _ in 0..AGENTS {
        let before = daemon::pod(cluster)?;
        let asked = clock::unix_ns();
        let (answers, is_ready) = daemon::replace(cluster, &before)?;
        let traces = when_it_traced(cluster)?;
        let began = Agent::find()?.began_ns()?;
        let since = |from: u64, to: u64| Duration::from_nanos(to.saturating_sub(from));
        traced.push(since(began, traces));
        answered.push(since(began, answers));
        ready.push(since(began, is_ready));
        replaced.push(since(asked, traces));
        let started = daemon::started_at(cluster)?;
        said.push(format!(
            "{} and {} ms",
            since(unix_ns_of(&started)?, answers).as_millis(),
            since(unix_ns_of(&started)?, is_ready).as_millis()
        ));
    }
    say::result(&format!("from the agent's start to \"tracing\": {}", summary(traced)));
    say::result(&format!("  to the first 200 of /readyz: {}", summary(answered)));
    say::result(&format!("  to the pod's condition Ready: {}", summary(ready)));
    let said = said.join(", ");
    say::result(&format!("  the last two from startedAt, which is in whole seconds: {said}"));
    say::result(&format!("  from `kubectl delete pod` of the one before: {}", summary(replaced)));
    Ok(())
}

fn when_it_traced(cluster: &Cluster) -> Result<u64> {
    let said = daemon::said_with_times(cluster)?;
    let line = said.lines().find(|line| line.ends_with("tracing"));
    let time = line.and_then(|line| line.split(' ').next()).context("finding the line's time")?;
    unix_ns_of(time)
}

/// Of a time as Kubernetes writes it.
fn unix_ns_of(time: &str) -> Result<u64> {
    let text = command::output(Command::new("date").args(["--date", time, "+%s%N"]))?;
    text.trim().parse().with_context(|| format!("reading the time {text:?}"))
}
