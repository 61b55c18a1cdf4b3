//! Pods and containers that ended -> spans.
//!
//! The API tells when, in whole seconds; the kernel saw the first exec and the last exit, to the
//! nanosecond: where it did, its times are taken, so that no process is longer than its container.

use std::sync::Arc;

use super::{
    identity::{container_span_id, pod_span_id},
    name::{ContainerId, Uid},
    object::{Pod, Terminated},
    resource::resource,
};
use crate::{
    id::{SpanId, TraceId},
    propagation::Upstream,
    span::{Attribute, Resource, Span, SpanKind, Status, UnixNanos, key},
};

/// From the first to the last moment that is known of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) first: Option<UnixNanos>,
    pub(super) last: Option<UnixNanos>,
}

impl Seen {
    pub(super) fn at(&mut self, time: UnixNanos) {
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
    }

    pub(super) fn take(&mut self, other: Self) {
        other.first.into_iter().chain(other.last).for_each(|time| self.at(time));
    }

    fn or(self, start: Option<UnixNanos>, end: Option<UnixNanos>) -> (UnixNanos, UnixNanos) {
        let last = self.last.max(end);
        let start = self.first.or(start).or(last).unwrap_or_default();
        (start, last.unwrap_or(start).max(start))
    }
}

pub(super) fn unix(time: Option<jiff::Timestamp>) -> Option<UnixNanos> {
    u64::try_from(time?.as_nanosecond()).ok().map(UnixNanos)
}

/// One run of a container that is over.
pub(super) struct Run<'a> {
    pub(super) pod: &'a Uid,
    pub(super) container: &'a ContainerId,
    pub(super) name: &'a str,
    pub(super) resource: Arc<Resource>,
    pub(super) seen: Seen,
    /// How it ended, where the API said it.
    pub(super) ended: Option<&'a Terminated>,
}

/// The span of one run of a container.
pub(super) fn container(run: Run<'_>, trace_id: TraceId) -> Span {
    let began = run.ended.and_then(|ended| unix(ended.started_at));
    let finished = run.ended.and_then(|ended| unix(ended.finished_at));
    // Times in whole seconds were cut: what the kernel saw may be later than they say.
    let (start, end) = match run.seen.last {
        Some(_) => run.seen.or(None, None),
        None => run.seen.or(began, finished),
    };
    let mut attributes = Vec::with_capacity(4);
    let mut status = Status::Unset;
    if let Some(ended) = run.ended {
        let code = ended.signal.map_or(ended.exit_code, |signal| signal.saturating_add(128));
        attributes.push(Attribute::new(key::CONTAINER_EXIT_CODE, code));
        let reason = ended.reason.clone().filter(|reason| !reason.is_empty());
        if let Some(reason) = &reason {
            attributes.push(Attribute::new(key::CONTAINER_REASON, reason.as_str()));
        }
        if code != 0 {
            let kind = reason.filter(|reason| reason != "Error");
            let kind = kind.unwrap_or_else(|| code.to_string());
            attributes.push(Attribute::new(key::ERROR_TYPE, kind));
            status = Status::Error;
        }
    }
    Span {
        span_id: container_span_id(run.pod, run.container),
        parent: Some(pod_span_id(run.pod)),
        name: format!("container {}", run.name),
        status,
        attributes,
        resource: Some(run.resource),
        ..bare(trace_id, start, end)
    }
}

/// The span of a pod. What its containers did is within it.
pub(super) fn pod(pod: &Pod, seen: Seen, trace_id: TraceId, given: &[(String, String)]) -> Span {
    let mut within = seen;
    let began = unix(pod.status.start_time).or_else(|| unix(pod.meta.created));
    began.into_iter().for_each(|time| within.at(time));
    for status in pod.status.containers() {
        for ended in status.instances().filter_map(|instance| instance.ended) {
            unix(ended.finished_at).into_iter().for_each(|time| within.at(time));
        }
    }
    let (start, end) = within.or(None, None);
    let mut attributes = vec![Attribute::new(key::POD_PHASE, pod.status.phase.as_str())];
    let failed = pod.status.phase == "Failed";
    if let Some(reason) = &pod.status.reason {
        attributes.push(Attribute::new(key::POD_REASON, reason.as_str()));
    }
    if failed {
        let kind = pod.status.reason.clone().unwrap_or_else(|| "Failed".to_owned());
        attributes.push(Attribute::new(key::ERROR_TYPE, kind));
    }
    Span {
        span_id: pod_span_id(&pod.meta.uid),
        name: format!("pod {}", pod.meta.name),
        status: if failed { Status::Error } else { Status::Unset },
        attributes,
        resource: Some(Arc::new(resource(pod, None, given))),
        ..bare(trace_id, start, end)
    }
}

fn bare(trace_id: TraceId, start: UnixNanos, end: UnixNanos) -> Span {
    Span {
        trace_id,
        span_id: SpanId::derive("", &[]),
        parent: None,
        parent_is_remote: false,
        upstream: Upstream::Open,
        trace_state: Arc::default(),
        name: String::new(),
        kind: SpanKind::Internal,
        start,
        end,
        attributes: Vec::new(),
        events: Vec::new(),
        dropped_events: 0,
        status: Status::Unset,
        records: 0,
        resource: None,
    }
}
