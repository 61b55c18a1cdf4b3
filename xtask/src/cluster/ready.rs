//! Whether a component does its work: each is asked, in the way that it can be.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};

use super::NODE_NAME;
use super::component::Component;
use super::running::Cluster;

/// An error says why not.
pub(super) fn check(cluster: &Cluster, component: Component) -> Result<()> {
    let listens = |port| cluster.node().connects(SocketAddr::from(([127, 0, 0, 1], port)));
    let is_well = |port: u16, path: &str| {
        let server = format!("--server=https://127.0.0.1:{port}");
        cluster.kubectl(&[&server, "get", "--raw", path]).map(drop)
    };
    match component {
        Component::Node => Ok(()),
        Component::Etcd => listens(2379),
        Component::Containerd => cluster.ctr(&["version"]).map(drop),
        Component::Collector => listens(4317),
        Component::Apiserver => is_well(6443, "/readyz"),
        Component::ControllerManager => {
            is_well(10257, "/healthz")?;
            // Without it no pod can be made in the name space.
            cluster.kubectl(&["get", "serviceaccount", "default", "--output=name"]).map(drop)
        }
        Component::Scheduler => is_well(10259, "/healthz"),
        Component::Proxy => listens(10256),
        Component::Kubelet => is_ready(cluster),
    }
}

fn is_ready(cluster: &Cluster) -> Result<()> {
    let path = "--output=jsonpath={.status.conditions[?(@.type==\"Ready\")]}";
    let condition = cluster.kubectl(&["get", "node", NODE_NAME, path])?;
    let condition: serde_json::Value =
        serde_json::from_str(&condition).context("reading the node's condition")?;
    let status = condition.get("status").and_then(serde_json::Value::as_str);
    ensure!(status == Some("True"), "the node is not ready: {condition}");
    Ok(())
}
