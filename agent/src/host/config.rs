//! The environment -> what to export, as what. `endpoint` says to whom.
//!
//! The environment is asked through a function, so that tests pass a table. Variables and their
//! precedence: OpenTelemetry specification, "Environment Variables".

use std::collections::HashMap;

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

    /// The variable for traces, or the one for all signals.
    pub(super) fn otlp(&self, what: &str) -> Option<String> {
        self.get(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"))
            .or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{what}")))
    }
}

/// The process's own environment.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
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

    fn with<T>(variables: &[(&str, &str)], ask: impl FnOnce(&Environment<'_>) -> T) -> T {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        ask(&Environment(&find))
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
    fn a_sampler_that_is_not_known_is_an_error() {
        assert!(with(&[("OTEL_TRACES_SAMPLER", "xray")], sampler).is_err());
    }
}
