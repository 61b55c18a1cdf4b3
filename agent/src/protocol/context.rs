//! A list of headers -> the trace context in it. Reads headers only; what a context is, says
//! `propagation`.

use crate::propagation::{self, Context, Malformed};

/// W3C Trace Context §3.3.1.1: more than 512 bytes of state need not be carried; those that come in
/// several headers are not collected beyond it.
const MAX_STATE: usize = 1024;

/// No value of another carrier is longer than this; what is longer is malformed either way.
const MAX_CARRIER: usize = 256;

/// What the headers that carry contexts said, as they came by. The first of a name counts.
#[derive(Debug, Clone, Default)]
pub struct Carriers {
    traceparent: Option<Vec<u8>>,
    traceparents: u32,
    tracestate: Option<Vec<u8>>,
    b3: Option<Vec<u8>>,
    b3_trace_id: Option<Vec<u8>>,
    b3_span_id: Option<Vec<u8>>,
    b3_sampled: Option<Vec<u8>>,
    b3_flags: Option<Vec<u8>>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    pub context: Option<Context>,
    /// A header that carries contexts was there and held none, or there were two of it.
    pub malformed: bool,
}

impl Carriers {
    /// Takes a header if it is one that carries contexts. Names are compared without case.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        // Few names begin so: the rest of the headers costs one comparison each.
        let may_carry = matches!(name.first(), Some(b't' | b'T' | b'b' | b'B' | b'x' | b'X'));
        if !may_carry {
            return;
        }
        let value = value.trim_ascii();
        let is = |carrier: &str| name.eq_ignore_ascii_case(carrier.as_bytes());
        if is("traceparent") {
            self.traceparents = self.traceparents.saturating_add(1);
            keep(&mut self.traceparent, value);
        } else if is("tracestate") {
            join(&mut self.tracestate, value);
        } else if is("b3") {
            keep(&mut self.b3, value);
        } else if is("x-b3-traceid") {
            keep(&mut self.b3_trace_id, value);
        } else if is("x-b3-spanid") {
            keep(&mut self.b3_span_id, value);
        } else if is("x-b3-sampled") {
            keep(&mut self.b3_sampled, value);
        } else if is("x-b3-flags") {
            keep(&mut self.b3_flags, value);
        }
    }

    /// The first carrier that is there decides; the next is asked if it is malformed.
    pub fn found(&self) -> Found {
        let w3c = self.traceparent.as_deref().map(|parent| {
            let single = if self.traceparents == 1 { Ok(parent) } else { Err(Malformed) };
            single.and_then(|parent| propagation::w3c(parent, self.tracestate.as_deref()))
        });
        let single = self.b3.as_deref().filter(|value| !is_decision(value));
        let ids = self.b3_trace_id.as_deref().zip(self.b3_span_id.as_deref());
        let several = ids.map(|(trace_id, span_id)| {
            let (sampled, flags) = (self.b3_sampled.as_deref(), self.b3_flags.as_deref());
            propagation::b3(trace_id, span_id, sampled, flags)
        });
        let mut malformed = false;
        for each in [w3c, single.map(propagation::b3_single), several].into_iter().flatten() {
            match each {
                Ok(context) => return Found { context: Some(context), malformed },
                Err(Malformed) => malformed = true,
            }
        }
        Found { context: None, malformed }
    }
}

/// The context in a list of headers: `traceparent` with `tracestate`, else `b3`, else `x-b3-*`.
pub fn in_headers<'a>(headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Found {
    let mut carriers = Carriers::default();
    headers.into_iter().for_each(|(name, value)| carriers.header(name, value));
    carriers.found()
}

/// B3 without ids says whether to sample. It is no context, and in order.
fn is_decision(value: &[u8]) -> bool {
    matches!(value, b"0" | b"1" | b"d")
}

fn keep(slot: &mut Option<Vec<u8>>, value: &[u8]) {
    slot.get_or_insert_with(|| value.get(..MAX_CARRIER).unwrap_or(value).to_vec());
}

/// Headers of one name are one list (RFC 9110 §5.3).
fn join(slot: &mut Option<Vec<u8>>, value: &[u8]) {
    let list = slot.get_or_insert_default();
    if list.len() + value.len() > MAX_STATE {
        // Longer than what may be dropped: `propagation` drops it as a whole.
        list.resize(MAX_STATE, b',');
        return;
    }
    if !list.is_empty() && !value.is_empty() {
        list.push(b',');
    }
    list.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const W3C: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const B3: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-1";

    fn found(headers: &[(&str, &str)]) -> Found {
        in_headers(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
    }

    #[test]
    fn the_first_carrier_that_holds_a_context_decides() {
        let check = |headers: &[(&str, &str)], span: Option<&str>, malformed: bool| {
            let found = found(headers);
            let id = found.context.map(|context| context.span_id.to_string());
            assert_eq!((id.as_deref(), found.malformed), (span, malformed), "{headers:?}");
        };
        check(&[], None, false);
        check(&[("accept", "*/*"), ("te", "trailers")], None, false);
        check(&[("b3", B3), ("traceparent", W3C)], Some("00f067aa0ba902b7"), false);
        check(&[("TraceParent", W3C)], Some("00f067aa0ba902b7"), false);
        check(&[("traceparent", " x "), ("B3", B3)], Some("00f067aa0ba902b8"), true);
        check(&[("traceparent", W3C), ("Traceparent", W3C)], None, true);
        check(&[("traceparent", "")], None, true);
        check(&[("traceparent", &W3C.repeat(9))], None, true);
        let (trace, span) =
            (("X-B3-TraceId", "4bf92f3577b34da6"), ("x-b3-spanid", "0f067aa0ba902b9a"));
        check(&[trace, span], Some("0f067aa0ba902b9a"), false);
        check(&[trace], None, false);
        check(&[trace, ("X-B3-SpanId", "short")], None, true);
        check(&[("b3", "0")], None, false);
        check(&[("b3", "0"), trace, span], Some("0f067aa0ba902b9a"), false);
        check(&[("b3", "zero")], None, true);
    }

    #[test]
    fn states_are_joined_in_order() {
        let check = |states: &[&str], expected: &str| {
            let mut headers = vec![("traceparent", W3C)];
            headers.extend(states.iter().map(|state| ("TraceState", *state)));
            assert_eq!(&*found(&headers).context.unwrap().trace_state, expected, "{states:?}");
        };
        check(&[], "");
        check(&["a=1"], "a=1");
        check(&["a=1", " b=2,c=3 ", "", "d=4"], "a=1,b=2,c=3,d=4");
        check(&["a=1", &"b".repeat(2000)], "");
        check(&[&"b".repeat(1000), &"c".repeat(1000), "d=4"], "");
    }
}
