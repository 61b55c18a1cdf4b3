//! The node has too little memory: the kubelet evicts pods, the agent stays.

use anyhow::{Result, ensure};
use serde_json::json;

use super::told::collected;
use super::traced::{TRACED, container, pod, prepared, run, wait_until_ready};
use super::{Test, admin, daemon, until};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] = [("an_evicted_pod_says_so", an_evicted_pod_says_so)];

/// More than a machine has.
const ALL: &str = "1000Ti";

fn an_evicted_pod_says_so(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let script = "env true; sleep 600; exit 0";
    run(cluster, &pod(TRACED, "evicted", &json!({ "containers": [container("main", script)] })))?;
    wait_until_ready(cluster, TRACED, "evicted")?;
    collected(cluster, "true", "evicted")?;
    let agent = daemon::container(cluster)?;
    cluster.want_free(ALL)?;
    let reason = "--output=jsonpath={.status.reason}";
    let ask = ["get", "pod", "evicted", "--namespace", TRACED, reason];
    let evicted = until("the pod is evicted", || cluster.kubectl(&ask), |said| said == "Evicted");
    cluster.want_little_free()?;
    evicted?;
    let spans = collected(cluster, "pod evicted", "evicted")?;
    spans.is_whole()?;
    spans.lies_within()?;
    let pod = spans.one("pod evicted")?;
    ensure!(pod.get("error.type") == "Evicted", "{pod:?}");
    ensure!(daemon::container(cluster)? == agent, "the agent is another one now");
    admin::balances(cluster)
}
