//! What a pod's own annotations ask for, in a namespace that asks for nothing.

use anyhow::{Result, ensure};
use serde_json::json;

use super::collected::Collected;
use super::pod::delete;
use super::told::{collected, told_as};
use super::traced::{container, drawn, namespace, pod, prepared, run, touch, wait_until_ready};
use super::{Test, daemon};
use crate::clock;
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] =
    [("an_annotation_decides_in_what_detail", an_annotation_decides_in_what_detail)];

pub(super) const NAMESPACE: &str = "unlabelled";
const DETAIL: &str = "lynceus.dev/detail";

fn an_annotation_decides_in_what_detail(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    namespace(cluster, NAMESPACE, &json!({}))?;
    let annotated = |name: &str, script: &str| {
        let mut pod = pod(NAMESPACE, name, &json!({ "containers": [container("main", script)] }));
        pod["metadata"]["annotations"] = json!({ daemon::TRACE: "enabled", DETAIL: "steps" });
        run(cluster, &pod)
    };
    let (brief, long) = (drawn("brief"), drawn("long"));
    annotated(&brief, "env true; exit 0")?;
    annotated(&long, "until [ -e /tmp/go ]; do sleep 0.2; done; env uname; exit 0")?;
    told_as(cluster, &brief, &format!("pod {brief}\n  container main\n"))?;
    wait_until_ready(cluster, NAMESPACE, &long)?;
    let told = Collected::read(cluster)?.with("k8s.pod.name", &long);
    ensure!(told.0.is_empty(), "{}", told.tree());
    let asked = clock::unix_ns();
    let detail = format!("{DETAIL}=all");
    let of_long = format!("pod/{long}");
    cluster.kubectl(&["annotate", "--overwrite", "--namespace", NAMESPACE, &of_long, &detail])?;
    collected(cluster, "sleep", &long)?;
    touch(cluster, NAMESPACE, &long, "/tmp/go")?;
    let spans = collected(cluster, &format!("pod {long}"), &long)?;
    spans.is_whole()?;
    spans.lies_within()?;
    let shell_s = "    sh\n      sleep\n      uname\n";
    let tree = format!("pod {long}\n  container main\n{shell_s}    touch\n");
    ensure!(spans.folded_after_taking_up() == tree, "{}", spans.tree());
    let shell = spans.one("sh")?;
    ensure!(shell.get("lynceus.process.taken_up") == "true" && shell.start < asked, "{shell:?}");
    // The one that slept then was taken up; all others were executed since.
    let old = spans.0.iter().filter(|span| span.name == "sleep" && span.start < asked).count();
    ensure!(old <= 1, "{old} are older than the annotation: {}", spans.tree());
    let main = spans.one("container main")?;
    ensure!(main.get("k8s.container.restart_count") == "0", "{main:?}");
    delete(cluster, "--wait=false", &format!("namespace/{NAMESPACE}"))
}
