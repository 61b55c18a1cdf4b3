//! A trace context in a container's environment: what its processes do is part of that trace.

use anyhow::{Result, ensure};
use serde_json::json;

use super::Test;
use super::collected::{Collected, NO_PARENT};
use super::told::{collected, told_as};
use super::traced::{TRACED, container, job, pod_of, prepared, run};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] =
    [("a_context_in_the_environment_is_above_processes", is_above_processes)];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// A span that nobody sends.
pub(super) const PARENT: &str = "00f067aa0ba902b7";

/// The pod's and the container's own spans stay in the Job's trace: nobody gave them to another.
fn is_above_processes(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let mut main = container("main", "env true; exit 0");
    main["env"] = json!([{ "name": "TRACEPARENT", "value": format!("00-{TRACE}-{PARENT}-01") }]);
    run(cluster, &job(TRACED, "with-context", &json!({ "containers": [main] })))?;
    let pod = pod_of(cluster, TRACED, "job-name=with-context")?;
    collected(cluster, "sh", &pod)?;
    told_as(cluster, &pod, &format!("pod {pod}\n  container main\n"))?;
    let spans = Collected::read(cluster)?.with("k8s.pod.name", &pod).in_trace(TRACE);
    ensure!(spans.tree() == format!("{NO_PARENT}sh\n  true\n"), "{}", spans.tree());
    let shell = spans.one("sh")?;
    ensure!(shell.parent == PARENT && shell.get("k8s.container.name") == "main", "{shell:?}");
    Ok(())
}
