//! Pods and containers that ended -> spans.
//!
//! The API tells when, in whole seconds; the kernel saw the first exec and the last exit, to the
//! nanosecond: where it did, its times are taken, so that no process is longer than its container.

use std::sync::Arc;

use super::{
    identity::{container_span_id, pod_span_id},
    name::{ContainerId, Uid},
    object::{Pod, Terminated},
    resource::{Wanted, resource},
};
use crate::{
    id::{SpanId, TraceId},
    propagation::Upstream,
    span::{Attribute, Resource, Span, SpanEvent, SpanKind, Status, UnixNanos, key},
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
    pub(super) end: End<'a>,
    pub(super) limited: Limited,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    /// As the API said.
    Said(&'a Terminated),
    /// The API did not say how.
    Unsaid,
    /// It runs on, and is not told any more. Since then.
    Left(UnixNanos),
}

/// What processes of a container did beyond the limit of a second, and is not told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limited {
    pub execs: u64,
    /// That executed nothing, and ended.
    pub forks: u64,
}

impl Limited {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            execs: self.execs.saturating_add(other.execs),
            forks: self.forks.saturating_add(other.forks),
        }
    }

    fn event(self, time: UnixNanos) -> Option<SpanEvent> {
        let counts = [(key::LIMITED_EXECS, self.execs), (key::LIMITED_FORKS, self.forks)];
        let attributes: Vec<Attribute> = (counts.into_iter())
            .filter(|(_, count)| *count > 0)
            .map(|(key, count)| Attribute::new(key, count))
            .collect();
        let is_empty = attributes.is_empty();
        (!is_empty).then_some(SpanEvent { name: key::EVENT_LIMITED, time, attributes })
    }
}

/// A pod that had as many spans as one gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) spans: u64,
    pub(super) at: UnixNanos,
}

/// The span of one run of a container.
pub(super) fn container(run: Run<'_>, trace_id: TraceId) -> Span {
    let (began, finished) = match run.end {
        End::Said(ended) => (unix(ended.started_at), unix(ended.finished_at)),
        End::Unsaid => (None, None),
        End::Left(now) => (None, Some(now)),
    };
    // Times in whole seconds were cut: what the kernel saw may be later than they say.
    let (start, end) = match (run.seen.last, run.end) {
        (Some(_), End::Said(_) | End::Unsaid) => run.seen.or(None, None),
        (Some(_), End::Left(_)) | (None, _) => run.seen.or(began, finished),
    };
    let mut attributes = Vec::with_capacity(4);
    let mut status = Status::Unset;
    if let End::Left(_) = run.end {
        attributes.push(Attribute::new(key::CONTAINER_UNFINISHED, key::STILL_RUNNING));
    }
    if let End::Said(ended) = run.end {
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
        events: run.limited.event(end).into_iter().collect(),
        resource: Some(run.resource),
        ..bare(trace_id, start, end)
    }
}

/// What is known of a pod that is over, or left.
pub(super) struct PodRun<'a> {
    pub(super) pod: &'a Pod,
    pub(super) seen: Seen,
    /// When it was left: it runs on, and is not told any more.
    pub(super) left: Option<UnixNanos>,
    pub(super) spent: Option<Spent>,
}

/// The span of a pod. What its containers did is within it.
pub(super) fn pod(run: PodRun<'_>, trace_id: TraceId, wanted: &Wanted) -> Span {
    let PodRun { pod, seen: mut within, left, spent } = run;
    left.into_iter().for_each(|time| within.at(time));
    let began = unix(pod.status.start_time).or_else(|| unix(pod.meta.created));
    began.into_iter().for_each(|time| within.at(time));
    for status in pod.status.containers() {
        for ended in status.instances().filter_map(|instance| instance.ended) {
            unix(ended.finished_at).into_iter().for_each(|time| within.at(time));
        }
    }
    let (start, end) = within.or(None, None);
    let mut attributes = vec![Attribute::new(key::POD_PHASE, pod.status.phase.as_str())];
    if left.is_some() {
        attributes.push(Attribute::new(key::POD_UNFINISHED, key::STILL_RUNNING));
    }
    let spent = spent.map(|Spent { spans, at }| SpanEvent {
        name: key::EVENT_SPENT,
        time: at,
        attributes: vec![Attribute::new(key::SPENT_SPANS, spans)],
    });
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
        events: spent.into_iter().collect(),
        resource: Some(Arc::new(resource(pod, None, wanted))),
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
