//! Images that share a layer: two pods execute one and the same file at one time.

use anyhow::{Result, ensure};
use serde_json::json;

use super::Test;
use super::collected::Collected;
use super::told::told_as;
use super::traced::{TRACED, container, job, pod_of, prepared, run};
use crate::cluster::images::{BUSYBOX, TWIN};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] =
    [("pods_that_share_a_file_are_told_apart", pods_that_share_a_file_are_told_apart)];

const ROUNDS: usize = 50;
const PODS: [(&str, &str); 2] = [("left", BUSYBOX), ("right", TWIN)];

/// Each says its own name again and again, for five seconds.
fn pods_that_share_a_file_are_told_apart(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    for (name, image) in PODS {
        let script = format!(
            "i=0; while [ $i -lt {ROUNDS} ]; do env echo {name}; sleep 0.1; i=$((i+1)); done"
        );
        let mut main = container("main", &script);
        main["image"] = json!(image);
        run(cluster, &job(TRACED, name, &json!({ "containers": [main] })))?;
    }
    let [left, right] = PODS;
    let (left, right) = (of_one(cluster, left)?, of_one(cluster, right)?);
    let (one, other) = (left.one("sh")?, right.one("sh")?);
    ensure!(one.start < other.end && other.start < one.end, "not at one time: {one:?} {other:?}");
    let path = "process.executable.path";
    ensure!(one.get(path) == other.get(path), "not one file: {one:?} {other:?}");
    Ok(())
}

/// Its own, and nothing else.
fn of_one(cluster: &Cluster, (name, image): (&str, &str)) -> Result<Collected> {
    let pod = pod_of(cluster, TRACED, &format!("job-name={name}"))?;
    let rounds = "      echo\n      sleep\n".repeat(ROUNDS);
    let tree = format!("pod {pod}\n  container main\n    sh\n{rounds}");
    let spans = told_as(cluster, &pod, &tree)?;
    let of_image = image.rsplit_once(':').map_or(image, |(name, _)| name);
    for span in &spans.0 {
        ensure!(span.get("k8s.pod.name") == pod, "{span:?} is in the trace of {pod}");
        let is_pod = span.name.starts_with("pod ");
        ensure!(is_pod || span.get("container.image.name") == of_image, "{span:?}");
        let arguments = span.get("process.command_args");
        ensure!(span.name != "echo" || arguments.contains(name), "{span:?}");
    }
    Ok(spans)
}
