//! Any command line can be redacted, and what was masked stays masked.
#![no_main]

use std::sync::Arc;

use agent::{
    id::{SpanId, TraceId},
    propagation::Upstream,
    redact::Redactor,
    span::{Attribute, Span, SpanKind, Status, UnixNanos, Value, key},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut args: Vec<String> = text.split('\0').map(str::to_owned).collect();
    // A secret that no rule can miss, wherever it stands.
    args.push("--password=c4n4ry-c4n4ry-c4n4ry".to_owned());
    let clean = Redactor::default().clean(span(args));
    let Some(Value::StrList(shown)) = clean.span().attribute(key::PROCESS_COMMAND_ARGS) else {
        panic!("the arguments are gone");
    };
    assert!(shown.last().is_some_and(|last| !last.contains("c4n4ry")), "{shown:?}");
});

fn span(args: Vec<String>) -> Span {
    Span {
        trace_id: TraceId::derive("fuzz", &[]),
        span_id: SpanId::derive("fuzz", &[]),
        parent: None,
        parent_is_remote: false,
        upstream: Upstream::Open,
        trace_state: Arc::default(),
        name: args.first().cloned().unwrap_or_default(),
        kind: SpanKind::Internal,
        start: UnixNanos(0),
        end: UnixNanos(1),
        attributes: vec![Attribute::new(key::PROCESS_COMMAND_ARGS, args)],
        events: Vec::new(),
        dropped_events: 0,
        status: Status::Unset,
        records: 1,
        resource: None,
    }
}
