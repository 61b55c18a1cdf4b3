//! A server of gRPC for Go under ghz: unary calls that echo a word.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Bench;
use super::load::{Load, Turn};
use crate::missing::Missing;
use crate::{command, setup};

pub(super) fn measure(bench: &Bench, rounds: usize) -> Result<()> {
    let (_, programs) = setup::programs()?;
    let find = |name| programs.find(name).ok_or_else(|| Missing::new(name));
    let (echo, ghz) = (find("grpc-reflection-server")?, find("ghz")?);
    let server = |port| Ok(vec![echo.to_string_lossy().into_owned(), format!("--port={port}")]);
    let turn = |port| {
        let mut ghz = Command::new(&ghz);
        ghz.args(["--insecure", "--call", "grpc.examples.echo.Echo/UnaryEcho"]);
        ghz.args(["-d", "{\"message\": \"word\"}", "-c", "32", "--connections", "4"]);
        ghz.args(["-z", "1s", "--duration-stop", "wait", "-O", "json"]);
        ghz.arg(format!("127.0.0.1:{port}"));
        read(&command::output(&mut ghz)?)
    };
    let title = "unary call of grpc-go by ghz, 32 at a time on 4 connections";
    Load { title, server: &server, turn: &turn }.measure(bench, rounds)
}

/// ghz's report.
fn read(text: &str) -> Result<Turn> {
    let report: Value = serde_json::from_str(text).context("reading ghz's report")?;
    let number = |key: &str| report.get(key).and_then(Value::as_f64);
    let latency = |percentage: u64| {
        let all = report.get("latencyDistribution").and_then(Value::as_array);
        let one = all
            .into_iter()
            .flatten()
            .find(|one| one.get("percentage").and_then(Value::as_u64) == Some(percentage));
        let nanos = one.and_then(|one| one.get("latency")).and_then(Value::as_f64);
        nanos.map(|nanos| nanos / 1e6).with_context(|| format!("no {percentage} % in {text}"))
    };
    Ok(Turn {
        requests: number("count").context("finding ghz's count")?,
        per_second: number("rps").context("finding ghz's rate")?,
        p50_ms: latency(50)?,
        p99_ms: latency(99)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_ghz_is_read() {
        let text = r#"{"count": 9000, "rps": 8990.5, "latencyDistribution": [
            {"percentage": 50, "latency": 1500000}, {"percentage": 99, "latency": 7000000}]}"#;
        let expected = Turn { requests: 9000.0, per_second: 8990.5, p50_ms: 1.5, p99_ms: 7.0 };
        assert_eq!(read(text).unwrap(), expected);
        assert!(read("{}").is_err());
    }
}
