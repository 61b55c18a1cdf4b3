//! Masks secrets: the only maker of [`CleanSpan`], the only kind of span that may leave the host.
//!
//! It replaces what looks like a secret by `[REDACTED]` and keeps the rest of the line readable. It
//! refuses to be exact: where a secret and a harmless word look alike, it masks.

mod command;
mod entry;
mod mask;
mod name;
mod pair;
mod program;
mod shell;
mod text;
mod token;
mod url;
mod value;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod cases_text;

use std::borrow::Cow;

use self::command::{Depth, Hit};
use self::mask::Masks;
use self::name::meaning;
use crate::span::{Attribute, Span, Value, key};

/// The name after these decides about the value. Header attributes end in the header's name.
const NAMED_BY_SUFFIX: [&str; 3] =
    [key::ENVIRONMENT_PREFIX, "http.request.header.", "http.response.header."];

/// A span whose strings went through the [`Redactor`].
#[derive(Debug, Clone, PartialEq)]
pub struct CleanSpan(Span);

impl CleanSpan {
    /// The span itself, for `otlp` alone: taken out it could be written to, and would lose what the
    /// type promises.
    pub(crate) fn into_span(self) -> Span {
        self.0
    }

    pub fn span(&self) -> &Span {
        &self.0
    }
}

/// The built-in rules. There is nothing to configure yet.
#[derive(Debug, Clone, Default)]
pub struct Redactor(());

impl Redactor {
    /// Strings without a secret are moved, not copied.
    pub fn clean(&self, mut span: Span) -> CleanSpan {
        let mut masks = Masks::default();
        clean_text(&mut span.name, &mut masks);
        text::scan(&span.trace_state, &mut masks);
        if masks.until() > 0 {
            let mut trace_state = String::from(&*span.trace_state);
            masks.apply(&mut trace_state);
            span.trace_state = trace_state.into();
        }
        for attribute in &mut span.attributes {
            clean_attribute(attribute, &mut masks);
        }
        // The names of events are ours, `&'static str`: nothing of the traced program is in them.
        for attribute in span.events.iter_mut().flat_map(|event| &mut event.attributes) {
            clean_attribute(attribute, &mut masks);
        }
        CleanSpan(span)
    }
}

fn clean_attribute(attribute: &mut Attribute, masks: &mut Masks) {
    if let Cow::Owned(key) = &mut attribute.key {
        clean_text(key, masks);
    }
    let key = &*attribute.key;
    match &mut attribute.value {
        Value::StrList(arguments) if key == key::PROCESS_COMMAND_ARGS => {
            clean_arguments(arguments, masks);
        }
        Value::Str(text) => clean_named(key, text, masks),
        Value::StrList(list) => {
            for text in list {
                clean_named(key, text, masks);
            }
        }
        Value::Int(_) | Value::Bool(_) => {}
    }
}

fn clean_named(key: &str, text: &mut String, masks: &mut Masks) {
    let name = NAMED_BY_SUFFIX.iter().find_map(|prefix| key.strip_prefix(prefix));
    if let Some(name) = name {
        masks.add_some(meaning(name.as_bytes()).whole(text.as_bytes()));
    }
    clean_text(text, masks);
}

fn clean_text(text: &mut String, masks: &mut Masks) {
    text::scan(text, masks);
    masks.apply(text);
}

fn clean_arguments(arguments: &mut [String], masks: &mut Masks) {
    let mut hits: Vec<Hit> = Vec::new();
    command::command(arguments, Depth::default(), &mut hits);
    hits.sort_unstable_by_key(|hit| hit.argument);
    let mut hits = hits.into_iter().peekable();
    for (place, text) in arguments.iter_mut().enumerate() {
        text::scan(text, masks);
        while let Some(hit) = hits.next_if(|hit| hit.argument == place) {
            masks.add(hit.range);
        }
        masks.apply(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{SpanId, TraceId};
    use crate::propagation::Upstream;
    use crate::span::{SpanEvent, SpanKind, Status, UnixNanos};

    fn attribute(key: &str, value: impl Into<Value>) -> Attribute {
        Attribute { key: Cow::Owned(key.to_owned()), value: value.into() }
    }

    fn check(input: Attribute, expected: Attribute) {
        let mut masked = input;
        clean_attribute(&mut masked, &mut Masks::default());
        assert_eq!(masked, expected);
    }

    #[test]
    fn names_of_attributes_decide() {
        let variable = |name: &str, value: &str| {
            attribute(&format!("process.environment_variable.{name}"), value)
        };
        check(variable("DB_PASSWORD", "a b"), variable("DB_PASSWORD", "[REDACTED]"));
        check(variable("API_TOKEN", "$x"), variable("API_TOKEN", "[REDACTED]"));
        check(variable("HTTP_AUTH", "me:x"), variable("HTTP_AUTH", "[REDACTED]"));
        check(variable("URL", "http://u:x@h/"), variable("URL", "http://u:[REDACTED]@h/"));
        check(variable("PWD", "/home/me"), variable("PWD", "/home/me"));
        check(variable("PATH", "/a:/b"), variable("PATH", "/a:/b"));
        let header =
            |value: &str| attribute("http.request.header.authorization", vec![value.to_owned()]);
        check(header("Bearer x"), header("Bearer [REDACTED]"));
        check(attribute("a?token=x", 1_i64), attribute("a?token=[REDACTED]", 1_i64));
    }

    /// Every string of a span: a new field must be thought of here.
    fn span(url: &str, last: &str) -> Option<Span> {
        let line = || {
            let line = vec!["mysql".to_owned(), last.to_owned()];
            vec![attribute(key::PROCESS_COMMAND_ARGS, line)]
        };
        Some(Span {
            trace_id: TraceId::new([1; 16])?,
            span_id: SpanId::new([1; 8])?,
            parent: None,
            parent_is_remote: false,
            upstream: Upstream::Open,
            trace_state: format!("a={url}").into(),
            name: url.to_owned(),
            kind: SpanKind::Internal,
            start: UnixNanos(1),
            end: UnixNanos(2),
            attributes: line(),
            events: vec![SpanEvent { name: "exec", time: UnixNanos(1), attributes: line() }],
            dropped_events: 0,
            status: Status::Unset,
            records: 1,
            resource: None,
        })
    }

    #[test]
    fn every_string_of_a_span_is_cleaned() {
        let clean = span("http://u:x@h", "-px").map(|span| Redactor::default().clean(span));
        let expected = span("http://u:[REDACTED]@h", "-p[REDACTED]");
        assert_eq!(clean.as_ref().map(CleanSpan::span), expected.as_ref());
    }

    #[test]
    fn nothing_is_copied_where_nothing_is_masked() {
        let mut arguments = vec!["ls".to_owned(), "--token-ttl=5".to_owned()];
        let places: Vec<*const u8> = arguments.iter().map(|text| text.as_ptr()).collect();
        clean_arguments(&mut arguments, &mut Masks::default());
        assert!(arguments.iter().map(|text| text.as_ptr()).eq(places));
    }
}
