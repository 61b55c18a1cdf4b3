//! A CronJob: each of its Jobs is a trace.

use anyhow::{Result, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::collected::Collected;
use super::pod::delete;
use super::told::told_as;
use super::traced::{TRACED, container, job, pod_of, prepared};
use super::{Test, until};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] =
    [("runs_of_a_cronjob_are_traces", runs_of_a_cronjob_are_traces)];

const NAME_OF_FIRST: &str = "--output=jsonpath={.items[0].metadata.name}";

/// One by the clock, at most a minute away, and one by hand.
fn runs_of_a_cronjob_are_traces(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let in_traced = format!("--namespace={TRACED}");
    delete(cluster, &in_traced, "cronjob/nightly")?;
    delete(cluster, &in_traced, "job/by-hand")?;
    let containers = json!({ "containers": [container("main", "env uname; exit 0")] });
    let template = job(TRACED, "nightly", &containers)["spec"].clone();
    let manifest = json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": { "name": "nightly", "namespace": TRACED },
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": { "metadata": { "labels": { "of": "nightly" } }, "spec": template },
        },
    });
    cluster.apply(&manifest.to_string())?;
    let ask = ["get", "jobs", &in_traced, "--selector=of=nightly", NAME_OF_FIRST];
    let name = until("the minute comes", || cluster.kubectl(&ask), |name| !name.is_empty())?;
    let by_clock = run_of(cluster, &name)?;
    for span in &by_clock.0 {
        ensure!(span.get("k8s.cronjob.name") == "nightly", "{span:?}");
        ensure!(span.get("service.name") == "nightly", "{span:?}");
    }
    cluster.kubectl(&["create", "job", "by-hand", "--from=cronjob/nightly", &in_traced])?;
    let by_hand = run_of(cluster, "by-hand")?;
    ensure!(by_clock.one("sh")?.trace != by_hand.one("sh")?.trace, "two runs are one trace");
    delete(cluster, &in_traced, "cronjob/nightly")
}

/// What is told of a Job.
fn run_of(cluster: &Cluster, name: &str) -> Result<Collected> {
    let ask = ["get", "job", name, "--namespace", TRACED, "--output=jsonpath={.metadata.uid}"];
    let trace = trace_of(&cluster.kubectl(&ask)?);
    let pod = pod_of(cluster, TRACED, &format!("job-name={name}"))?;
    let tree = format!("pod {pod}\n  container main\n    sh\n      uname\n");
    let spans = told_as(cluster, &pod, &tree)?;
    let main = spans.one("container main")?;
    ensure!(main.get("lynceus.container.exit_code") == "0", "{main:?}");
    for span in &spans.0 {
        ensure!(span.trace == trace, "the trace is not the Job's, {trace}: {span:?}");
        ensure!(span.get("k8s.job.name") == name, "{span:?}");
    }
    Ok(spans)
}

/// As every agent derives it from the owner's UID.
fn trace_of(owner: &str) -> String {
    let digest = Sha256::digest(format!("work\0{owner}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
