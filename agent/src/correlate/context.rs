//! Which context a process runs under: the one in its environment, or its ancestor's.

use crate::{id::SpanId, propagation::Context};

/// The context in a process's own environment counts only where it differs from the one in its
/// parent process's: then something between the two opened a span for it (a CI runner, an
/// executor, `otel-cli`). Where it is the same it was merely inherited, and the nearest traced
/// ancestor is the better parent. A context that names the span itself was put there by us.
pub fn chosen<'a>(
    own: Option<&'a Context>,
    inherited: Option<&Context>,
    span_id: SpanId,
) -> Option<&'a Context> {
    let own = own.filter(|own| own.span_id != span_id)?;
    let same = inherited.is_some_and(|inherited| {
        inherited.trace_id == own.trace_id && inherited.span_id == own.span_id
    });
    (!same).then_some(own)
}
