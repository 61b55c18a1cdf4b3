//! What is wrong with options and variables that shows before anything is asked, attached or sent.

use std::ffi::OsString;

use crate::host::{
    cli::AgentOptions,
    config::{self, ConfigError, Environment},
    endpoint::{self, Endpoint},
    export::{Exporter, Metrics, Payload, Spans},
    say, settings,
};

/// All of it, each as a line: whoever checks wants to see it at once.
pub fn check(
    options: &AgentOptions,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<String> {
    let environment = Environment(&config::process_environment);
    say_what_is_ignored(&environment);
    problems(options, &environment, variables)
}

/// What is not there and no reason to end: the specification of OpenTelemetry wants it so.
pub(super) fn say_what_is_ignored(environment: &Environment<'_>) {
    let all = [config::OF_SPANS, config::OF_METRICS];
    for error in all.iter().filter_map(|exporters| exporters.unsupported(environment)) {
        say::line(format_args!("ignored: {error}"));
    }
}

fn problems(
    options: &AgentOptions,
    environment: &Environment<'_>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<String> {
    let (url, protocol) = (options.spans.otlp.as_deref(), options.spans.otlp_protocol);
    let spans = client::<Spans>(endpoint::spans(url, protocol, environment));
    let (url, protocol) = (options.otlp_metrics.as_deref(), options.otlp_metrics_protocol);
    let metrics = client::<Metrics>(endpoint::metrics(url, protocol, environment));
    let unknown = settings::unknown(variables);
    let unknown = unknown.iter().map(|error| say::chain(error));
    let others = [
        endpoint::pace(environment).err(),
        config::sampler(environment).err(),
        config::given(environment).err(),
    ];
    let others = others.into_iter().flatten().map(|error| say::chain(&error));
    let mut problems: Vec<String> = unknown.chain(spans).chain(metrics).chain(others).collect();
    // One variable may be read for both.
    problems.dedup();
    problems
}

/// Why nothing can be sent there. A client connects when it is first used.
fn client<P: Payload>(endpoint: Result<Option<Endpoint>, ConfigError>) -> Option<String> {
    match endpoint {
        Ok(None) => None,
        Ok(Some(endpoint)) => Exporter::<P>::new(&endpoint).err().map(|error| say::chain(&error)),
        Err(error) => Some(say::chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::host::cli::{Cli, Role};

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let check = |variables: &[(&str, &str)], expected: &[&str]| {
            let cli = Cli::try_parse_from(["lynceus", "agent"]).unwrap();
            let Role::Agent(options) = cli.role else { panic!("another role") };
            let find = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let all = variables.iter().map(|(name, value)| (name.into(), value.into()));
            let found = problems(&options, &Environment(&find), all);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{found}");
            }
        };
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        check(&[], &[]);
        check(&[(ENDPOINT, "http://collector:4317")], &[]);
        check(
            &[(ENDPOINT, "collector:4317"), ("LYNCEUS_DETIAL", "all")],
            &["LYNCEUS_DETAIL?", "URL"],
        );
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "no header=x");
        check(&[(ENDPOINT, "http://collector:4317"), headers], &["setting up the client"]);
        let nobody = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere");
        check(&[(ENDPOINT, "http://collector:4317"), nobody], &[]);
        for port in [4317, 4318] {
            check(&[(ENDPOINT, &format!("https://collector:{port}")), nobody], &["/nowhere"]);
        }
        let sampler = ("OTEL_TRACES_SAMPLER", "xray");
        check(&[sampler, ("OTEL_RESOURCE_ATTRIBUTES", "x")], &["xray", "RESOURCE_ATTRIBUTES"]);
        let compression = ("OTEL_EXPORTER_OTLP_COMPRESSION", "lzma");
        let both = ("OTEL_METRICS_EXPORTER", "otlp");
        check(&[(ENDPOINT, "http://collector:4317"), compression, both], &["lzma"]);
        check(&[("OTEL_METRIC_EXPORT_INTERVAL", "soon")], &["METRIC_EXPORT_INTERVAL"]);
        check(&[("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_METRICS_EXPORTER", "otpl")], &[]);
    }
}
