//! What tests run in a namespace that is traced: manifests, applied.

use anyhow::Result;
use serde_json::{Value, json};

use super::pod::delete;
use super::{daemon, until};
use crate::clock;
use crate::cluster::images::BUSYBOX;
use crate::cluster::running::Cluster;

/// Namespaces: one with the label, one without.
pub(super) const TRACED: &str = "traced";
pub(super) const PLAIN: &str = "plain";

/// The agent runs, and the namespaces are there.
pub(super) fn prepared(cluster: &Cluster) -> Result<()> {
    daemon::ensure(cluster)?;
    namespace(cluster, TRACED, &json!({ daemon::TRACE: "enabled" }))?;
    namespace(cluster, PLAIN, &json!({}))
}

pub(super) fn namespace(cluster: &Cluster, name: &str, labels: &Value) -> Result<()> {
    let metadata = json!({ "name": name, "labels": labels });
    let manifest = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
    cluster.apply(&manifest.to_string()).map(drop)
}

pub(super) fn container(name: &str, script: &str) -> Value {
    json!({
        "name": name,
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
    })
}

/// One that runs this, and no shell.
pub(super) fn program(name: &str, command: &[&str]) -> Value {
    let mut container = container(name, "");
    container["command"] = json!(command);
    container
}

/// A script that asks for this when its container has run for a while. A server's exchange waits a fifth of
/// a second for its client, and the API server may take longer to say whose a new container is.
pub(super) fn asked_when_known(url: &str) -> String {
    format!("sleep 4; wget -q -O - {url}; exit 0")
}

/// A name that no earlier run used.
pub(super) fn drawn(name: &str) -> String {
    format!("{name}-{:x}", clock::unix_ns())
}

/// A pod that is not restarted, with what else is said of it.
pub(super) fn pod(namespace: &str, name: &str, more: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace },
        "spec": spec(more),
    })
}

/// A Job of one pod that is not tried again.
pub(super) fn job(namespace: &str, name: &str, pod: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "backoffLimit": 0, "template": { "spec": spec(pod) } },
    })
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({ "restartPolicy": "Never", "terminationGracePeriodSeconds": 0 });
    if let (Some(members), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        members.extend(more.clone());
    }
    spec
}

/// Applies a Job or a pod. One of that name that an earlier run left is removed first.
pub(super) fn run(cluster: &Cluster, job: &Value) -> Result<()> {
    let metadata = &job["metadata"];
    let kind = job["kind"].as_str().unwrap_or_default();
    let name = format!("{kind}/{}", metadata["name"].as_str().unwrap_or_default());
    let namespace = metadata["namespace"].as_str().unwrap_or_default().to_owned();
    delete(cluster, &format!("--namespace={namespace}"), &name)?;
    cluster.apply(&job.to_string()).map(drop)
}

/// Of a pod of a Job: its name, for those are drawn.
pub(super) fn pod_of(cluster: &Cluster, namespace: &str, selector: &str) -> Result<String> {
    let path = "--output=jsonpath={.items[0].metadata.name}";
    let ask = ["get", "pods", "--namespace", namespace, "--selector", selector, path];
    until("a pod is made", || cluster.kubectl(&ask), |name| !name.is_empty())
}

/// Waits until a Job succeeded.
pub(super) fn wait_until_done(cluster: &Cluster, job: &str) -> Result<()> {
    let job = format!("job/{job}");
    let succeeded = "--output=jsonpath={.status.succeeded}";
    let done = ["get", &job, "--namespace", TRACED, succeeded];
    until("the Job ends", || cluster.kubectl(&done), |count| count == "1").map(drop)
}

/// Waits until all containers of a pod run.
pub(super) fn wait_until_ready(cluster: &Cluster, namespace: &str, pod: &str) -> Result<()> {
    let pod = format!("pod/{pod}");
    let wait = ["wait", "--namespace", namespace, "--for=condition=Ready", "--timeout=180s", &pod];
    cluster.kubectl(&wait).map(drop)
}

/// A pod's first container makes a file that it waits for.
pub(super) fn touch(cluster: &Cluster, namespace: &str, pod: &str, file: &str) -> Result<()> {
    cluster.kubectl(&["exec", "--namespace", namespace, pod, "--", "touch", file]).map(drop)
}
