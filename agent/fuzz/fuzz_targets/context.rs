//! Any headers carry a context or none; what is found is a valid context, and reads back as itself.
#![no_main]

use agent::{propagation, protocol::context};

/// Followed by the name's place in the list, and so is each value.
const NAMES: [&str; 8] = [
    "traceparent",
    "TraceState",
    "b3",
    "x-b3-traceid",
    "X-B3-SpanId",
    "x-b3-sampled",
    "x-b3-flags",
    "x-other",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let headers = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let (place, value) = line.split_first()?;
        Some((NAMES[usize::from(*place) % NAMES.len()].as_bytes(), value))
    });
    let Some(context) = context::in_headers(headers).context else { return };
    let text = context.to_string();
    let again = propagation::w3c(text.as_bytes(), Some(context.trace_state.as_bytes()));
    let ids = again.as_ref().map(|again| (again.trace_id, again.span_id));
    assert_eq!(ids, Ok((context.trace_id, context.span_id)));
    assert_eq!(again.map(|again| again.trace_state), Ok(context.trace_state));
});
