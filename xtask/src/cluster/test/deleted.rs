//! Pods that are deleted at once: as soon as they ended, or while they run.

use anyhow::{Result, ensure};
use serde_json::json;

use super::told::told_as;
use super::traced::{TRACED, container, drawn, pod, prepared, run, wait_until_ready};
use super::{Test, until};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 3] = [
    ("a_pod_deleted_when_it_ended_is_told", a_pod_deleted_when_it_ended_is_told),
    ("a_pod_deleted_while_it_runs_is_told", a_pod_deleted_while_it_runs_is_told),
    ("a_pod_that_does_not_want_to_end_is_killed", a_pod_that_does_not_want_to_end_is_killed),
];

fn a_pod_deleted_when_it_ended_is_told(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let spec = json!({ "containers": [container("main", "env true; exit 4")] });
    let name = drawn("brief");
    run(cluster, &pod(TRACED, &name, &spec))?;
    let path = "--output=jsonpath={.status.phase}";
    let ask = ["get", "pod", &name, "--namespace", TRACED, path];
    until("the pod ends", || cluster.kubectl(&ask), |phase| phase == "Failed")?;
    delete_at_once(cluster, &name)?;
    let tree = format!("pod {name}\n  container main\n    sh\n      true\n");
    let spans = told_as(cluster, &name, &tree)?;
    let main = spans.one("container main")?;
    ensure!(main.get("lynceus.container.exit_code") == "4", "{main:?}");
    Ok(())
}

fn a_pod_deleted_while_it_runs_is_told(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let spec = json!({ "containers": [container("main", "env true; sleep 3600; exit 0")] });
    let name = drawn("cut-off");
    run(cluster, &pod(TRACED, &name, &spec))?;
    wait_until_ready(cluster, TRACED, &name)?;
    delete_at_once(cluster, &name)?;
    let tree = format!("pod {name}\n  container main\n    sh\n      true\n      sleep\n");
    let spans = told_as(cluster, &name, &tree)?;
    // The API never says how the container ended: of its processes the kernel does.
    for program in ["sh", "sleep"] {
        let span = spans.one(program)?;
        ensure!(span.get("process.exit.code") == "137", "{span:?}");
        ensure!(span.get("error.type") == "SIGKILL", "{span:?}");
    }
    Ok(())
}

/// The kubelet says how it ended before the pod is forgotten: a shell that is a container's first process
/// does not hear SIGTERM.
fn a_pod_that_does_not_want_to_end_is_killed(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let containers = [container("main", "env true; sleep 3600; exit 0")];
    let spec = json!({ "containers": containers, "terminationGracePeriodSeconds": 1 });
    let name = drawn("killed");
    run(cluster, &pod(TRACED, &name, &spec))?;
    wait_until_ready(cluster, TRACED, &name)?;
    cluster.kubectl(&["delete", "pod", &name, "--namespace", TRACED])?;
    let tree = format!("pod {name}\n  container main\n    sh\n      true\n      sleep\n");
    let spans = told_as(cluster, &name, &tree)?;
    let main = spans.one("container main")?;
    for (key, value) in [
        ("lynceus.container.exit_code", "137"),
        ("k8s.container.status.reason", "Error"),
        ("error.type", "137"),
    ] {
        ensure!(main.get(key) == value, "{key} is {:?} of {main:?}", main.get(key));
    }
    Ok(())
}

/// The API server forgets it before the kubelet knows.
fn delete_at_once(cluster: &Cluster, pod: &str) -> Result<()> {
    let how = ["delete", "pod", pod, "--namespace", TRACED, "--force", "--grace-period=0"];
    cluster.kubectl(&how).map(drop)
}
