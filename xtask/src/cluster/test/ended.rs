//! How containers end: as the kubelet says, and as the kernel does.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::Test;
use super::told::told_as;
use super::traced::{TRACED, container, job, pod_of, prepared, program, run};
use crate::cluster::running::Cluster;
use crate::say;

pub(super) const TESTS: [Test; 3] = [
    ("how_containers_end_is_told", one_needs_too_much_memory),
    ("a_crash_loop_is_told_run_by_run", a_crash_loop_is_told_run_by_run),
    ("a_container_of_milliseconds_is_told", a_container_of_milliseconds_is_told),
];

fn one_needs_too_much_memory(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let mut hungry = container("hungry", "tail /dev/zero; exit 1");
    hungry["resources"] = json!({ "limits": { "memory": "24Mi" } });
    run(cluster, &job(TRACED, "hungry", &json!({ "containers": [hungry] })))?;
    let pod = pod_of(cluster, TRACED, "job-name=hungry")?;
    let tree = format!("pod {pod}\n  container hungry\n    sh\n      tail\n");
    let spans = told_as(cluster, &pod, &tree)?;
    let container = spans.one("container hungry")?;
    ensure!(container.get("k8s.container.status.reason") == "OOMKilled", "{container:?}");
    ensure!(container.get("error.type") == "OOMKilled", "{container:?}");
    let tail = spans.one("tail")?;
    ensure!(tail.get("error.type") == "OOMKilled", "{tail:?}");
    ensure!(tail.get("process.exit.code") == "137", "{tail:?}");
    Ok(())
}

/// Each run is a container of its own, below one pod.
fn a_crash_loop_is_told_run_by_run(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let crash =
        json!({ "containers": [container("crash", "exit 7")], "restartPolicy": "OnFailure" });
    let mut crash = job(TRACED, "crash", &crash);
    crash["spec"]["backoffLimit"] = json!(2);
    run(cluster, &crash)?;
    // It is removed when it failed for good.
    let pod = pod_of(cluster, TRACED, "job-name=crash")?;
    let tree = format!("pod {pod}\n{}", "  container crash\n    sh\n".repeat(3));
    let spans = told_as(cluster, &pod, &tree)?;
    let runs: Vec<_> = spans.0.iter().filter(|span| span.name == "container crash").collect();
    for (run, count) in runs.iter().zip(["0", "1", "2"]) {
        for (key, value) in [
            ("k8s.container.restart_count", count),
            ("k8s.container.status.reason", "Error"),
            ("lynceus.container.exit_code", "7"),
            ("error.type", "7"),
        ] {
            ensure!(run.get(key) == value, "{key} is {:?} of {run:?}", run.get(key));
        }
    }
    ensure!(runs.windows(2).all(|two| two[0].end <= two[1].start), "{runs:?}");
    Ok(())
}

/// Its only process is over long before anybody asks the API server whose it is.
fn a_container_of_milliseconds_is_told(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    run(cluster, &job(TRACED, "instant", &json!({ "containers": [program("main", &["true"])] })))?;
    let pod = pod_of(cluster, TRACED, "job-name=instant")?;
    let tree = format!("pod {pod}\n  container main\n    true\n");
    let spans = told_as(cluster, &pod, &tree)?;
    let (container, program) = (spans.one("container main")?, spans.one("true")?);
    ensure!(container.get("lynceus.container.exit_code") == "0", "{container:?}");
    let took = Duration::from_nanos(program.end.saturating_sub(program.start));
    // Not asserted: on a machine that does other things, too, it may have to wait for a processor.
    say::result(&format!("a container whose process lived for {took:?} has its spans"));
    Ok(())
}
