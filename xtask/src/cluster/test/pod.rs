//! A pod of one container that a test runs.

use anyhow::Result;
use serde_json::{Value, json};

use super::until;
use crate::cluster::images::BUSYBOX;
use crate::cluster::running::Cluster;

#[derive(Debug)]
pub(super) struct Pod<'cluster> {
    cluster: &'cluster Cluster,
    name: &'static str,
}

/// How a pod came to its end.
#[derive(Debug)]
pub(super) struct Ended {
    /// `Succeeded` or `Failed`
    pub(super) phase: String,
    pub(super) logs: String,
}

impl<'cluster> Pod<'cluster> {
    /// Starts a pod of busybox, unless `container` has another `image`. `spec` is of the pod. One of that
    /// name that an earlier run left is removed first.
    pub(super) fn start(
        cluster: &'cluster Cluster,
        name: &'static str,
        container: Value,
        spec: Value,
    ) -> Result<Self> {
        let pod = Self { cluster, name };
        pod.delete()?;
        let usual = json!({ "name": "main", "image": BUSYBOX, "imagePullPolicy": "Never" });
        let rest = json!({
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [merged(usual, container)],
        });
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name },
            "spec": merged(rest, spec),
        });
        cluster.apply(&manifest.to_string())?;
        Ok(pod)
    }

    /// Waits for its end, well or not.
    pub(super) fn ended(&self) -> Result<Ended> {
        let ask = ["get", "pod", self.name, "--output=jsonpath={.status.phase}"];
        let phase = until(
            &format!("the pod {} ends", self.name),
            || self.cluster.kubectl(&ask),
            |phase| matches!(phase, "Succeeded" | "Failed"),
        )?;
        Ok(Ended { phase, logs: self.cluster.kubectl(&["logs", self.name])? })
    }

    pub(super) fn delete(&self) -> Result<()> {
        delete(self.cluster, "--namespace=default", &format!("pod/{}", self.name))
    }
}

/// Removes a thing of a namespace, if it is there, and waits until it and all that it owns is gone.
pub(super) fn delete(cluster: &Cluster, namespace: &str, what: &str) -> Result<()> {
    let whole = ["--cascade=foreground", "--wait=true", "--timeout=180s"];
    let how = [&["delete", "--ignore-not-found", namespace, what][..], &whole].concat();
    cluster.kubectl(&how).map(drop)
}

/// The members of both objects; of two with one name, the second's.
fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (one.as_object_mut(), other) {
        members.extend(more);
    }
    one
}
