//! What the agent takes while pods do much, or nothing: figures that are printed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::collected::Collected;
use super::gauge::Agent;
use super::pod::delete;
use super::traced::{
    PLAIN, TRACED, container, drawn, pod, prepared, program, run, wait_until_ready,
};
use super::{Load, LongTest, until};
use crate::clock::Stopwatch;
use crate::cluster::running::Cluster;
use crate::say;

pub(super) const LONG: [LongTest; 2] = [
    ("a_storm_in_a_pod_that_is_not_traced", a_storm_in_a_pod_that_is_not_traced),
    ("idle_pods_cost_next_to_nothing", idle_pods_cost_next_to_nothing),
];

const IDLE_PODS: u32 = 50;
/// After it the agent has done what pods that start cost it.
const SETTLED: Duration = Duration::from_secs(5);

/// Two processes execute programs as fast as they can.
fn a_storm_in_a_pod_that_is_not_traced(cluster: &Cluster, load: Load) -> Result<()> {
    prepared(cluster)?;
    let agent = Agent::find()?;
    let (idle, watch) = (agent.gauge()?, Stopwatch::start());
    std::thread::sleep(load.time() / 2);
    let quiet = agent.gauge()?.cores_since(&idle, watch.elapsed());
    let script = format!(
        "half() {{ n=0; now=0; read up rest < /proc/uptime; end=$((${{up%.*}}+{})); \
         while [ $now -lt $end ]; do i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i+1)); done; \
         n=$((n+50)); read up rest < /proc/uptime; now=${{up%.*}}; done; echo $n; }}; \
         sleep {}; echo begins; half & half & wait; echo ends; sleep 3600",
        load.seconds,
        SETTLED.as_secs()
    );
    let name = drawn("storm");
    run(cluster, &pod(PLAIN, &name, &json!({ "containers": [container("main", &script)] })))?;
    wait_until_ready(cluster, PLAIN, &name)?;
    let says = |word: &str| {
        let ask = || cluster.kubectl(&["logs", "--namespace", PLAIN, &name]);
        until(&format!("the storm {word}"), ask, |said| said.contains(word))
    };
    says("begins")?;
    let (before, watch) = (agent.gauge()?, Stopwatch::start());
    let said = says("ends")?;
    let (after, took) = (agent.gauge()?, watch.elapsed());
    let execs: u32 = said.lines().filter_map(|line| line.parse::<u32>().ok()).sum();
    say::result(&format!(
        "{execs} execs in a pod that is not traced, {:.0} a second: the agent took {}",
        f64::from(execs) / took.as_secs_f64(),
        after.cores_since(&before, took)
    ));
    say::result(&format!("  before it: {quiet}"));
    delete(cluster, &format!("--namespace={PLAIN}"), &format!("pod/{name}"))?;
    let told = Collected::read(cluster)?.of(PLAIN);
    ensure!(told.0.is_empty(), "{}", told.tree());
    Ok(())
}

/// Of a Deployment that is traced.
fn idle_pods_cost_next_to_nothing(cluster: &Cluster, load: Load) -> Result<()> {
    prepared(cluster)?;
    let count = load.pods.min(IDLE_PODS);
    let labels = json!({ "app": "idle" });
    let containers = [program("main", &["sleep", "36000"])];
    let spec = json!({ "terminationGracePeriodSeconds": 0, "containers": containers });
    let manifest = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "idle", "namespace": TRACED },
        "spec": {
            "replicas": count,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec },
        },
    });
    cluster.apply(&manifest.to_string())?;
    let path = "--output=jsonpath={.status.readyReplicas}";
    let ask = ["get", "deployment/idle", "--namespace", TRACED, path];
    until("all pods run", || cluster.kubectl(&ask), |ready| ready == count.to_string())
        .context("starting idle pods")?;
    std::thread::sleep(SETTLED);
    let agent = Agent::find()?;
    let (before, watch) = (agent.gauge()?, Stopwatch::start());
    std::thread::sleep(load.time());
    let after = agent.gauge()?;
    say::result(&format!(
        "with {count} idle pods that are traced the agent takes {}; {after}",
        after.cores_since(&before, watch.elapsed())
    ));
    delete(cluster, &format!("--namespace={TRACED}"), "deployment/idle")
}
