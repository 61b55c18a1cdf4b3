//! What a pod is a part of: work that ends, which is one trace a run, or a service, which is none.

use super::{
    name::{ContainerId, Uid},
    object::Pod,
};
use crate::id::{SpanId, TraceId};

/// What controls services: they never end.
const SERVICES: [&str; 6] =
    ["ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "ReplicationController", "Node"];

/// How a pod's life is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// A Job, a TaskRun, a pod that is not restarted: all of a run are in this trace.
    Work(TraceId),
    Service,
}

impl Life {
    pub(super) fn of(pod: &Pod) -> Self {
        let restarts = !matches!(pod.spec.restart_policy.as_str(), "Never" | "OnFailure");
        match &pod.meta.owner {
            Some(owner) if SERVICES.contains(&owner.kind.as_str()) => Self::Service,
            // What nobody knows ends or does not, as its pods do.
            Some(owner) if owner.kind == "Job" || owner.kind == "TaskRun" || !restarts => {
                Self::Work(run_trace_id(&owner.uid))
            }
            None if !restarts => Self::Work(run_trace_id(&pod.meta.uid)),
            Some(_) | None => Self::Service,
        }
    }
}

/// The trace of a run of work, by the UID of what controls its pods.
pub(super) fn run_trace_id(owner: &Uid) -> TraceId {
    TraceId::derive("work", &[owner.0.as_bytes()])
}

pub(super) fn pod_span_id(pod: &Uid) -> SpanId {
    SpanId::derive("pod", &[pod.0.as_bytes()])
}

pub(super) fn container_span_id(pod: &Uid, container: &ContainerId) -> SpanId {
    SpanId::derive("container", &[pod.0.as_bytes(), container.0.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::{super::object::Owner, *};

    #[test]
    fn what_ends_is_a_trace_and_what_does_not_is_none() {
        let check = |kind: Option<&str>, policy: &str, is_work| {
            let mut pod = Pod::default();
            pod.spec.restart_policy = policy.to_owned();
            let (name, uid) = ("x".to_owned(), Uid("u".to_owned()));
            pod.meta.owner = kind.map(|kind| Owner { kind: kind.to_owned(), name, uid });
            assert_eq!(matches!(Life::of(&pod), Life::Work(_)), is_work, "{kind:?} {policy}");
        };
        check(Some("Job"), "Never", true);
        check(Some("Job"), "OnFailure", true);
        check(Some("TaskRun"), "Never", true);
        check(None, "Never", true);
        check(None, "OnFailure", true);
        check(None, "Always", false);
        check(None, "", false);
        check(Some("ReplicaSet"), "Always", false);
        check(Some("StatefulSet"), "Always", false);
        check(Some("DaemonSet"), "Always", false);
        check(Some("Deployment"), "Always", false);
        check(Some("Node"), "Never", false);
        check(Some("Rollout"), "Always", false);
        check(Some("SparkApplication"), "Never", true);
    }
}
