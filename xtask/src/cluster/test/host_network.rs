//! A pod in the node's own network: it serves, and it asks.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Test;
use super::pod::delete;
use super::told::told_as;
use super::traced::{
    TRACED, asked_when_known, container, job, pod, pod_of, prepared, program, run, wait_until_ready,
};
use crate::cluster::NODE_ADDRESS;
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] = [(
    "requests_to_a_pod_in_the_node_s_network_are_joined",
    requests_to_a_pod_in_the_node_s_network_are_joined,
)];

const PORT: &str = "18080";

/// From a pod with a network of its own, and from one that is in the node's, too.
fn requests_to_a_pod_in_the_node_s_network_are_joined(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    // The kubelet connects and says nothing: no exchange.
    let probe = json!({ "tcpSocket": { "port": 18080 }, "periodSeconds": 1 });
    let mut serves = program("web", &["httpd", "-f", "-p", PORT, "-h", "/etc"]);
    serves["readinessProbe"] = probe;
    let spec = json!({ "hostNetwork": true, "restartPolicy": "Always", "containers": [serves] });
    run(cluster, &pod(TRACED, "on-host", &spec))?;
    wait_until_ready(cluster, TRACED, "on-host")?;
    asks(cluster, "asks-from-pod", &json!({}))?;
    asks(cluster, "asks-from-host", &json!({ "hostNetwork": true }))?;
    delete(cluster, &format!("--namespace={TRACED}"), "pod/on-host")
}

fn asks(cluster: &Cluster, name: &str, network: &Value) -> Result<()> {
    let url = format!("http://{NODE_ADDRESS}:{PORT}/hosts");
    let mut job = job(TRACED, name, network);
    let containers = json!([container("main", &asked_when_known(&url))]);
    job["spec"]["template"]["spec"]["containers"] = containers;
    run(cluster, &job)?;
    let pod = pod_of(cluster, TRACED, &format!("job-name={name}"))?;
    let tree = format!(
        "pod {pod}\n  container main\n    sh\n      sleep\n      wget\n        GET\n          GET\n"
    );
    let spans = told_as(cluster, &pod, &tree)?;
    let served = spans.with("k8s.pod.name", "on-host");
    let served = served.one("GET")?;
    let asked = spans.above(served)?;
    ensure!(asked.get("k8s.pod.name") == pod, "{asked:?}");
    ensure!(asked.get("server.address") == NODE_ADDRESS, "{asked:?}");
    ensure!(asked.get("server.port") == PORT, "{asked:?}");
    for (key, value) in [
        ("url.path", "/hosts"),
        ("http.response.status_code", "200"),
        ("k8s.container.name", "web"),
    ] {
        ensure!(served.get(key) == value, "{key} is {:?} of {served:?}", served.get(key));
    }
    Ok(())
}
