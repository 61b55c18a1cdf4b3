//! The cluster itself: pods run to their end, are looked into, and reach each other by a service.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::json;

use super::pod::{Pod, delete};
use super::{Test, until};
use crate::cluster::component::Component;
use crate::cluster::images::BUSYBOX;
use crate::cluster::running::Cluster;
use crate::image;

pub(super) const TESTS: [Test; 7] = [
    ("a_pod_runs_to_its_end_and_has_logs", a_pod_runs_to_its_end_and_has_logs),
    ("a_command_runs_in_a_pod", a_command_runs_in_a_pod),
    ("a_service_is_reached_by_its_address", a_service_is_reached_by_its_address),
    ("a_privileged_pod_sees_the_control_groups", a_privileged_pod_sees_the_control_groups),
    ("the_collector_receives_from_pods", the_collector_receives_from_pods),
    ("the_agent_s_image_traces", the_agent_s_image_traces),
    ("a_component_is_stopped_and_started", a_component_is_stopped_and_started),
];

fn a_pod_runs_to_its_end_and_has_logs(cluster: &Cluster) -> Result<()> {
    let command = json!({ "command": ["sh", "-c", "echo from $(hostname); exit 3"] });
    let pod = Pod::start(cluster, "ends", command, json!({}))?;
    let ended = pod.ended()?;
    ensure!(ended.phase == "Failed" && ended.logs == "from ends\n", "{ended:?}");
    let path = "--output=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
    let code = cluster.kubectl(&["get", "pod", "ends", path])?;
    ensure!(code == "3", "the exit code is {code:?}");
    pod.delete()
}

fn a_command_runs_in_a_pod(cluster: &Cluster) -> Result<()> {
    let pod = Pod::start(cluster, "sleeps", json!({ "command": ["sleep", "3600"] }), json!({}))?;
    cluster.kubectl(&["wait", "--for=condition=Ready", "--timeout=180s", "pod/sleeps"])?;
    let said = cluster.kubectl(&["exec", "sleeps", "--", "sh", "-c", "hostname; echo $0"])?;
    ensure!(said == "sleeps\nsh\n", "it said {said:?}");
    pod.delete()
}

/// Two pods serve, and a third one asks until both have answered.
fn a_service_is_reached_by_its_address(cluster: &Cluster) -> Result<()> {
    let labels = json!({ "app": "web" });
    let serve = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www";
    let pods = json!({
        "metadata": { "labels": labels },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "web",
                "image": BUSYBOX,
                "imagePullPolicy": "Never",
                "command": ["sh", "-c", serve],
                "readinessProbe": { "httpGet": { "port": 8080, "path": "/" }, "periodSeconds": 1 },
            }],
        },
    });
    let manifests = json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": { "name": "web" },
                "spec": { "replicas": 2, "selector": { "matchLabels": labels }, "template": pods },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": { "name": "web" },
                "spec": { "selector": labels, "ports": [{ "port": 80, "targetPort": 8080 }] },
            },
        ],
    });
    cluster.apply(&manifests.to_string())?;
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=180s"])?;
    let path = "--output=jsonpath={.spec.clusterIP}";
    let address = cluster.kubectl(&["get", "service", "web", path])?;
    // Without a limit on wget: Debian's static busybox crashes there.
    let ask = format!(
        "touch seen; until [ $(sort -u seen | wc -l) = 2 ]; do \
         wget -q -O - http://{address}/ >> seen; done; sort -u seen"
    );
    let pod = Pod::start(cluster, "asks", json!({ "command": ["sh", "-c", ask] }), json!({}))?;
    let ended = pod.ended()?;
    let names = ended.logs.lines().filter(|name| name.starts_with("web-")).count();
    ensure!(ended.phase == "Succeeded" && names == 2, "both pods were to answer: {ended:?}");
    pod.delete()?;
    delete(cluster, "--namespace=default", "deployment/web")?;
    delete(cluster, "--namespace=default", "service/web")
}

/// As the agent has to: from the pods' directories in the unified hierarchy to their processes, by the
/// machine's own ids. Of two dollars Kubernetes makes one.
fn a_privileged_pod_sees_the_control_groups(cluster: &Cluster) -> Result<()> {
    let find = "cat /groups/kubepods/besteffort/pod*/*/cgroup.procs | grep -x $$$$";
    let container = json!({
        "command": ["sh", "-c", find],
        "securityContext": { "privileged": true },
        "volumeMounts": [{ "name": "groups", "mountPath": "/groups", "readOnly": true }],
    });
    let groups = Cluster::unified_cgroups()?;
    let volume = json!({ "name": "groups", "hostPath": { "path": groups } });
    let spec = json!({ "hostPID": true, "volumes": [volume] });
    let pod = Pod::start(cluster, "privileged", container, spec)?;
    let ended = pod.ended()?;
    ensure!(ended.phase == "Succeeded", "it does not find itself: {ended:?}");
    pod.delete()
}

/// A span by hand, over OTLP/HTTP.
fn the_collector_receives_from_pods(cluster: &Cluster) -> Result<()> {
    let span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "from a pod",
    });
    let request = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] });
    let url = format!("{}/v1/traces", Cluster::collector_url());
    let header = "Content-Type: application/json";
    let body = request.to_string();
    let command = ["wget", "-O", "-", "--header", header, "--post-data", &body, &url];
    let pod = Pod::start(cluster, "sends", json!({ "command": command }), json!({}))?;
    let ended = pod.ended()?;
    ensure!(ended.phase == "Succeeded", "{ended:?}");
    until_collected(cluster, "\"name\":\"from a pod\"")?;
    pod.delete()
}

/// It traces a command from inside a pod, and the Collector gets the span.
fn the_agent_s_image_traces(cluster: &Cluster) -> Result<()> {
    let program = "/usr/local/bin/lynceus";
    let url = Cluster::collector_url();
    let container = json!({
        "image": image::NAME,
        "args": ["run", "--strict", "--otlp", url, "--", program, "--version"],
        "securityContext": { "privileged": true },
    });
    let pod = Pod::start(cluster, "agent", container, json!({ "hostPID": true }))?;
    let ended = pod.ended()?;
    let version = format!("lynceus {}\n", env!("CARGO_PKG_VERSION"));
    ensure!(ended.phase == "Succeeded" && ended.logs.contains(&version), "{ended:?}");
    until_collected(cluster, program)?;
    pod.delete()
}

fn a_component_is_stopped_and_started(cluster: &Cluster) -> Result<()> {
    cluster.stop(Component::Apiserver)?;
    ensure!(cluster.kubectl(&["get", "nodes"]).is_err(), "a stopped API server answers");
    cluster.start(Component::Apiserver)?;
    until(
        "the node is known again",
        || cluster.kubectl(&["get", "nodes", "--output=name"]),
        |nodes| nodes == "node/node1\n",
    )?;
    Ok(())
}

/// Waits until the Collector has written something with this text in it.
fn until_collected(cluster: &Cluster, text: &str) -> Result<()> {
    until(
        "the Collector writes the span",
        || Ok(fs::read_to_string(cluster.collector_output())?),
        |written| written.contains(text),
    )?;
    Ok(())
}
