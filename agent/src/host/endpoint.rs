//! Options and the environment -> to whom to export, and how.
//!
//! Variables and their precedence: OpenTelemetry specification, "OTLP Exporter".

use std::time::Duration;

use super::{
    cli::Protocol,
    config::{ConfigError, Environment},
};
use crate::otlp::resource_attributes;

/// Where spans go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub protocol: Protocol,
    /// For gRPC the origin, for HTTP the whole URL.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    pub compression: Compression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
}

/// The endpoint that the option or the environment names, if any.
pub fn endpoint(
    option: Option<&str>,
    protocol: Option<Protocol>,
    environment: &Environment<'_>,
) -> Result<Option<Endpoint>, ConfigError> {
    let traces = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let any = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT");
    let off = environment.get("OTEL_TRACES_EXPORTER").is_some_and(|name| name.trim() == "none")
        || environment.get("OTEL_SDK_DISABLED").is_some_and(|value| value == "true");
    // Whether the URL is used as it is, or is a base that the signal's path is added to.
    let (url, whole) = match (option, traces, any) {
        (Some(url), _, _) => (url.to_owned(), has_path(url)),
        _ if off => return Ok(None),
        (None, Some(url), _) => (url, true),
        (None, None, Some(url)) => (url, false),
        (None, None, None) => return Ok(None),
    };
    let url = url.trim().to_owned();
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(ConfigError::Url(url));
    }
    let protocol = match protocol {
        Some(protocol) => protocol,
        None => protocol_named(environment)?.unwrap_or_else(|| protocol_by_port(&url)),
    };
    let url = match protocol {
        Protocol::HttpProtobuf if !whole => format!("{}/v1/traces", url.trim_end_matches('/')),
        Protocol::Grpc | Protocol::HttpProtobuf => url,
    };
    Ok(Some(Endpoint {
        protocol,
        url,
        headers: headers(environment)?,
        timeout: timeout(environment)?,
        compression: compression(environment)?,
    }))
}

fn has_path(url: &str) -> bool {
    let origin = url.split_once("://").map_or(url, |(_, rest)| rest);
    origin.split_once('/').is_some_and(|(_, path)| !path.is_empty())
}

fn protocol_named(environment: &Environment<'_>) -> Result<Option<Protocol>, ConfigError> {
    let Some(name) = environment.otlp("PROTOCOL") else { return Ok(None) };
    match name.trim() {
        "grpc" => Ok(Some(Protocol::Grpc)),
        "http/protobuf" => Ok(Some(Protocol::HttpProtobuf)),
        _ => Err(ConfigError::Variable {
            name: "OTEL_EXPORTER_OTLP_PROTOCOL",
            value: name,
            wanted: "grpc or http/protobuf",
        }),
    }
}

fn protocol_by_port(url: &str) -> Protocol {
    let origin = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = origin.split('/').next().unwrap_or_default();
    if authority.ends_with(":4317") { Protocol::Grpc } else { Protocol::HttpProtobuf }
}

fn headers(environment: &Environment<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(text) = environment.otlp("HEADERS") else { return Ok(Vec::new()) };
    // The same form as resource attributes: W3C Baggage without properties. The value is a
    // secret more often than not, so the error does not repeat it.
    let pairs = resource_attributes(&text).ok_or_else(|| ConfigError::Variable {
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        value: "[REDACTED]".to_owned(),
        wanted: "a list of key=value with commas between them",
    })?;
    let mut headers: Vec<_> =
        pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    headers.sort();
    Ok(headers)
}

fn timeout(environment: &Environment<'_>) -> Result<Duration, ConfigError> {
    let Some(value) = environment.otlp("TIMEOUT") else { return Ok(Duration::from_secs(10)) };
    value.trim().parse().map(Duration::from_millis).ok().ok_or(ConfigError::Variable {
        name: "OTEL_EXPORTER_OTLP_TIMEOUT",
        value,
        wanted: "a number of milliseconds",
    })
}

fn compression(environment: &Environment<'_>) -> Result<Compression, ConfigError> {
    let Some(name) = environment.otlp("COMPRESSION") else { return Ok(Compression::None) };
    match name.trim() {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        _ => Err(ConfigError::Variable {
            name: "OTEL_EXPORTER_OTLP_COMPRESSION",
            value: name,
            wanted: "gzip or none",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::config::with, *};

    #[test]
    fn endpoints_follow_the_specification() {
        let check = |option, variables: &[(&str, &str)], expected: Option<(Protocol, &str)>| {
            let found = with(variables, |environment| endpoint(option, None, environment));
            let found = found.unwrap().map(|endpoint| (endpoint.protocol, endpoint.url));
            let expected = expected.map(|(protocol, url)| (protocol, url.to_owned()));
            assert_eq!(found, expected, "{option:?} {variables:?}");
        };
        const ANY: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
        let (grpc, http) = (Protocol::Grpc, Protocol::HttpProtobuf);
        check(None, &[], None);
        check(Some("http://h:4317"), &[], Some((grpc, "http://h:4317")));
        check(Some("http://h:4318"), &[], Some((http, "http://h:4318/v1/traces")));
        check(Some("http://h:4318/"), &[], Some((http, "http://h:4318/v1/traces")));
        check(Some("https://h/otlp/x"), &[], Some((http, "https://h/otlp/x")));
        check(Some("http://a:4317"), &[(ANY, "http://b:4318")], Some((grpc, "http://a:4317")));
        check(None, &[(ANY, "http://b:4318")], Some((http, "http://b:4318/v1/traces")));
        check(None, &[(ANY, "http://b:1/x/")], Some((http, "http://b:1/x/v1/traces")));
        check(None, &[(TRACES, "http://b:1/x")], Some((http, "http://b:1/x")));
        check(None, &[(ANY, "http://b:9"), (PROTOCOL, "grpc")], Some((grpc, "http://b:9")));
        check(None, &[(ANY, "")], None);
        check(None, &[(ANY, "http://b:9"), ("OTEL_TRACES_EXPORTER", "none")], None);
        check(None, &[(ANY, "http://b:9"), ("OTEL_SDK_DISABLED", "true")], None);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        let fails = |variables: &[(&str, &str)]| {
            with(variables, |environment| endpoint(Some("http://h:1"), None, environment)).is_err()
        };
        assert!(fails(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon")]));
        assert!(fails(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")]));
        assert!(fails(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "lzma")]));
        assert!(fails(&[("OTEL_EXPORTER_OTLP_HEADERS", "nonsense")]));
        assert!(with(&[], |environment| endpoint(Some("h:4317"), None, environment)).is_err());
    }
}
