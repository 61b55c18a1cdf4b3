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

/// A label, and the answer at its end, if it is that of a request.
pub(super) fn apart(label: &str) -> (&str, &str) {
    label.rfind(" \u{2192} ").map_or((label, ""), |at| label.split_at(at))
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

#[cfg(test)]
mod tests {
    use super::super::{
        Fold,
        tests::{check, plain, process},
    };
    use super::*;
    use crate::span::Attribute;

    const MS: u64 = 1_000_000;

    #[test]
    fn requests_are_lines_below_their_process() {
        let request = |id: u64, kind, name: &str, attributes: Vec<Attribute>, time| Span {
            kind,
            name: name.to_owned(),
            attributes,
            ..process(id, 1, "x", time)
        };
        let status = |status: u32| Attribute::new(key::HTTP_RESPONSE_STATUS_CODE, status);
        let url = Attribute::new(key::URL_FULL, "http://api.example/v1");
        let long = Attribute::new(key::URL_FULL, "http://api.example/a/path/of/which/not/all/fits");
        let failed = vec![url, status(503)];
        let served = vec![
            Attribute::new(key::URL_PATH, "/in"),
            Attribute::new(key::URL_QUERY, "a=b"),
            status(200),
        ];
        let call = vec![
            Attribute::new(key::RPC_SYSTEM_NAME, "grpc"),
            Attribute::new(key::RPC_RESPONSE_STATUS_CODE, "OK"),
        ];
        let refused = vec![
            Attribute::new(key::SERVER_ADDRESS, "db"),
            Attribute::new(key::SERVER_PORT, 5432_u32),
            Attribute::new(key::ERROR_TYPE, "connection_refused"),
        ];
        check(
            &[
                request(2, SpanKind::Client, "GET", failed, 10 * MS..51 * MS),
                request(3, SpanKind::Server, "POST", served, 60 * MS..80 * MS),
                request(4, SpanKind::Client, "shop.Cart/Add", call, 81 * MS..90 * MS),
                request(5, SpanKind::Client, "connect", refused, 91 * MS..92 * MS),
                request(6, SpanKind::Client, "DELETE", vec![long, status(404)], 93 * MS..95 * MS),
                process(1, 0, "app", 0..100 * MS),
            ],
            &plain(100, Fold::Folded),
            r"
trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b · 100 ms · 1 process · 5 other spans
                                           ┊0                      ┊50 ms
● app                                      ━━━━━────────────────────━━━━╾─────────╾────╾╾╼━━  100 ms
├● GET api.example/v1 → 503                ┊   ╺━━━━━━━━━━━━━━━━━━━━                           41 ms
├● serves POST /in?a=b → 200               ┊                       ┊    ━━━━━━━━━━╸            20 ms
├● shop.Cart/Add → OK                      ┊                       ┊              ╺━━━━╸      9.0 ms
├● connect db:5432 → connection_refused    ┊                       ┊                   ╺╸     1.0 ms
└● DELETE api.example/a/path/of/wh… → 404  ┊                       ┊                    ╺━    2.0 ms
● ━ critical path: what the run waited for
",
        );
    }
}
