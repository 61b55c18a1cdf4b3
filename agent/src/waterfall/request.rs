//! The one line of text that an exchange gets: what was asked for, and the answer.

use crate::span::{Span, SpanKind, Value, key};

/// `GET api.example/v1 → 503`, with `serves` in front at the server. `None` for other spans.
pub(super) fn label(span: &Span) -> Option<String> {
    let what = match span.kind {
        SpanKind::Internal => return None,
        SpanKind::Client | SpanKind::Server => asked(span),
    };
    let by = if span.kind == SpanKind::Server { "serves " } else { "" };
    Some(match answer(span) {
        Some(answer) => format!("{by}{what} \u{2192} {answer}"),
        None => format!("{by}{what}"),
    })
}

fn asked(span: &Span) -> String {
    let method = original_method(span);
    if span.attribute(key::RPC_SYSTEM_NAME).is_some() {
        return method.to_owned();
    }
    let target = text(span, key::URL_FULL)
        .map(|url| url.split_once("://").map_or(url, |(_, rest)| rest).to_owned())
        .or_else(|| {
            let query = text(span, key::URL_QUERY).map(|query| format!("?{query}"));
            Some(format!("{}{}", text(span, key::URL_PATH)?, query.unwrap_or_default()))
        })
        .or_else(|| {
            let port = number(span, key::SERVER_PORT).map(|port| format!(":{port}"));
            Some(format!("{}{}", text(span, key::SERVER_ADDRESS)?, port.unwrap_or_default()))
        });
    match target {
        Some(target) => format!("{method} {target}"),
        None => method.to_owned(),
    }
}

fn original_method(span: &Span) -> &str {
    text(span, key::HTTP_REQUEST_METHOD_ORIGINAL).unwrap_or(&span.name)
}

fn answer(span: &Span) -> Option<String> {
    number(span, key::HTTP_RESPONSE_STATUS_CODE)
        .map(|status| status.to_string())
        .or_else(|| text(span, key::RPC_RESPONSE_STATUS_CODE).map(ToOwned::to_owned))
        .or_else(|| text(span, key::ERROR_TYPE).map(ToOwned::to_owned))
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match span.attribute(key)? {
        Value::Str(text) => Some(text),
        Value::Int(_) | Value::Bool(_) | Value::StrList(_) => None,
    }
}

fn number(span: &Span, key: &str) -> Option<i64> {
    match span.attribute(key)? {
        Value::Int(number) => Some(*number),
        Value::Str(_) | Value::Bool(_) | Value::StrList(_) => None,
    }
}
