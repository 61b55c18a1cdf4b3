//! The agent on the cluster, as users deploy it: the chart, applied by Helm.

use anyhow::{Context as _, Result, bail};

use super::until;
use crate::cluster::running::Cluster;
use crate::{clock, command, paths, setup};

/// The label and annotation that select.
pub(super) const TRACE: &str = "lynceus.dev/trace";
pub(super) const NAMESPACE: &str = "lynceus";
const DAEMON: &str = "daemonset/lynceus-agent";

/// It runs, and traces.
pub(super) fn ensure(cluster: &Cluster) -> Result<()> {
    if cluster.kubectl(&["get", DAEMON, "--namespace", NAMESPACE]).is_err() {
        install(cluster, &[])?;
    }
    // A test that failed may have taken it away.
    bring_back(cluster)
}

/// With these values of the chart beside those that it has in all tests, and without those of before.
pub(super) fn with_values(cluster: &Cluster, values: &[&str]) -> Result<()> {
    install(cluster, values)?;
    wait(cluster)
}

/// Its pod is replaced by another.
pub(super) fn restart(cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["delete", "pods", "--all", "--namespace", NAMESPACE])?;
    wait(cluster)
}

/// As [`restart`]; gives when the new one was first heard to answer that it is ready, and when its pod was
/// first seen to be, nanoseconds since the epoch.
pub(super) fn replace(cluster: &Cluster, before: &str) -> Result<(u64, u64)> {
    cluster.kubectl(&["delete", "pod", before, "--wait=false", "--namespace", NAMESPACE])?;
    let newest = || -> Result<String> {
        let names = pod(cluster)?;
        Ok(names.split(' ').find(|name| *name != before).unwrap_or_default().to_owned())
    };
    let after = &until("another pod is made", newest, |name| !name.is_empty())?;
    let when = |what: &str, ask: &dyn Fn() -> Result<String>, expected: &str| {
        until(what, ask, |answer| answer == expected).map(|_| clock::unix_ns())
    };
    let readyz = format!("/api/v1/namespaces/{NAMESPACE}/pods/{after}:9464/proxy/readyz");
    let condition = "--output=jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    let answers = || cluster.kubectl(&["get", "--raw", &readyz]);
    let ready = || cluster.kubectl(&["get", "pod", after, "--namespace", NAMESPACE, condition]);
    let times = std::thread::scope(|threads| {
        let answered = threads.spawn(move || when("it says ready", &answers, "tracing\n"));
        let seen = when("its pod is ready", &ready, "True");
        let panicked = || bail!("the thread that asked the agent panicked");
        anyhow::Ok((answered.join().unwrap_or_else(|_| panicked())?, seen?))
    })?;
    wait(cluster)?;
    Ok(times)
}

/// When its container was started, as the kubelet says.
pub(super) fn started_at(cluster: &Cluster) -> Result<String> {
    let path = "--output=jsonpath={.items[0].status.containerStatuses[0].state.running.startedAt}";
    cluster.kubectl(&["get", "pods", "--namespace", NAMESPACE, path])
}

/// No node has one any more. Gives all that it said, to its last line.
pub(super) fn take_away(cluster: &Cluster) -> Result<String> {
    let pod = pod(cluster)?;
    std::thread::scope(|threads| {
        let logs = ["logs", "--follow", "--namespace", NAMESPACE, &pod];
        let said = threads.spawn(move || cluster.kubectl(&logs));
        select_nodes(cluster, "\"no\"")?;
        let left = ["get", "pods", "--namespace", NAMESPACE, "--output=name"];
        until("the agent is gone", || cluster.kubectl(&left), str::is_empty)?;
        said.join().unwrap_or_else(|_| bail!("the thread that read the agent's log panicked"))
    })
}

/// After [`take_away`].
pub(super) fn bring_back(cluster: &Cluster) -> Result<()> {
    select_nodes(cluster, "null")?;
    wait(cluster)
}

fn select_nodes(cluster: &Cluster, label: &str) -> Result<()> {
    let selector = format!("{{\"lynceus.dev/test\":{label}}}");
    let patch =
        format!("{{\"spec\":{{\"template\":{{\"spec\":{{\"nodeSelector\":{selector}}}}}}}}}");
    let how = ["patch", DAEMON, "--namespace", NAMESPACE, "--patch", &patch];
    cluster.kubectl(&how).map(drop)
}

/// The name of its pod. Another one is another agent.
pub(super) fn pod(cluster: &Cluster) -> Result<String> {
    let path = "--output=jsonpath={.items[*].metadata.name}";
    cluster.kubectl(&["get", "pods", "--namespace", NAMESPACE, path])
}

/// The id of its container: one that was restarted has another.
pub(super) fn container(cluster: &Cluster) -> Result<String> {
    let path = "--output=jsonpath={.items[*].status.containerStatuses[*].containerID}";
    cluster.kubectl(&["get", "pods", "--namespace", NAMESPACE, path])
}

/// What it said so far.
pub(super) fn said(cluster: &Cluster) -> Result<String> {
    cluster.kubectl(&["logs", DAEMON, "--namespace", NAMESPACE])
}

/// What its admin port answers.
pub(super) fn admin(cluster: &Cluster, path: &str) -> Result<String> {
    let pod = pod(cluster)?;
    let port = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9464/proxy/{path}");
    cluster.kubectl(&["get", "--raw", &port])
}

/// As [`said`], each line after its time.
pub(super) fn said_with_times(cluster: &Cluster) -> Result<String> {
    cluster.kubectl(&["logs", "--timestamps", DAEMON, "--namespace", NAMESPACE])
}

fn wait(cluster: &Cluster) -> Result<()> {
    let status = ["rollout", "status", DAEMON, "--namespace", NAMESPACE, "--timeout=180s"];
    cluster.kubectl(&status)?;
    until("the agent traces", || said(cluster), |said| said.contains("tracing"))?;
    Ok(())
}

/// It is no more, and nothing of it.
pub(super) fn uninstall(cluster: &Cluster) -> Result<()> {
    let mut helm = cluster.command(setup::charts()?.helm.as_os_str())?;
    helm.args(["uninstall", "lynceus", "--namespace", NAMESPACE, "--wait"]);
    command::output(&mut helm).context("removing what the chart made")?;
    let left = ["get", "pods", "--namespace", NAMESPACE, "--output=name"];
    until("the agent is gone", || cluster.kubectl(&left), str::is_empty).map(drop)
}

/// Debian's containerd is one whose default seccomp profile has no bpf(2).
fn install(cluster: &Cluster, more: &[&str]) -> Result<()> {
    let chart = paths::repository().join("deploy/helm/lynceus");
    let groups = Cluster::unified_cgroups()?;
    let values = [
        format!("hostCgroups={}", groups.display()),
        format!("otlp.endpoint={}", Cluster::collector_url()),
        "image.pullPolicy=Never".to_owned(),
        "labelAttributes={job-name}".to_owned(),
        "seccompProfile.type=Unconfined".to_owned(),
    ];
    let mut helm = cluster.command(setup::charts()?.helm.as_os_str())?;
    helm.args(["upgrade", "--install", "lynceus"]).arg(chart);
    helm.args(["--namespace", NAMESPACE, "--create-namespace"]);
    values.iter().map(String::as_str).chain(more.iter().copied()).for_each(|value| {
        helm.args(["--set", value]);
    });
    command::output(&mut helm).context("installing the chart")?;
    Ok(())
}
