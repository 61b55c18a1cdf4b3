//! A Deployment that serves, asked by pods of its namespace and of another: by the pod's address, and by its
//! Service's.

use anyhow::{Result, ensure};
use serde_json::json;

use super::collected::{Collected, Span};
use super::pod::delete;
use super::told::told_as;
use super::traced::{
    PLAIN, TRACED, asked_when_known, container, job, pod_of, prepared, program, run,
};
use super::{Test, until};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] =
    [("requests_to_a_deployment_stand_below_their_clients", asked_in_each_way)];

const NAME: &str = "serves";
const IN_TRACED: &str = "--namespace=traced";

fn asked_in_each_way(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let pod = serves(cluster)?;
    let ask = |what: &str, path: &str| {
        cluster.kubectl(&["get", what, IN_TRACED, &format!("--output=jsonpath={path}")])
    };
    let pod_address = ask(&format!("pod/{pod}"), "{.status.podIP}")?;
    let service_address = ask(&format!("service/{NAME}"), "{.spec.clusterIP}")?;
    by_a_selected_pod(cluster, "asks-pod", &format!("{pod_address}:8080"))?;
    by_a_selected_pod(cluster, "asks-service", &service_address)?;
    by_a_pod_that_is_not_selected(cluster, &pod_address)?;
    delete(cluster, IN_TRACED, &format!("deployment/{NAME}"))?;
    delete(cluster, IN_TRACED, &format!("service/{NAME}"))
}

/// Gives its pod.
fn serves(cluster: &Cluster) -> Result<String> {
    let labels = json!({ "app": NAME });
    let mut serves = program("web", &["httpd", "-f", "-p", "8080", "-h", "/etc"]);
    // The kubelet connects and says nothing: no exchange.
    serves["readinessProbe"] = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1 });
    let spec = json!({ "terminationGracePeriodSeconds": 0, "containers": [serves] });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": NAME, "namespace": TRACED },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec },
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": NAME, "namespace": TRACED },
        "spec": { "selector": labels, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    delete(cluster, IN_TRACED, &format!("deployment/{NAME}"))?;
    let selector = format!("--selector=app={NAME}");
    let ask = ["get", "pods", IN_TRACED, &selector, "--output=name"];
    until("no pod of it is left", || cluster.kubectl(&ask), str::is_empty)?;
    cluster.apply(&deployment.to_string())?;
    cluster.apply(&service.to_string())?;
    let deployment = format!("deployment/{NAME}");
    cluster.kubectl(&["rollout", "status", &deployment, IN_TRACED, "--timeout=180s"])?;
    pod_of(cluster, TRACED, &format!("app={NAME}"))
}

/// A Job whose trace goes on in the Deployment's pod.
fn by_a_selected_pod(cluster: &Cluster, name: &str, server: &str) -> Result<()> {
    let script = asked_when_known(&format!("http://{server}/hosts?by={name}"));
    run(cluster, &job(TRACED, name, &json!({ "containers": [container("main", &script)] })))?;
    let pod = pod_of(cluster, TRACED, &format!("job-name={name}"))?;
    let tree = format!(
        "pod {pod}\n  container main\n    sh\n      sleep\n      wget\n        GET\n          GET\n"
    );
    let spans = told_as(cluster, &pod, &tree)?;
    let served = spans.with("k8s.deployment.name", NAME);
    let served = served.one("GET")?;
    let asked = spans.above(served)?;
    let expected_port = server.rsplit_once(':').map_or("80", |(_, port)| port);
    let address = server.split(':').next().unwrap_or_default();
    ensure!(asked.get("k8s.pod.name") == pod, "{asked:?}");
    ensure!(asked.get("server.address") == address, "{asked:?}");
    ensure!(asked.get("network.peer.port") == expected_port, "{asked:?}");
    ensure!(asked.start <= served.start && served.end <= asked.end, "{asked:?} {served:?}");
    is_served(served, name)
}

/// What was asked is a trace of its own, in which nothing else is.
fn by_a_pod_that_is_not_selected(cluster: &Cluster, address: &str) -> Result<()> {
    const NAME: &str = "asks-unseen";
    let script = asked_when_known(&format!("http://{address}:8080/hosts?by={NAME}"));
    run(cluster, &job(PLAIN, NAME, &json!({ "containers": [container("main", &script)] })))?;
    let by = format!("by={NAME}");
    let served = || Ok(Collected::read(cluster)?.with("url.query", &by).tree());
    until("what was served is told", served, |tree| !tree.is_empty())?;
    let served = Collected::read(cluster)?.with("url.query", &by);
    let served = served.one("GET")?;
    ensure!(served.parent.is_empty(), "{served:?}");
    let all = Collected::read(cluster)?;
    ensure!(all.in_trace(&served.trace).0.len() == 1, "{}", all.in_trace(&served.trace).tree());
    ensure!(all.of(PLAIN).0.is_empty(), "{}", all.of(PLAIN).tree());
    is_served(served, NAME)
}

fn is_served(served: &Span, by: &str) -> Result<()> {
    for (key, value) in [
        ("url.path", "/hosts"),
        ("url.query", &*format!("by={by}")),
        ("http.response.status_code", "200"),
        ("k8s.container.name", "web"),
        ("service.name", NAME),
    ] {
        ensure!(served.get(key) == value, "{key} is {:?} of {served:?}", served.get(key));
    }
    Ok(())
}
