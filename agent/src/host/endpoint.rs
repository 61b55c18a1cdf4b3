//! Options and the environment -> to whom to export, and how.
//!
//! Variables and their precedence: OpenTelemetry specification, "OTLP Exporter".

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use tonic::transport::Uri;

use super::{
    cli::Protocol,
    config::{self, ConfigError, Environment},
};
use crate::otlp::resource_attributes;

/// Who is exported to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub protocol: Protocol,
    /// For gRPC the origin, for HTTP the whole URL.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    pub compression: Compression,
    pub tls: Tls,
}

/// Files in the form of PEM, for `https://`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who has to have signed the other end's certificate; `None` for the public authorities.
    pub authority: Option<PathBuf>,
    pub client: Option<Client>,
}

/// Who we are to the other end, where that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// With what stands between it and its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
}

/// Where spans go, if anywhere.
pub fn spans(
    option: Option<&str>,
    protocol: Option<Protocol>,
    environment: &Environment<'_>,
) -> Result<Option<Endpoint>, ConfigError> {
    let off = config::OF_SPANS.name_otlp(environment) == Some(false) || is_disabled(environment);
    let variables = Variables { kind: Kind::Spans, environment };
    let url = match option {
        Some(url) => Some(Url::of_option(url)),
        None if off => None,
        None => variables.own().or_else(|| variables.general()),
    };
    url.map(|url| variables.endpoint(url, protocol)).transpose()
}

/// Where metrics go, if anywhere. Not to the general endpoint, unless `OTEL_METRICS_EXPORTER` says so: back
/// ends for traces, as Jaeger, refuse them, and are what that endpoint named before there were any.
pub fn metrics(
    option: Option<&str>,
    protocol: Option<Protocol>,
    environment: &Environment<'_>,
) -> Result<Option<Endpoint>, ConfigError> {
    let variables = Variables { kind: Kind::Metrics, environment };
    let url = match (option, config::OF_METRICS.name_otlp(environment)) {
        (Some(url), _) => Some(Url::of_option(url)),
        // What else there is to name is no push: `/metrics` is there anyway.
        (None, Some(false)) => None,
        (None, _) if is_disabled(environment) => None,
        (None, None) => variables.own(),
        (None, Some(true)) => {
            let url = variables.own().or_else(|| variables.general());
            Some(url.ok_or(ConfigError::NoMetricsEndpoint)?)
        }
    };
    url.map(|url| variables.endpoint(url, protocol)).transpose()
}

/// How metrics are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one push to the next.
    pub interval: Duration,
    /// For a push, with what is tried again.
    pub timeout: Duration,
}

pub fn pace(environment: &Environment<'_>) -> Result<Pace, ConfigError> {
    let milliseconds = |name: &str, usual: Duration| match environment.get(name) {
        None => Ok(usual),
        Some(value) => {
            let parsed = value.trim().parse::<NonZeroU64>().ok();
            let parsed = parsed.map(|number| Duration::from_millis(number.get()));
            let (name, wanted) = (name.to_owned(), "a number of milliseconds above 0");
            parsed.ok_or(ConfigError::Variable { name, value, wanted })
        }
    };
    Ok(Pace {
        interval: milliseconds("OTEL_METRIC_EXPORT_INTERVAL", Duration::from_secs(60))?,
        timeout: milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", Duration::from_secs(30))?,
    })
}

fn is_disabled(environment: &Environment<'_>) -> bool {
    environment
        .get("OTEL_SDK_DISABLED")
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// What is exported, which OpenTelemetry calls a signal.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Spans,
    Metrics,
}

impl Kind {
    /// In the names of variables.
    fn word(self) -> &'static str {
        match self {
            Self::Spans => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Spans => "/v1/traces",
            Self::Metrics => "/v1/metrics",
        }
    }
}

enum Url {
    /// For HTTP too.
    Whole(String),
    /// For HTTP the kind's path is added.
    Base(String),
}

impl Url {
    fn of_option(url: &str) -> Self {
        let origin = url.split_once("://").map_or(url, |(_, rest)| rest);
        let has_path = origin.split_once('/').is_some_and(|(_, path)| !path.is_empty());
        if has_path { Self::Whole(url.to_owned()) } else { Self::Base(url.to_owned()) }
    }
}

/// The variables of one kind.
#[derive(Clone, Copy)]
struct Variables<'a> {
    kind: Kind,
    environment: &'a Environment<'a>,
}

impl Variables<'_> {
    fn own(self) -> Option<Url> {
        let name = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", self.kind.word());
        self.environment.get(&name).map(Url::Whole)
    }

    fn general(self) -> Option<Url> {
        self.environment.get("OTEL_EXPORTER_OTLP_ENDPOINT").map(Url::Base)
    }

    /// Name and value of the kind's own variable, or of that for all kinds.
    fn get(self, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", self.kind.word());
        let names = [own, format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| {
            let value = self.environment.get(&name)?;
            Some((name, value))
        })
    }

    fn endpoint(self, url: Url, protocol: Option<Protocol>) -> Result<Endpoint, ConfigError> {
        let (Url::Whole(text) | Url::Base(text)) = &url;
        let text = text.trim();
        if !is_url(text) {
            return Err(ConfigError::Url(text.to_owned()));
        }
        let protocol = match protocol {
            Some(protocol) => protocol,
            None => self.protocol()?.unwrap_or_else(|| protocol_by_port(text)),
        };
        let url = match (protocol, &url) {
            (Protocol::HttpProtobuf, Url::Base(_)) => {
                format!("{}{}", text.trim_end_matches('/'), self.kind.path())
            }
            (Protocol::HttpProtobuf, Url::Whole(_))
            | (Protocol::Grpc, Url::Whole(_) | Url::Base(_)) => text.to_owned(),
        };
        Ok(Endpoint {
            protocol,
            url,
            headers: self.headers()?,
            timeout: self.timeout()?,
            compression: self.compression()?,
            tls: self.tls()?,
        })
    }

    fn protocol(self) -> Result<Option<Protocol>, ConfigError> {
        let Some((name, value)) = self.get("PROTOCOL") else { return Ok(None) };
        match value.trim() {
            "grpc" => Ok(Some(Protocol::Grpc)),
            "http/protobuf" => Ok(Some(Protocol::HttpProtobuf)),
            _ => Err(ConfigError::Variable { name, value, wanted: "grpc or http/protobuf" }),
        }
    }

    fn headers(self) -> Result<Vec<(String, String)>, ConfigError> {
        let Some((name, text)) = self.get("HEADERS") else { return Ok(Vec::new()) };
        // The same form as resource attributes: W3C Baggage without properties. The value is a
        // secret more often than not, so the error does not repeat it.
        let pairs = resource_attributes(&text).ok_or_else(|| ConfigError::Variable {
            name,
            value: "[REDACTED]".to_owned(),
            wanted: "a list of key=value with commas between them",
        })?;
        let mut headers: Vec<_> =
            pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        headers.sort();
        Ok(headers)
    }

    fn timeout(self) -> Result<Duration, ConfigError> {
        let Some((name, value)) = self.get("TIMEOUT") else { return Ok(Duration::from_secs(10)) };
        let parsed = value.trim().parse().map(Duration::from_millis).ok();
        let wanted = "a number of milliseconds";
        parsed.ok_or(ConfigError::Variable { name, value, wanted })
    }

    fn tls(self) -> Result<Tls, ConfigError> {
        let path = |(_, value): (String, String)| PathBuf::from(value);
        let wanted = "enough: a client has a certificate and a key";
        let alone = |(name, value)| ConfigError::Variable { name, value, wanted };
        let client = match (self.get("CLIENT_CERTIFICATE"), self.get("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => {
                Some(Client { certificate: path(certificate), key: path(key) })
            }
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => return Err(alone(one)),
        };
        Ok(Tls { authority: self.get("CERTIFICATE").map(path), client })
    }

    fn compression(self) -> Result<Compression, ConfigError> {
        let Some((name, value)) = self.get("COMPRESSION") else { return Ok(Compression::None) };
        match value.trim() {
            "none" => Ok(Compression::None),
            "gzip" => Ok(Compression::Gzip),
            _ => Err(ConfigError::Variable { name, value, wanted: "gzip or none" }),
        }
    }
}

fn is_url(text: &str) -> bool {
    let parsed: Option<Uri> = text.parse().ok();
    let has_host = parsed.is_some_and(|url| url.host().is_some_and(|host| !host.is_empty()));
    has_host && ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme))
}

fn protocol_by_port(url: &str) -> Protocol {
    let origin = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = origin.split('/').next().unwrap_or_default();
    if authority.ends_with(":4317") { Protocol::Grpc } else { Protocol::HttpProtobuf }
}

#[cfg(test)]
mod tests {
    use super::{super::config::with, *};

    const ANY: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    const GRPC: Protocol = Protocol::Grpc;
    const HTTP: Protocol = Protocol::HttpProtobuf;

    type Read = fn(
        Option<&str>,
        Option<Protocol>,
        &Environment<'_>,
    ) -> Result<Option<Endpoint>, ConfigError>;

    fn check(
        read: Read,
        option: Option<&str>,
        variables: &[(&str, &str)],
        expected: Option<(Protocol, &str)>,
    ) {
        let found = with(variables, |environment| read(option, None, environment));
        let found = found.unwrap().map(|endpoint| (endpoint.protocol, endpoint.url));
        let expected = expected.map(|(protocol, url)| (protocol, url.to_owned()));
        assert_eq!(found, expected, "{option:?} {variables:?}");
    }

    #[test]
    fn endpoints_of_spans_follow_the_specification() {
        let check = |option, variables: &[_], expected| check(spans, option, variables, expected);
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        check(None, &[], None);
        check(Some("http://h:4317"), &[], Some((GRPC, "http://h:4317")));
        check(Some("http://h:4318"), &[], Some((HTTP, "http://h:4318/v1/traces")));
        check(Some("http://h:4318/"), &[], Some((HTTP, "http://h:4318/v1/traces")));
        check(Some("https://h/otlp/x"), &[], Some((HTTP, "https://h/otlp/x")));
        check(Some("http://a:4317"), &[(ANY, "http://b:4318")], Some((GRPC, "http://a:4317")));
        check(None, &[(ANY, "http://b:4318")], Some((HTTP, "http://b:4318/v1/traces")));
        check(None, &[(ANY, "http://b:1/x/")], Some((HTTP, "http://b:1/x/v1/traces")));
        check(None, &[(TRACES, "http://b:1/x")], Some((HTTP, "http://b:1/x")));
        check(None, &[(ANY, "http://b:9"), (PROTOCOL, "grpc")], Some((GRPC, "http://b:9")));
        check(None, &[(ANY, "")], None);
        check(None, &[(ANY, "http://b:9"), ("OTEL_TRACES_EXPORTER", "none")], None);
        check(None, &[(ANY, "http://b:9"), ("OTEL_SDK_DISABLED", "True")], None);
        for exporter in ["otlp", "OTLP, console", "otlp,none", "zipkin"] {
            let variables = [(ANY, "http://b:4317"), ("OTEL_TRACES_EXPORTER", exporter)];
            check(None, &variables, Some((GRPC, "http://b:4317")));
        }
        check(None, &[(ANY, "http://b:9"), ("OTEL_TRACES_EXPORTER", "None,console")], None);
    }

    #[test]
    fn metrics_go_nowhere_unless_somebody_says_where_metrics_go() {
        let check = |option, variables: &[_], expected| check(metrics, option, variables, expected);
        const OWN: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
        const OWN_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL";
        const BY: &str = "OTEL_METRICS_EXPORTER";
        let any = (ANY, "http://b:9");
        check(None, &[], None);
        check(None, &[any], None);
        check(None, &[any, (BY, "otlp")], Some((HTTP, "http://b:9/v1/metrics")));
        check(None, &[any, (BY, "prometheus, otlp")], Some((HTTP, "http://b:9/v1/metrics")));
        check(None, &[(ANY, "http://b:4317"), (BY, "otlp")], Some((GRPC, "http://b:4317")));
        check(None, &[any, (BY, "prometheus")], None);
        check(None, &[any, (OWN, "http://m:1/x")], Some((HTTP, "http://m:1/x")));
        check(None, &[any, (OWN, "http://m:1/x"), (BY, "otlp")], Some((HTTP, "http://m:1/x")));
        check(None, &[(OWN, "http://m:1/x"), (BY, "none")], None);
        check(None, &[(OWN, "http://m:1/x"), (BY, "otpl")], Some((HTTP, "http://m:1/x")));
        check(None, &[(OWN, "http://m:1/x"), ("OTEL_SDK_DISABLED", "true")], None);
        check(Some("http://o:1"), &[(BY, "none")], Some((HTTP, "http://o:1/v1/metrics")));
        check(Some("http://o:1/y"), &[(OWN, "http://m:1/x")], Some((HTTP, "http://o:1/y")));
        check(Some("http://o:1"), &[(PROTOCOL, "grpc")], Some((GRPC, "http://o:1")));
        let protocols = [(PROTOCOL, "grpc"), (OWN_PROTOCOL, "http/protobuf")];
        check(Some("http://o:4317"), &protocols, Some((HTTP, "http://o:4317/v1/metrics")));
        let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "a=1")];
        let found = with(&headers, |environment| metrics(Some("http://o:1"), None, environment));
        assert_eq!(found.unwrap().unwrap().headers, [("a".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        let fails = |read: Read, variables: &[(&str, &str)], named: &str| {
            let read = |environment: &Environment<'_>| read(Some("http://h:1"), None, environment);
            let error = with(variables, read).expect_err(named).to_string();
            assert!(error.starts_with(named), "{error}");
        };
        for (variable, value) in [
            ("PROTOCOL", "carrier-pigeon"),
            ("TIMEOUT", "soon"),
            ("COMPRESSION", "lzma"),
            ("HEADERS", "nonsense"),
            ("CLIENT_KEY", "/key"),
        ] {
            let any = format!("OTEL_EXPORTER_OTLP_{variable}");
            fails(spans, &[(&any, value)], &any);
            let own = format!("OTEL_EXPORTER_OTLP_METRICS_{variable}");
            fails(metrics, &[(&any, "x"), (&own, value)], &own);
        }
        let by = "OTEL_METRICS_EXPORTER";
        let asked = with(&[(by, "otlp")], |environment| metrics(None, None, environment));
        assert_eq!(asked, Err(ConfigError::NoMetricsEndpoint));
        for url in ["h:4317", "ftp://h", "http://", "http://:4317", "http://fd00::1:4317"] {
            assert!(with(&[], |environment| spans(Some(url), None, environment)).is_err(), "{url}");
        }
    }

    #[test]
    fn metrics_are_pushed_as_often_as_variables_say() {
        let check = |variables: &[(&str, &str)], expected: Option<(u64, u64)>| {
            let expected = expected.map(|(interval, timeout)| Pace {
                interval: Duration::from_millis(interval),
                timeout: Duration::from_millis(timeout),
            });
            assert_eq!(with(variables, pace).ok(), expected, "{variables:?}");
        };
        const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
        check(&[], Some((60_000, 30_000)));
        check(&[(INTERVAL, "500")], Some((500, 30_000)));
        check(&[("OTEL_METRIC_EXPORT_TIMEOUT", "700")], Some((60_000, 700)));
        check(&[(INTERVAL, "0")], None);
        check(&[(INTERVAL, "1s")], None);
    }
}
