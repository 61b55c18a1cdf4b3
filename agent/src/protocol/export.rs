//! Requests that deliver spans (OTLP 1.x, "OTLP/HTTP Request" and "OTLP/gRPC"): who makes one has a
//! tracer of its own.

use super::RequestHead;

const CALL: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PATH: &str = "/v1/traces";
const TYPES: [&str; 2] = ["application/x-protobuf", "application/json"];

pub fn delivers_spans(request: &RequestHead) -> bool {
    let path = request.target.split('?').next().unwrap_or_default();
    let content = request.content_type.as_deref().unwrap_or_default();
    let content = content.split(';').next().unwrap_or_default().trim();
    let is_typed = TYPES.iter().any(|one| one.eq_ignore_ascii_case(content));
    request.method == "POST" && (path == CALL || (path.ends_with(PATH) && is_typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_posted_to_a_collector() {
        let check = |method: &str, target: &str, content: Option<&str>, expected: bool| {
            let request = RequestHead {
                method: method.to_owned(),
                target: target.to_owned(),
                content_type: content.map(ToOwned::to_owned),
                ..RequestHead::default()
            };
            assert_eq!(delivers_spans(&request), expected, "{method} {target} {content:?}");
        };
        let (json, protobuf) = (Some("application/json"), Some("Application/X-Protobuf"));
        check("POST", "/v1/traces", protobuf, true);
        check("POST", "/v1/traces?x=y", json, true);
        check("POST", "http://proxied:4318/v1/traces", protobuf, true);
        check("POST", "/otlp/v1/traces", Some("application/json; charset=utf-8"), true);
        check("POST", CALL, Some("application/grpc"), true);
        check("GET", "/v1/traces", json, false);
        check("POST", "/v1/traces", Some("text/html"), false);
        check("POST", "/v1/traces", None, false);
        check("POST", "/v1/metrics", protobuf, false);
        check("POST", "/v1/traces/4bf9", json, false);
        check("", "", None, false);
    }
}
