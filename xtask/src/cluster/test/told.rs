//! Waiting for what is told of a pod.

use anyhow::Result;

use super::collected::{Collected, NO_PARENT};
use super::until;
use crate::cluster::running::Cluster;

/// Waits until a pod has a span with this name, and gives all that it has.
pub(super) fn collected(cluster: &Cluster, name: &str, pod: &str) -> Result<Collected> {
    collected_of(cluster, name, pod, "k8s.pod.name", pod)
}

/// As [`collected`], but the span has this attribute.
pub(super) fn collected_of(
    cluster: &Cluster,
    name: &str,
    pod: &str,
    key: &str,
    value: &str,
) -> Result<Collected> {
    let of_pod = || Ok(Collected::read(cluster)?.with("k8s.pod.name", pod));
    let ask = || Ok(of_pod()?.with(key, value).tree());
    let is_there =
        |tree: &str| tree.lines().any(|line| line.trim().trim_start_matches(NO_PARENT) == name);
    until(&format!("a span {name} of {pod} with {key} {value}"), ask, is_there)?;
    of_pod()
}

/// Waits until a pod of work is told to its end, and its tree is this; gives all that is in its trace.
pub(super) fn told_as(cluster: &Cluster, pod: &str, expected: &str) -> Result<Collected> {
    let root = collected(cluster, &format!("pod {pod}"), pod)?;
    let trace = root.one(&format!("pod {pod}"))?.trace.clone();
    // A server in another pod may be told last.
    let ask = || Ok(Collected::read(cluster)?.in_trace(&trace).tree());
    until(&format!("{pod} is told as\n{expected}"), ask, |tree| tree == expected)?;
    let spans = Collected::read(cluster)?.in_trace(&trace);
    spans.is_whole()?;
    spans.lies_within()?;
    Ok(spans)
}

/// Waits until all parents of a pod's spans are there, and gives them all.
pub(super) fn until_whole(cluster: &Cluster, pod: &str) -> Result<Collected> {
    let ask = || match Collected::read(cluster)?.with("k8s.pod.name", pod).is_whole() {
        Ok(()) => Ok(String::new()),
        Err(error) => Ok(format!("{error:#}")),
    };
    until(&format!("all parents of {pod}"), ask, str::is_empty)?;
    Ok(Collected::read(cluster)?.with("k8s.pod.name", pod))
}
