//! Options and the environment -> what to export, to whom, as what.
//!
//! The environment is asked through a function, so that tests pass a table. Variables and their
//! precedence: OpenTelemetry specification, "Environment Variables" and "OTLP Exporter".

use std::{collections::HashMap, time::Duration};

use super::cli::Protocol;
use crate::{
    otlp::resource_attributes,
    sample::{Sampler, SamplerError},
    span::{Attribute, Resource, Value},
};

/// Looks a variable up. An empty value is as good as none, says the specification.
pub struct Environment<'a>(pub &'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    /// The variable for traces, or the one for all signals.
    fn otlp(&self, what: &str) -> Option<String> {
        self.get(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"))
            .or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{what}")))
    }
}

/// The process's own environment.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

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

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("OTLP endpoint {0:?} is not a URL that begins with http:// or https://")]
    Url(String),
    #[error("{name} is {value:?}, which is not {wanted}")]
    Variable { name: &'static str, value: String, wanted: &'static str },
    #[error("reading OTEL_TRACES_SAMPLER")]
    Sampler(#[from] SamplerError),
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

/// The sampler that the environment names, or the specification's default.
pub fn sampler(environment: &Environment<'_>) -> Result<Sampler, ConfigError> {
    let Some(name) = environment.get("OTEL_TRACES_SAMPLER") else { return Ok(Sampler::default()) };
    let argument = environment.get("OTEL_TRACES_SAMPLER_ARG");
    Ok(Sampler::parse(name.trim(), argument.as_deref())?)
}

/// What the spans are of. An explicit name comes before `OTEL_SERVICE_NAME`, that before
/// `OTEL_RESOURCE_ATTRIBUTES`, that before the command's own name. A list that is wrong is ignored,
/// and given back as what is wrong with it.
pub fn resource(
    service_name: Option<&str>,
    command_name: &str,
    host_name: Option<String>,
    environment: &Environment<'_>,
) -> (Resource, Option<ConfigError>) {
    let text = environment.get("OTEL_RESOURCE_ATTRIBUTES");
    let given = text.as_deref().map(resource_attributes);
    let wrong = matches!(given, Some(None)).then(|| ConfigError::Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        value: text.clone().unwrap_or_default(),
        wanted: "a list of key=value with commas between them",
    });
    let given: HashMap<String, String> = given.flatten().unwrap_or_default();
    let mut all = HashMap::from([
        ("service.name".to_owned(), command_name.to_owned()),
        ("os.type".to_owned(), "linux".to_owned()),
        ("telemetry.sdk.name".to_owned(), "lynceus".to_owned()),
        ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
        ("telemetry.sdk.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    all.extend(host_name.map(|name| ("host.name".to_owned(), name)));
    all.extend(given);
    let name = service_name.map(str::to_owned).or_else(|| environment.get("OTEL_SERVICE_NAME"));
    all.extend(name.map(|name| ("service.name".to_owned(), name)));
    let mut attributes: Vec<Attribute> = all
        .into_iter()
        .map(|(key, value)| Attribute { key: key.into(), value: Value::Str(value) })
        .collect();
    attributes.sort_by(|one, other| one.key.cmp(&other.key));
    (Resource { attributes }, wrong)
}

/// What `OTEL_RESOURCE_ATTRIBUTES` says of all spans.
pub fn given(environment: &Environment<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(text) = environment.get("OTEL_RESOURCE_ATTRIBUTES") else { return Ok(Vec::new()) };
    let given = resource_attributes(&text).ok_or(ConfigError::Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES",
        value: text,
        wanted: "a list of key=value with commas between them",
    })?;
    let mut given: Vec<(String, String)> = given.into_iter().collect();
    given.sort();
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(variables: &[(&str, &str)], ask: impl FnOnce(&Environment<'_>) -> T) -> T {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        ask(&Environment(&find))
    }

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
        assert!(with(&[("OTEL_TRACES_SAMPLER", "xray")], sampler).is_err());
    }

    #[test]
    fn a_service_is_named_by_the_most_explicit() {
        let check = |option, variables: &[(&str, &str)], expected: &str| {
            let resource =
                with(variables, |environment| resource(option, "make", None, environment)).0;
            let name = resource.attributes.iter().find(|each| each.key == "service.name");
            assert_eq!(name.map(|name| name.value.clone()), Some(Value::from(expected)));
        };
        let both = [("OTEL_SERVICE_NAME", "b"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=c")];
        check(Some("a"), &both, "a");
        check(None, &both, "b");
        check(None, &both[1..], "c");
        check(None, &[], "make");
    }
}
