//! A real OpenTelemetry Collector gets exactly the spans that `--out` wrote, and the metrics that `/metrics`
//! shows. Needs root and the Collector that `cargo xtask setup` builds.

#[path = "collector/certified.rs"]
mod certified;
#[path = "collector/peer.rs"]
mod peer;
#[path = "collector/pushed.rs"]
mod pushed;

use std::{
    collections::BTreeMap,
    process::{Command, ExitCode},
};

use agent_tests::{
    lynceus::{Run, binary, run_with},
    need::{self, lacking, trial},
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use tempfile::TempDir;

use self::peer::{Peer, collector};

const SCRIPT: &str = "seq 3 | cat >/dev/null; for i in 1 2 3 4; do /bin/true; done; sh -c 'exit 7'; \
                      exec sh -c 'exec ls / >/dev/null'";

fn main() -> ExitCode {
    type Body = fn() -> anyhow::Result<()>;
    let tests: [(&str, Body); 9] = [
        ("what_arrives_by_grpc_is_what_was_written", by_grpc),
        ("what_arrives_by_http_is_what_was_written", by_http),
        ("compressed_requests_arrive", compressed),
        ("standard_variables_say_where_to", by_variables),
        ("certificates_of_a_private_authority_by_grpc", certified::by_grpc),
        ("certificates_of_a_private_authority_by_http", certified::by_http),
        ("a_call_of_grpc_is_seen", grpc_is_seen),
        ("metrics_of_the_agent_arrive_by_grpc", pushed::by_grpc),
        ("metrics_of_the_agent_arrive_by_http", pushed::by_http),
    ];
    let trials: Vec<Trial> = match collector() {
        Some(_) => tests.into_iter().map(|(name, body)| trial(name, &["bash"], body)).collect(),
        None => tests.into_iter().map(|(name, _)| lacking(name, "Collector")).collect(),
    };
    need::run(trials, &[])
}

fn by_grpc() -> anyhow::Result<()> {
    arrives(
        |peer| {
            vec![
                "--otlp".to_owned(),
                format!("http://{}", peer.grpc),
                "--otlp-protocol".to_owned(),
                "grpc".to_owned(),
            ]
        },
        |_, _| {},
    )
}

/// What an exporter sends is a call like any other, where it is kept: a tonic client, and a grpc-go
/// server.
fn grpc_is_seen() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let peer = Peer::start(folder.path())?;
    let (lynceus, url) = (binary().to_string_lossy().into_owned(), format!("http://{}", peer.grpc));
    let inner = [&lynceus, "run", "--capture", "off", "--otlp", &url, "--otlp-protocol", "grpc"];
    let command = [&inner[..], &["--", "/bin/true"]].concat();
    let run = run_with(&["--keep-instrumented"], &command, |_| {})?;
    run.is_whole()?;
    let call = run.span("opentelemetry.proto.collector.trace.v1.TraceService/Export")?;
    ensure!(call.string("rpc.system.name").as_deref() == Some("grpc"), "{call:?}");
    ensure!(call.string("rpc.response.status_code").as_deref() == Some("OK"), "{call:?}");
    ensure!(call.string("error.type").is_none(), "{call:?}");
    peer.stop()?;
    Ok(())
}

fn by_http() -> anyhow::Result<()> {
    arrives(|peer| vec!["--otlp".to_owned(), format!("http://{}", peer.http)], |_, _| {})
}

fn compressed() -> anyhow::Result<()> {
    for protocol in ["grpc", "http/protobuf"] {
        arrives(
            |_| Vec::new(),
            |peer, lynceus| {
                let address = if protocol == "grpc" { &peer.grpc } else { &peer.http };
                lynceus.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
                lynceus.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
                lynceus.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
            },
        )?;
    }
    Ok(())
}

fn by_variables() -> anyhow::Result<()> {
    arrives(
        |_| Vec::new(),
        |peer, lynceus| {
            let url = format!("http://{}/v1/traces", peer.http);
            lynceus.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url);
            lynceus.env("OTEL_EXPORTER_OTLP_HEADERS", "x-scope=a%20b");
            lynceus.env("OTEL_SERVICE_NAME", "by variables");
            lynceus.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,a=b%2Cc");
        },
    )
}

/// Runs a command against a Collector and compares what it and the file say.
fn arrives(
    options: impl Fn(&Peer) -> Vec<String>,
    prepare: impl Fn(&Peer, &mut Command),
) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let peer = Peer::start(folder.path())?;
    let options = options(&peer);
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.push("--wait");
    let run = run_with(&options, &["bash", "-c", SCRIPT], |lynceus| prepare(&peer, lynceus));
    let theirs = peer.stop()?;
    let run = run?;
    run.is_whole()?;
    let sent = format!("OTLP {} sent", run.spans.len());
    ensure!(run.stderr.contains(&sent), "not {sent}: {}", run.stderr);
    compare(&run, &theirs)
}

fn compare(run: &Run, theirs: &str) -> anyhow::Result<()> {
    let ours = by_id(&run.file)?;
    let theirs = by_id(theirs)?;
    ensure!(ours.len() == run.spans.len(), "{} ids, {} spans", ours.len(), run.spans.len());
    ensure!(ours.keys().eq(theirs.keys()), "other spans: {ours:#?} {theirs:#?}");
    for (id, span) in &ours {
        let other = theirs.get(id).context("no such span")?;
        ensure!(span == other, "span {id} differs:\n{span:#}\n{other:#}");
    }
    Ok(())
}

/// Every span by its id, together with its resource and its scope.
fn by_id(lines: &str) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut spans = BTreeMap::new();
    for line in lines.lines() {
        let request: Value = serde_json::from_str(line)?;
        for resource in list(&request, "resourceSpans") {
            for scope in list(&resource, "scopeSpans") {
                for span in list(&scope, "spans") {
                    let id = span.get("spanId").and_then(Value::as_str).unwrap_or_default();
                    let whole = serde_json::json!({
                        "resource": resource.get("resource"),
                        "schema": resource.get("schemaUrl"),
                        "scope": scope.get("scope"),
                        "span": span,
                    });
                    spans.insert(id.to_owned(), without_defaults(whole));
                }
            }
        }
    }
    Ok(spans)
}

fn list(value: &Value, field: &str) -> Vec<Value> {
    value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Protobuf's JSON may spell a default value out or leave it out: both mean the same.
fn without_defaults(value: Value) -> Value {
    let is_default = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) => false,
    };
    match value {
        Value::Object(fields) => {
            // The value of an attribute is what was chosen: there a default says something.
            let chosen = fields.keys().any(|key| key.ends_with("Value"));
            let fields = fields.into_iter().map(|(key, value)| (key, without_defaults(value)));
            Value::Object(fields.filter(|(_, value)| chosen || !is_default(value)).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_defaults).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
