//! Requests of a process that have no span -> one event on the span of the process.

use std::borrow::Cow;

use super::Machine;
use crate::{
    event::{Beyond, BootNanos},
    span::{Attribute, SpanEvent, key},
};

/// When the first of them began, how many there were in each role of the process, and how they were
/// answered. `None` where there are none.
pub(super) fn event(beyond: &Beyond, machine: &Machine) -> Option<SpanEvent> {
    if beyond.is_empty() {
        return None;
    }
    let mut attributes = Vec::new();
    for (untold, role) in beyond.ways.iter().zip(["server", "client"]) {
        let answered = untold.by_class.iter().fold(0, |sum: u32, count| sum.saturating_add(*count));
        let counts = [("requests", untold.requests)].into_iter();
        let counts = counts.chain(CLASSES.into_iter().zip(untold.by_class));
        let counts = counts.chain([("unanswered", untold.requests.saturating_sub(answered))]);
        attributes.extend(counts.filter(|(_, count)| *count > 0).map(|(what, count)| Attribute {
            key: Cow::Owned(format!("{}{role}.{what}", key::REQUESTS_PREFIX)),
            value: count.into(),
        }));
    }
    let time = machine.clock.unix(BootNanos(beyond.first_ns));
    Some(SpanEvent { name: key::EVENT_BEYOND, time, attributes })
}

/// By the first digit of the status code; calls of gRPC that failed have another status.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "rpc_failed"];
