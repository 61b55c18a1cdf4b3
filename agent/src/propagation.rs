//! Trace contexts as text: W3C Trace Context and B3. Read, never written onto a wire.

use std::{fmt, sync::Arc};

use crate::id::{SpanId, TraceId};

/// Whether whoever made the context records it. An unsaid decision is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    Open,
    Sampled,
    NotSampled,
}

/// A span of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub upstream: Upstream,
    /// W3C `tracestate`, as it came; shared by all spans below.
    pub trace_state: Arc<str>,
}

/// The value was there and is no context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Context {
    /// As a `traceparent` header (W3C Trace Context §3.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.upstream != Upstream::NotSampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }
}

/// W3C Trace Context §3.2: `version-traceid-parentid-flags`, lower-case hex. A later version may
/// have more fields behind; version ff and upper case are invalid.
pub fn w3c(traceparent: &[u8], tracestate: Option<&[u8]>) -> Result<Context, Malformed> {
    let mut fields = traceparent.split(|byte| *byte == b'-');
    let mut field = |len: usize| {
        fields.next().filter(|field| field.len() == len && is_lower_hex(field)).ok_or(Malformed)
    };
    let (version, trace_id, span_id, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    if version == b"ff" || (version == b"00" && traceparent.len() != 55) {
        return Err(Malformed);
    }
    let [flags] = hex(flags).ok_or(Malformed)?;
    Ok(Context {
        trace_id: hex(trace_id).and_then(TraceId::new).ok_or(Malformed)?,
        span_id: hex(span_id).and_then(SpanId::new).ok_or(Malformed)?,
        upstream: if flags & 1 == 1 { Upstream::Sampled } else { Upstream::NotSampled },
        trace_state: state(tracestate),
    })
}

/// B3 in one value: `traceid-spanid[-state[-parentid]]`. A state alone (`0`) is no context.
pub fn b3_single(value: &[u8]) -> Result<Context, Malformed> {
    let mut fields = value.split(|byte| *byte == b'-');
    let (trace_id, span_id) = (fields.next(), fields.next().ok_or(Malformed)?);
    b3(trace_id.unwrap_or_default(), span_id, fields.next(), None)
}

/// B3 in several values. `flags` `1` means debug, which implies sampled.
pub fn b3(
    trace_id: &[u8],
    span_id: &[u8],
    sampled: Option<&[u8]>,
    flags: Option<&[u8]>,
) -> Result<Context, Malformed> {
    let trace_id = match trace_id.len() {
        32 => hex(trace_id),
        16 => hex::<8>(trace_id).map(|low| {
            let mut padded = [0; 16];
            padded[8..].copy_from_slice(&low);
            padded
        }),
        _ => None,
    };
    let upstream = match (flags, sampled) {
        (Some(b"1"), _) | (_, Some(b"1" | b"d" | b"true")) => Upstream::Sampled,
        (_, Some(b"0" | b"false")) => Upstream::NotSampled,
        (_, None) => Upstream::Open,
        (_, Some(_)) => return Err(Malformed),
    };
    Ok(Context {
        trace_id: trace_id.and_then(TraceId::new).ok_or(Malformed)?,
        span_id: hex(span_id).and_then(SpanId::new).ok_or(Malformed)?,
        upstream,
        trace_state: state(None),
    })
}

/// W3C Trace Context §3.3.1.3.1 asks to carry at least 512 characters; a longer or unprintable one
/// is dropped, which leaves the context valid.
fn state(tracestate: Option<&[u8]>) -> Arc<str> {
    tracestate
        .filter(|state| state.len() <= 512)
        .filter(|state| state.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')))
        .and_then(|state| std::str::from_utf8(state).ok())
        .unwrap_or_default()
        .into()
}

fn is_lower_hex(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn traceparent_is_read_as_the_recommendation_says() {
        let check = |value: String, expected: Result<Upstream, Malformed>| {
            let read = w3c(value.as_bytes(), Some(b"a=1")).map(|context| {
                assert_eq!(context.trace_id.to_string(), TRACE);
                assert_eq!(context.span_id.to_string(), SPAN);
                assert_eq!(&*context.trace_state, "a=1");
                context.upstream
            });
            assert_eq!(read, expected, "{value}");
        };
        check(format!("00-{TRACE}-{SPAN}-01"), Ok(Upstream::Sampled));
        check(format!("00-{TRACE}-{SPAN}-00"), Ok(Upstream::NotSampled));
        check(format!("00-{TRACE}-{SPAN}-03"), Ok(Upstream::Sampled));
        check(format!("01-{TRACE}-{SPAN}-01-more"), Ok(Upstream::Sampled));
        check(format!("00-{TRACE}-{SPAN}-01-more"), Err(Malformed));
        check(format!("ff-{TRACE}-{SPAN}-01"), Err(Malformed));
        check(format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), Err(Malformed));
        check(format!("00-{}-{SPAN}-01", "0".repeat(32)), Err(Malformed));
        check(format!("00-{TRACE}-{}-01", "0".repeat(16)), Err(Malformed));
        check(format!("00-{TRACE}-{SPAN}"), Err(Malformed));
        check(String::new(), Err(Malformed));
    }

    #[test]
    fn b3_is_read_in_both_forms() {
        let single = |value: String| b3_single(value.as_bytes()).map(|context| context.upstream);
        assert_eq!(single(format!("{TRACE}-{SPAN}-1")), Ok(Upstream::Sampled));
        assert_eq!(single(format!("{TRACE}-{SPAN}-d")), Ok(Upstream::Sampled));
        assert_eq!(single(format!("{TRACE}-{SPAN}-0-{SPAN}")), Ok(Upstream::NotSampled));
        assert_eq!(single(format!("{TRACE}-{SPAN}")), Ok(Upstream::Open));
        assert_eq!(single("0".to_owned()), Err(Malformed));
        let short = b3(&TRACE.as_bytes()[..16], SPAN.as_bytes(), None, Some(b"1"));
        assert_eq!(
            short.map(|context| (context.trace_id.to_string(), context.upstream)),
            Ok((format!("{}{}", "0".repeat(16), &TRACE[..16]), Upstream::Sampled))
        );
        assert_eq!(b3(b"xyz", SPAN.as_bytes(), None, None), Err(Malformed));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(w3c(text.as_bytes(), None).map(|context| context.to_string()), Ok(text));
    }

    #[test]
    fn a_tracestate_that_is_no_text_is_dropped() {
        let text = format!("00-{TRACE}-{SPAN}-01");
        let context = w3c(text.as_bytes(), Some(b"a=\n")).unwrap();
        assert_eq!(&*context.trace_state, "");
    }
}
