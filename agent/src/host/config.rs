//! The environment -> what to export, as what. `endpoint` says to whom.
//!
//! The environment is asked through a function, so that tests pass a table. Variables and their
//! precedence: OpenTelemetry specification, "Environment Variables".

use std::collections::{BTreeMap, HashMap};

use opentelemetry_semantic_conventions::attribute as key;

use crate::{
    otlp::resource_attributes,
    sample::{Sampler, SamplerError},
    span::{Attribute, Resource, Value},
};

/// Looks a variable up. An empty value is as good as none, says the specification.
pub struct Environment<'a>(pub &'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }
}

/// The process's own environment.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A variable that lists exporters, and those that are there.
pub struct Exporters {
    name: &'static str,
    known: &'static [&'static str],
    wanted: &'static str,
}

pub const OF_SPANS: Exporters =
    Exporters { name: "OTEL_TRACES_EXPORTER", known: &["otlp", "none"], wanted: "otlp or none" };
pub const OF_METRICS: Exporters = Exporters {
    name: "OTEL_METRICS_EXPORTER",
    known: &["otlp", "prometheus", "console", "none"],
    wanted: "a list of otlp, prometheus, console or none",
};

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("OTLP endpoint {0:?} is not a URL as http://HOST:PORT or https://HOST:PORT")]
    Url(String),
    #[error("OTEL_METRICS_EXPORTER is otlp, and no OTEL_EXPORTER_OTLP_ENDPOINT says where to")]
    NoMetricsEndpoint,
    #[error("{name} is {value:?}, which is not {wanted}")]
    Variable { name: String, value: String, wanted: &'static str },
    #[error("reading OTEL_TRACES_SAMPLER")]
    Sampler(#[from] SamplerError),
}

impl Exporters {
    /// What the variable names and is not there: the specification wants it told, and ignored.
    pub fn unsupported(&self, environment: &Environment<'_>) -> Option<ConfigError> {
        let Self { name, wanted, .. } = *self;
        let value = environment.get(name)?;
        let unknown = value.split(',').any(|name| self.find(name).is_none());
        unknown.then(|| ConfigError::Variable { name: name.to_owned(), value, wanted })
    }

    /// Whether OTLP is one of what the variable names; `None` where it names nothing that is there.
    pub(super) fn name_otlp(&self, environment: &Environment<'_>) -> Option<bool> {
        let value = environment.get(self.name)?;
        let mut named = value.split(',').filter_map(|name| self.find(name)).peekable();
        named.peek()?;
        Some(named.any(|name| name == "otlp"))
    }

    fn find(&self, name: &str) -> Option<&'static str> {
        let is_it = |known: &&&str| known.eq_ignore_ascii_case(name.trim());
        self.known.iter().find(is_it).copied()
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
        name: "OTEL_RESOURCE_ATTRIBUTES".to_owned(),
        value: text.clone().unwrap_or_default(),
        wanted: "a list of key=value with commas between them",
    });
    let given: HashMap<String, String> = given.flatten().unwrap_or_default();
    let host_name = host_name.map(|name| (key::HOST_NAME, name));
    let found = host_name.into_iter().chain([(key::SERVICE_NAME, command_name.to_owned())]);
    let name = service_name.map(str::to_owned).or_else(|| environment.get("OTEL_SERVICE_NAME"));
    (named(found, given, name), wrong)
}

/// What the agent's own metrics are of. Variables count as for [`resource`]. A pod has a host name of its
/// own, so the host is called as the node.
pub fn of_agent(
    node: &str,
    instance: String,
    environment: &Environment<'_>,
) -> Result<Resource, ConfigError> {
    let found = [
        (key::SERVICE_NAME, "lynceus".to_owned()),
        (key::SERVICE_VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        (key::SERVICE_INSTANCE_ID, instance),
        (key::K8S_NODE_NAME, node.to_owned()),
        (key::HOST_NAME, node.to_owned()),
    ];
    let name = environment.get("OTEL_SERVICE_NAME");
    Ok(named(found, given(environment)?, name))
}

/// What is given counts more than what was found, and the name of the service most.
fn named(
    found: impl IntoIterator<Item = (&'static str, String)>,
    given: impl IntoIterator<Item = (String, String)>,
    name: Option<String>,
) -> Resource {
    let mut all = BTreeMap::from([
        (key::OS_TYPE.to_owned(), "linux".to_owned()),
        (key::TELEMETRY_SDK_NAME.to_owned(), "lynceus".to_owned()),
        (key::TELEMETRY_SDK_LANGUAGE.to_owned(), "rust".to_owned()),
        (key::TELEMETRY_SDK_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    all.extend(found.into_iter().map(|(key, value)| (key.to_owned(), value)));
    all.extend(given);
    all.extend(name.map(|name| (key::SERVICE_NAME.to_owned(), name)));
    let attribute =
        |(key, value): (String, String)| Attribute { key: key.into(), value: Value::Str(value) };
    Resource { attributes: all.into_iter().map(attribute).collect() }
}

/// What `OTEL_RESOURCE_ATTRIBUTES` says of all spans.
pub fn given(environment: &Environment<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(text) = environment.get("OTEL_RESOURCE_ATTRIBUTES") else { return Ok(Vec::new()) };
    let given = resource_attributes(&text).ok_or_else(|| ConfigError::Variable {
        name: "OTEL_RESOURCE_ATTRIBUTES".to_owned(),
        value: text,
        wanted: "a list of key=value with commas between them",
    })?;
    let mut given: Vec<(String, String)> = given.into_iter().collect();
    given.sort();
    Ok(given)
}

/// Asks with a table for an environment.
#[cfg(test)]
pub(super) fn with<T>(variables: &[(&str, &str)], ask: impl FnOnce(&Environment<'_>) -> T) -> T {
    let find = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    ask(&Environment(&find))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exporter_that_is_not_there_is_told() {
        let check = |exporters: &Exporters, value: &str, expected: Option<&str>| {
            let told =
                with(&[(exporters.name, value)], |variables| exporters.unsupported(variables));
            assert_eq!(told.map(|error| error.to_string()).as_deref(), expected);
        };
        for exporters in [&OF_SPANS, &OF_METRICS] {
            check(exporters, "", None);
            check(exporters, "otlp", None);
            check(exporters, "None", None);
        }
        let told = "OTEL_TRACES_EXPORTER is \"otlp,console\", which is not otlp or none";
        check(&OF_SPANS, "otlp,console", Some(told));
        check(&OF_METRICS, "otlp,console", None);
        let told = "OTEL_METRICS_EXPORTER is \"otpl\", which is not a list of otlp, prometheus, \
                    console or none";
        check(&OF_METRICS, "otpl", Some(told));
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

    #[test]
    fn metrics_are_of_the_agent_and_its_node() {
        let check = |variables: &[(&str, &str)], key: &str, expected: &str| {
            let resource =
                with(variables, |environment| of_agent("n", "i".to_owned(), environment)).unwrap();
            let found = resource.attributes.iter().find(|each| each.key == key);
            assert_eq!(found.map(|found| found.value.clone()), Some(Value::from(expected)));
        };
        check(&[], "service.name", "lynceus");
        check(&[], "service.instance.id", "i");
        check(&[], "k8s.node.name", "n");
        check(&[], "host.name", "n");
        check(&[], "telemetry.sdk.name", "lynceus");
        let given = [("OTEL_RESOURCE_ATTRIBUTES", "host.name=h,k8s.cluster.name=c")];
        check(&given, "host.name", "h");
        check(&given, "k8s.cluster.name", "c");
        check(&[("OTEL_SERVICE_NAME", "s")], "service.name", "s");
    }

    #[test]
    fn a_sampler_that_is_not_known_is_an_error() {
        assert!(with(&[("OTEL_TRACES_SAMPLER", "xray")], sampler).is_err());
    }
}
