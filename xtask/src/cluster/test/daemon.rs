//! The agent on the cluster, as users deploy it: the chart, applied by Helm.

use anyhow::{Context as _, Result};

use super::until;
use crate::cluster::running::Cluster;
use crate::{command, paths, setup};

/// The label and annotation that select.
pub(super) const TRACE: &str = "lynceus.dev/trace";
pub(super) const NAMESPACE: &str = "lynceus";
const DAEMON: &str = "daemonset/lynceus-agent";

/// It runs, and traces.
pub(super) fn ensure(cluster: &Cluster) -> Result<()> {
    if cluster.kubectl(&["get", DAEMON, "--namespace", NAMESPACE]).is_err() {
        install(cluster)?;
    }
    wait(cluster)
}

/// Its pod is replaced by another.
pub(super) fn restart(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["delete", "pods", "--all", "--namespace", NAMESPACE])?;
    wait(cluster)
}

/// What it said so far.
pub(super) fn said(cluster: &Cluster) -> Result<String> {
    cluster.kubectl(&["logs", DAEMON, "--namespace", NAMESPACE])
}

/// What its admin port answers.
pub(super) fn admin(cluster: &Cluster, path: &str) -> Result<String> {
    let name = "--output=jsonpath={.items[0].metadata.name}";
    let pod = cluster.kubectl(&["get", "pods", "--namespace", NAMESPACE, name])?;
    let port = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9464/proxy/{path}");
    cluster.kubectl(&["get", "--raw", &port])
}

fn wait(cluster: &Cluster) -> Result<()> {
    let status = ["rollout", "status", DAEMON, "--namespace", NAMESPACE, "--timeout=180s"];
    cluster.kubectl(&status)?;
    until("the agent traces", || said(cluster), |said| said.contains("tracing"))?;
    Ok(())
}

/// Debian's containerd is one whose default seccomp profile has no bpf(2).
fn install(cluster: &Cluster) -> Result<()> {
    let chart = paths::repository().join("deploy/helm/lynceus");
    let groups = Cluster::unified_cgroups()?;
    let values = [
        format!("hostCgroups={}", groups.display()),
        format!("otlp.endpoint={}", Cluster::collector_url()),
        "image.pullPolicy=Never".to_owned(),
        "seccompProfile.type=Unconfined".to_owned(),
    ];
    let mut helm = cluster.command(setup::charts()?.helm.as_os_str())?;
    helm.args(["upgrade", "--install", "lynceus"]).arg(chart);
    helm.args(["--namespace", NAMESPACE, "--create-namespace"]);
    values.iter().for_each(|value| {
        helm.args(["--set", value]);
    });
    command::output(&mut helm).context("installing the chart")?;
    Ok(())
}
