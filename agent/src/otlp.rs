//! Clean spans -> OTLP requests, as protobuf messages and as JSON lines.
//!
//! Takes nothing but [`CleanSpan`]s: what was not redacted cannot be encoded.

use std::{collections::HashMap, sync::Arc};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    resource::v1,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span as OtlpSpan, Status as OtlpStatus,
        span::{Event, SpanKind as OtlpKind},
        status::StatusCode,
    },
};

use crate::{
    propagation::Upstream,
    redact::CleanSpan,
    span::{Attribute, Resource, Span, SpanKind, Status, Value},
};

/// W3C trace flags in bits 0–7, and in bits 8–9 whether the parent is remote and whether that is
/// known (opentelemetry/proto/trace/v1/trace.proto, `SpanFlags`).
mod flags {
    pub(super) const SAMPLED: u32 = 0x01;
    pub(super) const REMOTE_IS_KNOWN: u32 = 0x100;
    pub(super) const REMOTE: u32 = 0x200;
}

/// One request with all the spans, those of one resource together. `common` is that of spans that name
/// none.
pub fn request(common: &Resource, spans: Vec<CleanSpan>) -> ExportTraceServiceRequest {
    let mut groups: Vec<(Option<Arc<Resource>>, Vec<OtlpSpan>)> = Vec::new();
    let mut places: HashMap<Option<*const Resource>, usize> = HashMap::new();
    for span in spans {
        let mut span = span.into_span();
        let resource = span.resource.take();
        let place = *places.entry(resource.as_ref().map(Arc::as_ptr)).or_insert_with(|| {
            groups.push((resource, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, group)) = groups.get_mut(place) {
            group.push(encoded(span));
        }
    }
    let resource_spans = groups
        .into_iter()
        .map(|(resource, spans)| resource_spans(resource.as_deref().unwrap_or(common), spans));
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn resource_spans(resource: &Resource, spans: Vec<OtlpSpan>) -> ResourceSpans {
    let scope_spans = ScopeSpans { scope: Some(scope()), spans, schema_url: String::new() };
    ResourceSpans {
        resource: Some(encoded_resource(resource)),
        scope_spans: vec![scope_spans],
        schema_url: opentelemetry_semantic_conventions::SCHEMA_URL.to_owned(),
    }
}

/// Who says it.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "lynceus".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

pub(crate) fn encoded_resource(resource: &Resource) -> v1::Resource {
    v1::Resource { attributes: attributes(resource.attributes.clone()), ..v1::Resource::default() }
}

/// One line of OTLP/JSON, with its line feed, as the Collector's file exporter writes it.
pub fn json_line(request: &ExportTraceServiceRequest) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    Ok(line)
}

fn encoded(span: Span) -> OtlpSpan {
    let remote = if span.parent_is_remote { flags::REMOTE } else { 0 };
    let sampled = if span.upstream == Upstream::NotSampled { 0 } else { flags::SAMPLED };
    OtlpSpan {
        trace_id: span.trace_id.as_bytes().to_vec(),
        span_id: span.span_id.as_bytes().to_vec(),
        trace_state: span.trace_state.to_string(),
        parent_span_id: span.parent.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        flags: sampled | flags::REMOTE_IS_KNOWN | remote,
        name: span.name,
        kind: match span.kind {
            SpanKind::Internal => OtlpKind::Internal.into(),
            SpanKind::Client => OtlpKind::Client.into(),
            SpanKind::Server => OtlpKind::Server.into(),
        },
        start_time_unix_nano: span.start.0,
        end_time_unix_nano: span.end.0,
        attributes: attributes(span.attributes),
        events: span
            .events
            .into_iter()
            .map(|event| Event {
                time_unix_nano: event.time.0,
                name: event.name.to_owned(),
                attributes: attributes(event.attributes),
                dropped_attributes_count: 0,
            })
            .collect(),
        dropped_events_count: span.dropped_events,
        status: match span.status {
            Status::Unset => None,
            Status::Error => {
                Some(OtlpStatus { code: StatusCode::Error.into(), message: String::new() })
            }
        },
        ..OtlpSpan::default()
    }
}

pub(crate) fn attributes(attributes: Vec<Attribute>) -> Vec<KeyValue> {
    attributes
        .into_iter()
        .map(|attribute| KeyValue {
            key: attribute.key.into_owned(),
            value: Some(AnyValue { value: Some(value(attribute.value)) }),
            ..KeyValue::default()
        })
        .collect()
}

fn value(value: Value) -> any_value::Value {
    use any_value::Value as Any;
    match value {
        Value::Str(text) => Any::StringValue(text),
        Value::Int(number) => Any::IntValue(number),
        Value::Bool(truth) => Any::BoolValue(truth),
        Value::StrList(list) => Any::ArrayValue(ArrayValue {
            values: list
                .into_iter()
                .map(|text| AnyValue { value: Some(Any::StringValue(text)) })
                .collect(),
        }),
    }
}

/// Reads `OTEL_RESOURCE_ATTRIBUTES`: `key=value` pairs with commas between them, values
/// percent-encoded (Resource SDK specification). A wrong pair discards the whole, as it says.
pub fn resource_attributes(text: &str) -> Option<HashMap<String, String>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((percent_decoded(key.trim())?, percent_decoded(value.trim())?))
        })
        .collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{SpanId, TraceId},
        redact::Redactor,
        span::UnixNanos,
    };

    fn of(name: &str, resource: Option<&Arc<Resource>>) -> CleanSpan {
        Redactor::default().clean(Span {
            trace_id: TraceId::derive("trace", &[]),
            span_id: SpanId::derive("span", &[name.as_bytes()]),
            parent: None,
            parent_is_remote: false,
            upstream: Upstream::Open,
            trace_state: Arc::default(),
            name: name.to_owned(),
            kind: SpanKind::Internal,
            start: UnixNanos(1),
            end: UnixNanos(2),
            attributes: Vec::new(),
            events: Vec::new(),
            dropped_events: 0,
            status: Status::Unset,
            records: 1,
            resource: resource.map(Arc::clone),
        })
    }

    #[test]
    fn what_is_of_one_container_is_sent_with_one_resource() {
        let resource = |name: &'static str| {
            let attributes = vec![Attribute::new("k8s.container.name", name)];
            Arc::new(Resource { attributes })
        };
        let (left, right) = (resource("left"), resource("right"));
        let (of_left, of_right) = (Some(&left), Some(&right));
        let all = [("a", of_left), ("b", of_right), ("c", None), ("d", of_left), ("e", of_right)];
        let spans = all.map(|(name, resource)| of(name, resource)).into();
        let common = Resource { attributes: vec![Attribute::new("host.name", "node1")] };
        let sent = request(&common, spans).resource_spans;
        let check = |nth: usize, resource: &Resource, expected: &[&str]| {
            let spans = sent[nth].scope_spans.iter().flat_map(|scope| &scope.spans);
            let names: Vec<&str> = spans.map(|span| span.name.as_str()).collect();
            assert_eq!(names, expected);
            assert_eq!(sent[nth].resource, Some(encoded_resource(resource)));
        };
        check(0, &left, &["a", "d"]);
        check(1, &right, &["b", "e"]);
        check(2, &common, &["c"]);
        assert_eq!(sent.len(), 3);
    }

    #[test]
    fn resource_attributes_are_read_as_the_specification_says() {
        let check = |text: &str, expected: Option<&[(&str, &str)]>| {
            let expected: Option<HashMap<String, String>> = expected.map(|pairs| {
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
            });
            assert_eq!(resource_attributes(text), expected, "{text}");
        };
        check("", Some(&[]));
        check("a=b, c=d%2Ce", Some(&[("a", "b"), ("c", "d,e")]));
        check("a=b=c", Some(&[("a", "b=c")]));
        check("a", None);
        check("a=%zz", None);
        check("a=%c3%a9", Some(&[("a", "\u{e9}")]));
        check("a=%f", None);
    }
}
