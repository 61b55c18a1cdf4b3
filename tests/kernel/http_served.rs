//! A server that is traced and clients that are not: what is told of the requests that it served.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use agent_tests::{
    lynceus::binary,
    tree::{self, Span},
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{SERVER, exchange, is_kind};

/// `STATUS_CODE_ERROR` of OTLP.
const ERROR: u64 = 2;

/// What was told.
pub(crate) struct Served {
    /// Of requests, in order of time.
    pub(crate) spans: Vec<Span>,
    /// What came through the ring.
    recording: Vec<u8>,
}

/// Traces Python's server while clients ask it, who get the beginning of its URLs.
pub(crate) fn serve(clients: impl FnOnce(&str) -> anyhow::Result<()>) -> anyhow::Result<Served> {
    let folder = TempDir::new()?;
    let (script, out) = (folder.path().join("http_server.py"), folder.path().join("out.jsonl"));
    let ring = folder.path().join("ring");
    std::fs::write(&script, SERVER)?;
    let mut lynceus = Command::new(binary())
        .args(["run", "--strict", "--out"])
        .arg(&out)
        .arg("--record")
        .arg(&ring)
        .args(["--", "python3"])
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(lynceus.stdout.take().context("no output")?).read_line(&mut line)?;
    let asked = clients(&format!("http://127.0.0.1:{}", line.trim()));
    drop(lynceus.stdin.take());
    let status = lynceus.wait()?;
    asked?;
    ensure!(status.success(), "lynceus: {status}");
    let spans = tree::parse(&std::fs::read_to_string(&out)?)?;
    let mut spans: Vec<Span> = spans.into_iter().filter(|span| is_kind(span, "server")).collect();
    spans.sort_by_key(|span| span.number("startTimeUnixNano"));
    Ok(Served { spans, recording: std::fs::read(&ring)? })
}

pub(crate) fn curl(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("curl").args(["-s", "-o", "/dev/null"]).args(arguments).status()?;
    ensure!(status.success(), "curl {arguments:?}: {status}");
    Ok(())
}

pub(crate) fn framings() -> anyhow::Result<()> {
    let paths = ["/bytes/1700", "/chunked", "/status/503", "/status/404", "/close"];
    let served = serve(|base| {
        let urls: Vec<String> = paths.iter().map(|path| format!("{base}{path}")).collect();
        let mut arguments = ["-o", "/dev/null"].repeat(paths.len() - 1);
        arguments.extend(urls.iter().map(String::as_str));
        curl(&arguments)
    })?;
    let found: Vec<String> = served.spans.iter().map(exchange).collect();
    let expected = [
        "GET /bytes/1700 200 0/1700",
        "GET /chunked 200 0/40701",
        "GET /status/503 503 0/3",
        "GET /status/404 404 0/3",
        "GET /close 200 0/5000",
    ];
    ensure!(found == expected, "{found:#?}");
    let errors: Vec<_> = served.spans.iter().filter_map(|span| span.string("error.type")).collect();
    ensure!(errors == ["503"], "only 5xx are the server's errors: {errors:?}");
    for span in &served.spans {
        let is = |key: &str, value: &str| {
            ensure!(span.string(key).as_deref() == Some(value), "{key} of {span:?}");
            Ok(())
        };
        is("client.address", "127.0.0.1")?;
        is("url.scheme", "http")?;
        let agent = span.string("user_agent.original").unwrap_or_default();
        ensure!(agent.starts_with("curl/"), "{span:?}");
        let port = span.int("client.port");
        ensure!(port > Some(0) && port == span.int("network.peer.port"), "{span:?}");
        let is_failed = span.0.pointer("/status/code").and_then(Value::as_u64) == Some(ERROR);
        ensure!(is_failed == span.string("error.type").is_some(), "{span:?}");
    }
    let canary = b"CANARY-OF-A-BODY";
    let has_canary = served.recording.windows(canary.len()).any(|bytes| bytes == canary);
    ensure!(!has_canary, "a body was recorded");
    Ok(())
}
