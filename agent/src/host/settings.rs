//! Options of `lynceus agent` from a file and from variables. They become arguments, unless the command
//! line says the same option: so there is one list of options, with one way to read each.

use std::{
    any::TypeId,
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory as _, builder::ValueParser,
    parser::ValueSource,
};
use serde_json::{Map, Value, json};

use super::cli::Cli;

/// The role that has a file.
const ROLE: &str = "agent";
/// Before the name of the option, in capitals and with `_`.
const VARIABLE: &str = "LYNCEUS_";
/// Names the file.
const CONFIG: &str = "LYNCEUS_CONFIG";
/// These have no place in a file.
const OF_THE_COMMAND_LINE: [&str; 4] = ["config", "check-config", "config-schema", "help"];

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("reading {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is no YAML: {why}", path.display())]
    Yaml { path: PathBuf, why: String },
    #[error("{}: there must be a line `name: value` for each option", path.display())]
    NoMap { path: PathBuf },
    #[error("{}: {name} is not known{}", path.display(), nearest(near.as_ref()))]
    Unknown { path: PathBuf, name: String, near: Option<String> },
    #[error("{name} is the variable of no option{}", nearest(near.as_ref()))]
    Variable { name: String, near: Option<String> },
    #[error("{from}: {name}: {why}")]
    Value { from: String, name: String, why: String },
}

fn nearest(near: Option<&String>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// The command line with what a file and variables say put before it.
pub fn command_line(
    given: Vec<OsString>,
    given_by: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, SettingsError> {
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(&given);
    let Some((ROLE, matches)) = matches.ok().as_ref().and_then(ArgMatches::subcommand).map(owned)
    else {
        return Ok(given);
    };
    let role = role();
    let mut said = Vec::new();
    let options = options(&role).map(|option| (option, Given::of(option, &matches)));
    let mut free: Vec<&Arg> =
        options.filter(|(_, given)| *given == Given::Elsewhere).map(|(option, _)| option).collect();
    free.retain(|option| {
        let name = variable(option);
        let Some(value) = given_by(&name) else { return true };
        said.push(from_variable(option, name, &value));
        false
    });
    let mut arguments = Vec::new();
    for one in said {
        arguments.extend(one?);
    }
    let path = matches.get_one::<PathBuf>("config").cloned();
    if let Some(path) = path.or_else(|| given_by(CONFIG).map(PathBuf::from)) {
        arguments.extend(from_file(&role, &free, &path)?);
    }
    // The first is the name of the program.
    let at = given.iter().skip(1).position(|argument| argument == ROLE);
    let at = at.map_or(given.len(), |at| at + 2);
    let (before, after) = given.split_at(at);
    Ok([before, &arguments, after].concat())
}

fn owned((name, matches): (&str, &ArgMatches)) -> (&'static str, ArgMatches) {
    (if name == ROLE { ROLE } else { "" }, matches.clone())
}

/// Who gives an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    OnTheCommandLine,
    Elsewhere,
}

impl Given {
    fn of(option: &Arg, matches: &ArgMatches) -> Self {
        match matches.value_source(option.get_id().as_str()) {
            Some(ValueSource::CommandLine) => Self::OnTheCommandLine,
            Some(_) | None => Self::Elsewhere,
        }
    }
}

fn role() -> Command {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand(ROLE).cloned().unwrap_or_default()
}

/// Those that a file and variables can say.
fn options(role: &Command) -> impl Iterator<Item = &Arg> {
    role.get_arguments()
        .filter(|option| option.get_long().is_some_and(|long| !OF_THE_COMMAND_LINE.contains(&long)))
}

fn long(option: &Arg) -> &str {
    option.get_long().unwrap_or_default()
}

/// As the file calls it.
fn name(option: &Arg) -> String {
    let mut name = String::new();
    for (nth, word) in long(option).split('-').enumerate() {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        let first = if nth == 0 { first.to_owned() } else { first.to_uppercase() };
        name.push_str(&first);
        name.push_str(rest);
    }
    if is_list(option) { format!("{name}s") } else { name }
}

/// The variable that says it: as the file calls it, in capitals.
fn variable(option: &Arg) -> String {
    let plural = if is_list(option) { "S" } else { "" };
    format!("{VARIABLE}{}{plural}", long(option).to_uppercase().replace('-', "_"))
}

fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

fn is_switch(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::SetTrue)
}

fn from_variable(
    option: &Arg,
    variable: String,
    value: &OsStr,
) -> Result<Vec<OsString>, SettingsError> {
    let wrong = |why: &str| SettingsError::Value {
        from: variable.clone(),
        name: long(option).to_owned(),
        why: why.to_owned(),
    };
    let text = value.to_str().ok_or_else(|| wrong("it is no UTF-8"))?;
    let value = match text {
        _ if is_list(option) => {
            text.split(',').filter(|one| !one.is_empty()).map(Value::from).collect()
        }
        "true" if is_switch(option) => Value::Bool(true),
        "false" if is_switch(option) => Value::Bool(false),
        _ => Value::from(text),
    };
    arguments(option, &value, &variable)
}

fn from_file(role: &Command, free: &[&Arg], path: &Path) -> Result<Vec<OsString>, SettingsError> {
    let path = path.to_owned();
    let text = fs::read_to_string(&path);
    let text = text.map_err(|source| SettingsError::Read { path: path.clone(), source })?;
    // No document at all is one without options.
    let empty = || Value::Object(Map::new());
    // `off` is a word.
    let strict = serde_saphyr::options! { strict_booleans: true };
    let value = match serde_saphyr::from_str_with_options::<Option<Value>>(&text, strict) {
        Ok(value) => value.unwrap_or_else(empty),
        Err(error) => return Err(SettingsError::Yaml { path, why: error.to_string() }),
    };
    let Value::Object(map) = value else { return Err(SettingsError::NoMap { path }) };
    let known: BTreeMap<String, &Arg> =
        options(role).map(|option| (name(option), option)).collect();
    let mut all = Vec::new();
    for (key, value) in &map {
        let Some(option) = known.get(key) else {
            let near = near(key, known.keys());
            return Err(SettingsError::Unknown { path, name: key.clone(), near });
        };
        // What is wrong is said, also where another value counts.
        let arguments = arguments(option, value, &path.display().to_string())?;
        if free.iter().any(|one| one.get_id() == option.get_id()) {
            all.extend(arguments);
        }
    }
    Ok(all)
}

/// The known name that is most like it.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let likeness =
        |known: &&String| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let nearest = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(&nearest) > 0.7).then(|| nearest.clone())
}

/// `--name=value`, once or several times; an error where the option does not take the value.
fn arguments(option: &Arg, value: &Value, from: &str) -> Result<Vec<OsString>, SettingsError> {
    let wrong =
        |why: String| SettingsError::Value { from: from.to_owned(), name: name(option), why };
    let long = long(option);
    let argument = |value: &Value| match value {
        Value::String(text) => Ok(format!("--{long}={text}")),
        Value::Number(number) => Ok(format!("--{long}={number}")),
        other @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(wrong(format!("{other} is neither a text nor a number")))
        }
    };
    let arguments: Vec<String> = match value {
        Value::Null => Vec::new(),
        Value::Bool(true) if is_switch(option) => vec![format!("--{long}")],
        Value::Bool(false) if is_switch(option) => Vec::new(),
        other if is_switch(option) => return Err(wrong(format!("{other} is not true or false"))),
        Value::Array(values) if is_list(option) => {
            values.iter().map(argument).collect::<Result<_, _>>()?
        }
        other if is_list(option) => return Err(wrong(format!("{other} is no list"))),
        Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => vec![argument(value)?],
    };
    // The option alone: what it says is about this value.
    let alone = Command::new(ROLE).no_binary_name(true).arg(option.clone().required(false));
    if let Err(error) = alone.try_get_matches_from(&arguments) {
        let text = error.render().to_string();
        // What follows is of the command line.
        let lines = text.lines().take_while(|line| !line.starts_with("For more information"));
        let lines: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
        return Err(wrong(lines.join(" ").trim_start_matches("error: ").to_owned()));
    }
    Ok(arguments.into_iter().map(OsString::from).collect())
}

/// Variables that begin as ours do and say nothing. Those that Kubernetes makes where a Service is called
/// `lynceus…` are nobody's mistake.
pub fn unknown(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<SettingsError> {
    let role = role();
    let known = options(&role).map(variable).chain([CONFIG.to_owned()]);
    // All begin alike: likeness is of the rest.
    let known: Vec<String> = known.map(|name| name.replacen(VARIABLE, "", 1)).collect();
    let mut unknown: Vec<String> = variables
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let rest = name.strip_prefix(VARIABLE)?.to_owned();
            (!is_of_service(&name, &value) && !known.contains(&rest)).then_some(rest)
        })
        .collect();
    unknown.sort();
    let whole = |rest: String| format!("{VARIABLE}{rest}");
    let error = |rest: String| {
        let near = near(&rest, known.iter()).map(whole);
        SettingsError::Variable { name: whole(rest), near }
    };
    unknown.into_iter().map(error).collect()
}

/// pkg/kubelet/envvars/envvars.go of Kubernetes: `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT`,
/// `NAME_SERVICE_PORT_HTTP`, `NAME_PORT`, `NAME_PORT_80_TCP`, `NAME_PORT_80_TCP_ADDR`.
fn is_of_service(name: &str, value: &OsStr) -> bool {
    let is_number = |word: &str| word.parse::<u16>().is_ok();
    let of_port = |(_, rest): (&str, &str)| {
        let mut words = rest.split('_');
        words.next().is_some_and(is_number)
            && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
            && matches!(words.next(), None | Some("PROTO" | "PORT" | "ADDR"))
    };
    let is_url = || value.to_str().is_some_and(|value| value.contains("://"));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.rsplit_once("_PORT_").is_some_and(of_port)
        || (name.ends_with("_PORT") && is_url())
}

/// What counts, as YAML that is such a file.
pub fn effective(given: &[OsString]) -> Option<String> {
    let matches = Cli::command().try_get_matches_from(given).ok()?;
    let (_, matches) = matches.subcommand()?;
    let role = role();
    let mut map = Map::new();
    for option in options(&role) {
        let id = option.get_id().as_str();
        let Some(raw) = matches.get_raw(id) else { continue };
        let mut texts = raw.map(|value| value.to_string_lossy().into_owned());
        let value = if is_list(option) {
            texts.map(Value::from).collect()
        } else if is_switch(option) {
            Value::Bool(matches.get_flag(id))
        } else {
            texts.next_back().map_or(Value::Null, |text| scalar(option, text))
        };
        map.insert(name(option), value);
    }
    // JSON is YAML; a line each reads well.
    let lines = map.into_iter().map(|(name, value)| format!("{name}: {value}\n"));
    Some(lines.collect())
}

fn scalar(option: &Arg, text: String) -> Value {
    match kind(option.get_value_parser()) {
        "integer" => text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from),
        _ => Value::from(text),
    }
}

/// In JSON Schema.
fn kind(parser: &ValueParser) -> &'static str {
    let is = |id: TypeId| parser.type_id() == id;
    if is(TypeId::of::<u32>()) || is(TypeId::of::<u64>()) { "integer" } else { "string" }
}

/// The JSON schema of the file.
pub fn schema() -> Value {
    let role = role();
    let property = |option: &Arg| {
        let values: Vec<Value> = option
            .get_possible_values()
            .iter()
            .map(|value| Value::from(value.get_name().to_owned()))
            .collect();
        let mut one = Map::new();
        if values.is_empty() || is_switch(option) {
            let kind = if is_switch(option) { "boolean" } else { kind(option.get_value_parser()) };
            one.insert("type".to_owned(), kind.into());
        } else {
            one.insert("enum".to_owned(), values.into());
        }
        let mut schema =
            if is_list(option) { json!({"type": "array", "items": one}) } else { one.into() };
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        schema["description"] = help.into();
        let default = option.get_default_values().first().filter(|_| !is_switch(option));
        if let Some(default) = default {
            schema["default"] = scalar(option, default.to_string_lossy().into_owned());
        }
        (name(option), schema)
    };
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of `lynceus agent`",
        "type": "object",
        "additionalProperties": false,
        "properties": options(&role).map(property).collect::<Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests;
