//! What tests run in a namespace that is traced: manifests, applied.

use anyhow::Result;
use serde_json::{Value, json};

use super::pod::delete;
use super::{daemon, until};
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

/// A Job of one pod that is not tried again.
pub(super) fn job(namespace: &str, name: &str, pod: &Value) -> Value {
    let mut spec = json!({ "restartPolicy": "Never", "terminationGracePeriodSeconds": 0 });
    if let (Some(members), Some(more)) = (spec.as_object_mut(), pod.as_object()) {
        members.extend(more.clone());
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "backoffLimit": 0, "template": { "spec": spec } },
    })
}

pub(super) fn run(cluster: &Cluster, job: &Value) -> Result<()> {
    let metadata = &job["metadata"];
    let name = format!("job/{}", metadata["name"].as_str().unwrap_or_default());
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
