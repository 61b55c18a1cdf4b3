//! All that the Collector got of the tests before: nothing hangs in the air, and nothing is of whom nobody
//! selected.

use anyhow::{Result, ensure};

use super::collected::Collected;
use super::traced::{TRACED, prepared};
use super::{Test, agent, context, detail, until};
use crate::cluster::running::Cluster;
use crate::say;

/// After those of pods, and before those that begin the Collector's file anew.
pub(super) const TESTS: [Test; 1] = [("all_that_arrived_is_whole", all_that_arrived_is_whole)];

/// Namespaces of which something was selected.
const SELECTED: [&str; 3] = [TRACED, agent::LATER, detail::NAMESPACE];

fn all_that_arrived_is_whole(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    // Spans of other tests are made by hand or by `lynceus run`.
    let by_agent = || -> Result<Collected> {
        Ok(Collected::read(cluster)?.with("telemetry.sdk.name", "lynceus"))
    };
    // Not times: where no agent and nothing of one was left, one that is new tells of pods that ended just
    // before it once more, in whole seconds.
    let hanging = || -> Result<String> {
        let mut spans = by_agent()?;
        let given = spans.0.iter_mut().filter(|span| span.parent == context::PARENT);
        given.for_each(|span| span.parent.clear());
        Ok(spans.has_all_parents().err().map(|error| format!("{error:#}")).unwrap_or_default())
    };
    until("all parents arrived", hanging, str::is_empty)?;
    let spans = by_agent()?.0;
    for span in &spans {
        let of_pod = !span.get("k8s.pod.uid").is_empty();
        // What `lynceus run` traced in a pod says which host that was.
        let by_run = !span.get("host.name").is_empty();
        let is_selected = SELECTED.contains(&span.get("k8s.namespace.name"));
        ensure!(by_run || (of_pod && is_selected), "{span:?}");
    }
    say::result(&format!("{} spans arrived, and all that they stand below", spans.len()));
    Ok(())
}
