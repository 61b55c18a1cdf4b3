//! What is rendered from `deploy/`: the chart with every value, what it refuses, and that Kustomize
//! renders the same. No API server is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::{fs, iter};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::switches::{REFUSED, SWITCHES, config};
use super::count::Counts;
use crate::setup::{self, Charts};
use crate::{command, paths, say};

mod switches;

type Check = (&'static str, fn(&Charts) -> Result<()>);

const CHECKS: [Check; 6] = [
    ("helm_finds_nothing_to_say", helm_finds_nothing_to_say),
    ("every_value_has_its_effect", every_value_has_its_effect),
    ("the_agent_knows_its_configuration", the_agent_knows_its_configuration),
    ("every_value_is_tried_and_in_the_schema", every_value_is_tried_and_in_the_schema),
    ("wrong_and_misspelt_values_are_refused", wrong_and_misspelt_values_are_refused),
    ("kustomize_renders_the_same", kustomize_renders_the_same),
];

pub(super) fn run() -> Result<Counts> {
    let charts = setup::charts()?;
    Ok(CHECKS.into_iter().map(|(name, check)| counted(name, check(&charts))).sum())
}

fn counted(name: &str, outcome: Result<()>) -> Counts {
    match outcome {
        Ok(()) => Counts::ONE_PASSED,
        Err(error) => {
            let failure = format!("{name}: {error:#}");
            say::note(&failure);
            Counts::one_failed(&failure)
        }
    }
}

fn helm_finds_nothing_to_say(charts: &Charts) -> Result<()> {
    for set in ["default=disabled", "default=enabled,otlp.endpoint=,networkPolicy.enabled=true"] {
        command::output(helm(charts, &["lint", "--strict", "--set", set]).arg(chart()))?;
    }
    Ok(())
}

fn every_value_has_its_effect(charts: &Charts) -> Result<()> {
    none(SWITCHES.iter().filter_map(|(set, at, expected)| {
        let found = render(charts, set).and_then(|objects| at.find(&objects));
        // What is no JSON is a string.
        let expected = serde_json::from_str(expected).unwrap_or_else(|_| Value::from(*expected));
        match found {
            Ok(found) if found == expected => None,
            Ok(found) => Some(format!("{set}: {at:?} is {found}, not {expected}")),
            Err(error) => Some(format!("{set}: {error:#}")),
        }
    }))
}

/// A name that it does not know is refused when it starts.
fn the_agent_knows_its_configuration(charts: &Charts) -> Result<()> {
    let path = paths::repository().join("deploy/config.schema.json");
    let schema =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let schema: Value = serde_json::from_str(&schema)?;
    none(SWITCHES.iter().filter_map(|(set, ..)| {
        let known = |name: &String| schema["properties"].get(name).is_some();
        match render(charts, set).and_then(|objects| config(&objects)) {
            Ok(Value::Object(all)) => {
                let unknown = all.keys().find(|name| !known(name))?;
                Some(format!("{set}: {unknown} is not in the agent's schema"))
            }
            Ok(other) => Some(format!("{set}: the configuration is {other}")),
            Err(error) => Some(format!("{set}: {error:#}")),
        }
    }))
}

fn every_value_is_tried_and_in_the_schema(_: &Charts) -> Result<()> {
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let values: Value = serde_saphyr::from_str(&read("values.yaml")?)?;
    // Groups of values, which the schema names one by one; what is empty is Kubernetes' to know.
    let schema = &schema["properties"];
    let is_group = |name: &str| {
        schema[name].get("properties").is_some()
            && values[name].as_object().is_some_and(|of| !of.is_empty())
    };
    let known = names(schema, is_group, |of| &of["properties"]);
    let there = names(&values, is_group, |of| of);
    // Helm itself puts it there.
    let differ = known.symmetric_difference(&there).filter(|name| *name != "global");
    let differ = differ.map(|name| format!("{name} is not in both values.yaml and its schema"));
    let is_tried = |name: &String| {
        SWITCHES.iter().flat_map(|(sets, ..)| sets.split(',')).any(|set| {
            set.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(['=', '.', '[']))
        })
    };
    let untried = there.iter().filter(|name| !is_tried(name));
    none(differ.chain(untried.map(|name| format!("nobody tries {name}"))))
}

/// `name`, or `name.name` for each of a group.
fn names<'a>(
    of: &'a Value,
    is_group: impl Fn(&str) -> bool,
    group: impl Fn(&'a Value) -> &'a Value,
) -> BTreeSet<String> {
    let keys = |of: &'a Value| of.as_object().into_iter().flat_map(|of| of.keys());
    keys(of)
        .flat_map(|name| match is_group(name) {
            true => keys(group(&of[name])).map(|inner| format!("{name}.{inner}")).collect(),
            false => vec![name.clone()],
        })
        .collect()
}

fn wrong_and_misspelt_values_are_refused(charts: &Charts) -> Result<()> {
    none(REFUSED.iter().filter_map(|(set, named)| match render(charts, set) {
        Ok(_) => Some(format!("{set} is taken")),
        Err(error) => {
            let error = format!("{error:#}");
            (!error.contains(named)).then(|| format!("{set}: `{named}` is not in: {error}"))
        }
    }))
}

/// But for the namespace, which Helm makes itself where it is told to, and the sum that makes new pods of a new
/// configuration, which nothing but Helm can take.
fn kustomize_renders_the_same(charts: &Charts) -> Result<()> {
    let mut kustomize = Command::new(&charts.kustomize);
    let base = paths::repository().join("deploy/kustomize/base");
    let mut other = objects(&command::output(kustomize.arg("build").arg(base))?)?;
    ensure!(other.remove("Namespace").is_some(), "the base has no namespace");
    let mut ours = render(charts, "")?;
    let annotations = ours
        .get_mut("DaemonSet")
        .and_then(|daemon_set| daemon_set.pointer_mut("/spec/template/metadata/annotations"));
    let annotations = annotations.and_then(Value::as_object_mut).context("no annotations")?;
    ensure!(annotations.remove("checksum/config").is_some(), "the configuration has no sum");
    let kinds: BTreeSet<&String> = ours.keys().chain(other.keys()).collect();
    none(kinds.into_iter().filter_map(|kind| {
        let of = |objects: &Objects| objects.get(kind).cloned().unwrap_or_default();
        Some(format!("{kind}{}", difference(&of(&ours), &of(&other))?))
    }))
}

/// Where two values first differ, and how.
fn difference(helm: &Value, kustomize: &Value) -> Option<String> {
    match (helm, kustomize) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            keys.into_iter()
                .find_map(|key| Some(format!("/{key}{}", difference(&helm[key], &kustomize[key])?)))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            iter::zip(one, other).enumerate().find_map(|(index, (one, other))| {
                Some(format!("/{index}{}", difference(one, other)?))
            })
        }
        _ => (helm != kustomize).then(|| format!(": {helm} by Helm, {kustomize} by Kustomize")),
    }
}

/// What the chart makes of the values that `--set` sets.
fn render(charts: &Charts, set: &str) -> Result<Objects> {
    let mut template = helm(charts, &["template", "lynceus"]);
    template.arg(chart()).args(["--namespace", "lynceus", "--set", set]);
    objects(&command::output(&mut template)?)
}

/// By their kind: there is one of each.
type Objects = BTreeMap<String, Value>;

fn objects(yaml: &str) -> Result<Objects> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(yaml).context("reading what was rendered")?;
    let mut objects = Objects::new();
    for object in documents {
        let kind = object["kind"].as_str().context("an object without a kind")?.to_owned();
        ensure!(objects.insert(kind.clone(), object).is_none(), "two objects are a {kind}");
    }
    Ok(objects)
}

/// Helm without what it keeps in the home directory.
fn helm(charts: &Charts, arguments: &[&str]) -> Command {
    let mut helm = Command::new(&charts.helm);
    let home = paths::target().join("xtask/helm");
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, &home);
    }
    helm.args(arguments);
    helm
}

fn chart() -> PathBuf {
    paths::repository().join("deploy/helm/lynceus")
}

fn read(name: &str) -> Result<String> {
    let path = chart().join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

fn none(problems: impl Iterator<Item = String>) -> Result<()> {
    let problems: Vec<String> = problems.collect();
    ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_its_place() {
        let check = |one: &str, other: &str, expected: Option<&str>| {
            let read = |text| serde_json::from_str(text).unwrap();
            assert_eq!(difference(&read(one), &read(other)).as_deref(), expected);
        };
        check(r#"{"a":[1,{"b":2}]}"#, r#"{"a":[1,{"b":2}]}"#, None);
        check(
            r#"{"a":[1,{"b":2}]}"#,
            r#"{"a":[1,{}]}"#,
            Some("/a/1/b: 2 by Helm, null by Kustomize"),
        );
        check("[1]", "[1,2]", Some(": [1] by Helm, [1,2] by Kustomize"));
    }
}
