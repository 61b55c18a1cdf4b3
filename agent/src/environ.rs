//! The environment of a process -> the few variables that tracing wants. All others are dropped
//! here: no later type has room for them.

use crate::{
    event::Strings,
    propagation::{self, Context, Malformed},
};

/// Names of variables that may be exported as attributes. Empty unless the user says otherwise.
#[derive(Debug, Clone, Default)]
pub struct AllowList(pub Vec<String>);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environ {
    pub context: Option<Context>,
    /// A standard name was there and held no context.
    pub malformed: u32,
    pub allowed: Vec<(String, String)>,
}

/// The variables that carry a context. The first of a name counts, as in `getenv`.
#[derive(Default)]
struct Carriers<'a> {
    traceparent: Option<&'a [u8]>,
    tracestate: Option<&'a [u8]>,
    b3: Option<&'a [u8]>,
    b3_trace_id: Option<&'a [u8]>,
    b3_span_id: Option<&'a [u8]>,
    b3_sampled: Option<&'a [u8]>,
    b3_flags: Option<&'a [u8]>,
    argo: Option<&'a [u8]>,
}

/// Names as OpenTelemetry's "Environment Variables as Context Propagation Carriers" normalises
/// them; the last is what a prototype of Argo Workflows used.
const CARRIERS: [&str; 8] = [
    "TRACEPARENT",
    "TRACESTATE",
    "B3",
    "X_B3_TRACEID",
    "X_B3_SPANID",
    "X_B3_SAMPLED",
    "X_B3_FLAGS",
    "ARGO_OTEL_traceparent",
];

impl<'a> Carriers<'a> {
    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        Some(match name {
            b"TRACEPARENT" => &mut self.traceparent,
            b"TRACESTATE" => &mut self.tracestate,
            b"B3" => &mut self.b3,
            b"X_B3_TRACEID" => &mut self.b3_trace_id,
            b"X_B3_SPANID" => &mut self.b3_span_id,
            b"X_B3_SAMPLED" => &mut self.b3_sampled,
            b"X_B3_FLAGS" => &mut self.b3_flags,
            b"ARGO_OTEL_traceparent" => &mut self.argo,
            _ => return None,
        })
    }

    /// The first carrier that is there decides; the next is asked if it is malformed.
    fn context(&self) -> (Option<Context>, u32) {
        let w3c = |parent| propagation::w3c(parent, self.tracestate);
        let b3 = self.b3_trace_id.zip(self.b3_span_id).map(|(trace_id, span_id)| {
            propagation::b3(trace_id, span_id, self.b3_sampled, self.b3_flags)
        });
        let read: [Option<Result<Context, Malformed>>; 4] = [
            self.traceparent.map(w3c),
            self.b3.map(propagation::b3_single),
            b3,
            self.argo.map(w3c),
        ];
        let mut malformed = 0;
        for each in read.into_iter().flatten() {
            match each {
                Ok(context) => return (Some(context), malformed),
                Err(Malformed) => malformed += 1,
            }
        }
        (None, malformed)
    }
}

pub fn read(env: &Strings<'_>, allow: &AllowList) -> Environ {
    let mut carriers = Carriers::default();
    let mut allowed = Vec::new();
    for variable in env.iter() {
        // Few names begin so: the rest of the environment costs one comparison each.
        let may_carry = matches!(variable.first(), Some(b'T' | b'B' | b'X' | b'A'));
        if !may_carry && allow.0.is_empty() {
            continue;
        }
        let Some(equals) = memchr::memchr(b'=', variable) else { continue };
        let (name, rest) = variable.split_at(equals);
        let value = rest.get(1..).unwrap_or_default();
        if may_carry && let Some(slot @ None) = carriers.slot(name) {
            *slot = Some(value);
        }
        if let Some(name) = allow.0.iter().find(|allowed| allowed.as_bytes() == name) {
            allowed.push((name.clone(), String::from_utf8_lossy(value).into_owned()));
        }
    }
    let (context, malformed) = carriers.context();
    Environ { context, malformed, allowed }
}

/// The context in an environment that is asked by name: our own.
pub fn context_of(get: &dyn Fn(&str) -> Option<String>) -> Option<Context> {
    let mut bytes = Vec::new();
    for name in CARRIERS {
        if let Some(value) = get(name) {
            bytes.extend(format!("{name}={value}\0").into_bytes());
        }
    }
    read(&Strings { bytes: bytes.into(), cut_bytes: 0 }, &AllowList::default()).context
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    const W3C: &str = "TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const B3: &str = "B3=4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-1";

    fn environ(variables: &[&str], allow: &[&str]) -> Environ {
        let bytes: Vec<u8> = variables.iter().flat_map(|each| each.bytes().chain([0])).collect();
        let allow = AllowList(allow.iter().map(|name| (*name).to_owned()).collect());
        read(&Strings { bytes: Cow::Owned(bytes), cut_bytes: 0 }, &allow)
    }

    #[test]
    fn the_standard_name_comes_first() {
        let check = |variables: &[&str], span: Option<&str>, malformed: u32| {
            let found = environ(variables, &[]);
            let id = found.context.map(|context| context.span_id.to_string());
            assert_eq!((id.as_deref(), found.malformed), (span, malformed), "{variables:?}");
        };
        check(&["PATH=/bin", B3, W3C], Some("00f067aa0ba902b7"), 0);
        check(&[B3, "TRACEPARENT=garbage"], Some("00f067aa0ba902b8"), 1);
        check(&["TRACEPARENT=", "HOME=/"], None, 1);
        check(&["traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"], None, 0);
        check(
            &["X_B3_TRACEID=4bf92f3577b34da6", "X_B3_SPANID=00f067aa0ba902b9"],
            Some("00f067aa0ba902b9"),
            0,
        );
        check(&["X_B3_TRACEID=4bf92f3577b34da6"], None, 0);
        let argo = W3C.replace("TRACEPARENT", "ARGO_OTEL_traceparent");
        check(&[&argo], Some("00f067aa0ba902b7"), 0);
        check(&["TRACEPARENT", "=x", ""], None, 0);
    }

    #[test]
    fn only_allowed_variables_are_kept() {
        let found = environ(&["SECRET=a", "STAGE=prod=1", "PASSWORD=b"], &["STAGE"]);
        assert_eq!(found.allowed, [("STAGE".to_owned(), "prod=1".to_owned())]);
    }

    #[test]
    fn tracestate_comes_along() {
        let found = environ(&["TRACESTATE=workflow=ns/x", W3C], &[]);
        assert_eq!(&*found.context.unwrap().trace_state, "workflow=ns/x");
    }
}
