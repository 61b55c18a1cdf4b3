//! What the waterfall keeps of a span, or of several that became one row.

use std::sync::Arc;
use std::time::Duration;

use super::outcome::{Outcome, Verdict};
use super::{label, request};
use crate::id::SpanId;
use crate::span::{Span, UnixNanos, Value, key};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) spans: u64,
    /// `failed <= spans`.
    pub(super) failed: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.spans = self.spans.saturating_add(other.spans);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// Where the trace came in: only such a root starts the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Entry,
    Inner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Spans of one name and one outcome.
    Alike,
    /// Different siblings, summed up because there was no room for each.
    Rest,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) origin: Origin,
    pub(super) kind: Kind,
    pub(super) name: Arc<str>,
    pub(super) label: Arc<str>,
    pub(super) outcome: Outcome,
    pub(super) start: UnixNanos,
    /// `start <= end`.
    pub(super) end: UnixNanos,
    /// Sum over the members, at least `longest`.
    pub(super) busy: Duration,
    pub(super) longest: Duration,
    pub(super) forks: u64,
    /// Requests that have no span, beyond what a process may have in one second.
    pub(super) untold: u64,
    /// The spans that this node stands for.
    pub(super) own: Tally,
    /// Spans below it that have no node any more.
    pub(super) inside: Tally,
}

impl Node {
    pub(super) fn of(span: &Span) -> Self {
        let (name, label) = match span.attribute(key::PROCESS_COMMAND_ARGS) {
            Some(Value::StrList(argv)) if argv.iter().any(|argument| !argument.is_empty()) => {
                let first = argv.first().map_or("", String::as_str);
                (label::program(first), label::command(argv))
            }
            Some(Value::StrList(_) | Value::Str(_) | Value::Int(_) | Value::Bool(_)) | None => {
                let label = request::label(span).unwrap_or_else(|| span.name.clone());
                (label::plain(&span.name), label::plain(&label))
            }
        };
        let forks = match span.attribute(key::FORKS) {
            Some(&Value::Int(forks)) => u64::try_from(forks).unwrap_or_default(),
            Some(Value::Str(_) | Value::Bool(_) | Value::StrList(_)) | None => 0,
        };
        let outcome = Outcome::of(span);
        let failed = match outcome.verdict() {
            Verdict::Failed => 1,
            Verdict::Fine | Verdict::Open => 0,
        };
        let length = Duration::from_nanos(span.end.0.saturating_sub(span.start.0));
        let is_entry = span.parent.is_none() || span.parent_is_remote;
        Self {
            id: span.span_id,
            parent: span.parent,
            origin: if is_entry { Origin::Entry } else { Origin::Inner },
            kind: Kind::Alike,
            name: name.as_str().into(),
            label: label.as_str().into(),
            outcome,
            start: span.start,
            end: span.end.max(span.start),
            busy: length,
            longest: length,
            forks,
            untold: untold(span),
            own: Tally { spans: 1, failed },
            inside: Tally::default(),
        }
    }

    pub(super) fn is_single(&self) -> bool {
        self.kind == Kind::Alike && self.own.spans == 1
    }

    pub(super) fn all(&self) -> Tally {
        let mut all = self.own;
        all.add(self.inside);
        all
    }

    /// This node stands for `other` too; its id, name and parent stay.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.busy = self.busy.saturating_add(other.busy);
        self.longest = self.longest.max(other.longest);
        self.forks = self.forks.saturating_add(other.forks);
        self.untold = self.untold.saturating_add(other.untold);
        self.own.add(other.own);
        self.inside.add(other.inside);
        if let Some(shorter) = label::common(&self.label, &other.label)
            && *shorter != *self.label
        {
            self.label = shorter.into();
        }
    }
}

fn untold(span: &Span) -> u64 {
    let events = span.events.iter().filter(|event| event.name == key::EVENT_BEYOND);
    let counts = events.flat_map(|event| &event.attributes).filter_map(|one| match one.value {
        Value::Int(count) if one.key.ends_with(".requests") => u64::try_from(count).ok(),
        Value::Int(_) | Value::Str(_) | Value::Bool(_) | Value::StrList(_) => None,
    });
    counts.fold(0, u64::saturating_add)
}
