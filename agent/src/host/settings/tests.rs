//! Files, variables and arguments, and which of them counts.

use clap::Parser as _;

use super::*;
use crate::host::cli::{AgentOptions, CaptureOption, DetailOption, Role};

/// A file that is there as long as this is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("lynceus-settings-{}-{nth}.yaml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// What counts of a file, variables and arguments.
fn read(
    text: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Result<Box<AgentOptions>, String> {
    let file = Scratch::new(text);
    let config = format!("--config={}", file.0.display());
    let given = ["lynceus", "agent", "--node-name=n", &config].into_iter();
    let given: Vec<OsString> = given.chain(arguments.iter().copied()).map(OsString::from).collect();
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(*value))
    };
    let line = command_line(given, variable).map_err(|error| error.to_string())?;
    match Cli::try_parse_from(line).map_err(|error| error.to_string())?.role {
        Role::Agent(options) => Ok(options),
        Role::Run(_) | Role::Doctor(_) => Err("another role".to_owned()),
    }
}

#[test]
fn the_command_line_counts_more_than_variables_and_those_more_than_the_file() {
    let text = "detail: steps\nringBytes: 8192\nspansPerPod: 1\nkeepInstrumented: true\n\
                envAttributes: [A, B]\n";
    let options = read(text, &[], &[]).unwrap();
    assert_eq!((options.detail, options.ring_bytes), (DetailOption::Steps, 8192));
    assert!(options.spans.keep_instrumented);
    assert_eq!(options.spans.env_attributes, ["A", "B"]);
    let variables = [
        ("LYNCEUS_DETAIL", "requests"),
        ("LYNCEUS_SPANS_PER_POD", "2"),
        ("LYNCEUS_KEEP_INSTRUMENTED", "false"),
        ("LYNCEUS_ENV_ATTRIBUTES", "C,D"),
    ];
    let options = read(text, &variables, &["--detail", "all", "--env-attribute=E"]).unwrap();
    assert_eq!((options.detail, options.spans_per_pod), (DetailOption::All, 2));
    assert_eq!(options.spans.env_attributes, ["E"]);
    assert!(!options.spans.keep_instrumented);
    assert_eq!(read(text, &variables, &[]).unwrap().spans.env_attributes, ["C", "D"]);
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(read("capture: off\n", &[], &[]).unwrap().spans.capture, CaptureOption::Off);
    for text in ["", "# nothing\n", "{}\n", "detail: null\n"] {
        assert_eq!(read(text, &[], &[]).unwrap().detail, DetailOption::All, "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let check = |text: &str, named: &[&str]| {
        let error = read(text, &[], &[]).expect_err(text);
        let lacks = named.iter().find(|named| !error.contains(**named));
        assert_eq!(lacks, None, "{error}");
    };
    check("ringbyte: 4096", &[".yaml", "ringbyte", "did you mean ringBytes?"]);
    check("xyzzy: 1", &["xyzzy is not known"]);
    check("config: other", &["config is not known"]);
    check("ringBytes: 4097", &[".yaml: ringBytes: ", "not a power of two"]);
    check("detail: much", &["detail: ", "much", "steps"]);
    check("detail: [all]", &["detail: ", "neither a text nor a number"]);
    check("keepInstrumented: 1", &["keepInstrumented: 1 is not true or false"]);
    check("envAttributes: A", &["envAttributes: ", "is no list"]);
    check("- detail", &["a line `name: value`"]);
    check("detail: {", &["is no YAML"]);
    let error = read("", &[("LYNCEUS_RING_BYTES", "1")], &[]).unwrap_err();
    assert!(error.starts_with("LYNCEUS_RING_BYTES: ringBytes: "), "{error}");
    let absent = command_line(
        ["lynceus", "agent", "--config=/nowhere/x"].map(OsString::from).into(),
        |_| None,
    );
    assert_eq!(absent.unwrap_err().to_string(), "reading /nowhere/x");
}

#[test]
fn a_variable_of_no_option_is_told_and_that_of_a_service_is_not() {
    let check = |name: &str, value: &str, expected: &str| {
        let found = unknown([(name.into(), value.into())].into_iter());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.join("\n"), expected, "{name}");
    };
    check("LYNCEUS_RING_BYTES", "4096", "");
    check("LYNCEUS_ENV_ATTRIBUTES", "A", "");
    check("LYNCEUS_CONFIG", "x", "");
    check("RING_BYTE", "4096", "");
    check(
        "LYNCEUS_RING_BYTE",
        "4096",
        "LYNCEUS_RING_BYTE is the variable of no option; did you mean LYNCEUS_RING_BYTES?",
    );
    check("LYNCEUS_XYZZY", "1", "LYNCEUS_XYZZY is the variable of no option");
    check("LYNCEUS_CHECK_CONFIG", "true", "LYNCEUS_CHECK_CONFIG is the variable of no option");
    for name in ["LYNCEUS", "LYNCEUS_AGENT"] {
        check(&format!("{name}_SERVICE_HOST"), "10.0.0.1", "");
        check(&format!("{name}_SERVICE_PORT"), "9464", "");
        check(&format!("{name}_SERVICE_PORT_ADMIN"), "9464", "");
        check(&format!("{name}_PORT"), "tcp://10.0.0.1:9464", "");
        check(&format!("{name}_PORT_9464_TCP"), "tcp://10.0.0.1:9464", "");
        check(&format!("{name}_PORT_9464_TCP_ADDR"), "10.0.0.1", "");
        check(&format!("{name}_PORT_9464_TCP_PORT"), "9464", "");
    }
    let own = "LYNCEUS_ADMIN_PORT is the variable of no option; did you mean LYNCEUS_ADMIN?";
    check("LYNCEUS_ADMIN_PORT", "9464", own);
}

#[test]
fn other_roles_have_no_file() {
    let given: Vec<OsString> =
        ["lynceus", "run", "--", "agent", "--config=/nowhere/x"].map(OsString::from).into();
    assert_eq!(command_line(given.clone(), |_| Some("x".into())).unwrap(), given);
}

#[test]
fn what_counts_is_such_a_file_again() {
    let given: Vec<OsString> =
        ["lynceus", "agent", "--node-name=n", "--ring-bytes=8192", "--env-attribute=A"]
            .map(OsString::from)
            .into();
    let text = effective(&given).unwrap();
    assert!(text.contains("ringBytes: 8192\n") && text.contains("envAttributes: [\"A\"]\n"));
    assert_eq!(read(&text.replace("nodeName: \"n\"\n", ""), &[], &[]).unwrap().ring_bytes, 8192);
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_options() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config.schema.json");
    let kept: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(kept, schema(), "lynceus agent --config-schema > deploy/config.schema.json");
}
