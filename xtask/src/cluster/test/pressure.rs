//! The node has too little memory: the kubelet evicts pods, the agent stays.

use anyhow::{Result, ensure};
use serde_json::json;

use super::admin::Metrics;
use super::told::collected;
use super::traced::{TRACED, container, drawn, pod, prepared, run, wait_until_ready};
use super::{Test, daemon, until};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] = [("an_evicted_pod_says_so", an_evicted_pod_says_so)];

/// More than a machine has.
const ALL: &str = "1000Ti";

fn an_evicted_pod_says_so(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let script = "env true; sleep 600; exit 0";
    let name = &drawn("evicted");
    run(cluster, &pod(TRACED, name, &json!({ "containers": [container("main", script)] })))?;
    wait_until_ready(cluster, TRACED, name)?;
    collected(cluster, "true", name)?;
    let agent = daemon::container(cluster)?;
    cluster.want_free(ALL)?;
    let reason = "--output=jsonpath={.status.reason}";
    let ask = ["get", "pod", name, "--namespace", TRACED, reason];
    let evicted = until("the pod is evicted", || cluster.kubectl(&ask), |said| said == "Evicted");
    cluster.want_little_free()?;
    evicted?;
    let spans = collected(cluster, &format!("pod {name}"), name)?;
    spans.is_whole()?;
    spans.lies_within()?;
    let pod = spans.one(&format!("pod {name}"))?;
    ensure!(pod.get("error.type") == "Evicted", "{pod:?}");
    ensure!(daemon::container(cluster)? == agent, "the agent is another one now");
    Metrics::read(cluster)?.balance()
}
