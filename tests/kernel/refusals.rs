//! What goes wrong is said, with what to do, and never changes what the command does.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Output, Stdio},
};

use agent_tests::{
    lynceus::{binary, run_with},
    need::{lacking, trial},
    port,
};
use anyhow::ensure;
use libtest_mimic::Trial;

use crate::peer;

pub(crate) fn trials() -> Vec<Trial> {
    let full = "full_disk_is_said_and_the_rest_is_counted";
    let full = if std::path::Path::new("/dev/full").exists() {
        trial(full, &["sh"], full_disk)
    } else {
        lacking(full, "/dev/full")
    };
    vec![
        trial("without_rights_the_command_still_runs", &["sh"], without_rights),
        trial("unreachable_collector_costs_the_command_nothing", &["sh"], unreachable),
        trial("wrong_options_are_explained", &["sh"], wrong_options),
        trial("a_closed_or_full_stderr_changes_nothing", &["sh"], full_stderr),
        trial("a_ring_that_is_too_small_loses_and_says_so", &[], small_ring),
        trial("doctor_says_that_run_works", &[], doctor),
        trial("doctor_does_not_mind_who_reads_no_further", &[], doctor_is_not_read),
        trial("doctor_says_what_is_missing", &[], doctor_without_rights),
        full,
    ]
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn without_rights() -> anyhow::Result<()> {
    let run = |options: &[&str]| {
        Command::new(binary())
            .arg("run")
            .args(options)
            .args(["--", "sh", "-c", "echo still here; exit 5"])
            .uid(65534)
            .gid(65534)
            .output()
    };
    let output = run(&[])?;
    ensure!(output.status.code() == Some(5), "{output:?}");
    ensure!(output.stdout == b"still here\n", "{output:?}");
    let text = said(&output);
    ensure!(text.contains("cannot trace") && text.contains("CAP_BPF"), "{text}");
    ensure!(text.contains("lynceus doctor"), "{text}");
    let output = run(&["--strict"])?;
    ensure!(output.status.code() == Some(125) && output.stdout.is_empty(), "{output:?}");
    Ok(())
}

fn unreachable() -> anyhow::Result<()> {
    let port = port::free()?;
    for protocol in ["grpc", "http/protobuf"] {
        let url = format!("http://127.0.0.1:{port}");
        let options = ["--otlp", &url, "--otlp-protocol", protocol];
        let run = run_with(&options, &["sh", "-c", "exit 6"], |_| {})?;
        ensure!(run.code() == Some(6), "{:?}", run.output.status);
        ensure!(
            run.stderr.contains("exporting spans: ") && run.stderr.contains(&url),
            "{}",
            run.stderr
        );
        ensure!(run.stderr.contains("OTLP 0 sent and 1 lost"), "{}", run.stderr);
        run.is_whole()?;
    }
    Ok(())
}

fn full_disk() -> anyhow::Result<()> {
    let output = Command::new(binary())
        .args(["run", "--out", "/dev/full", "--", "sh", "-c", "exit 8"])
        .output()?;
    let text = said(&output);
    ensure!(output.status.code() == Some(8), "{output:?}");
    ensure!(text.contains("writing /dev/full: No space left on device"), "{text}");
    ensure!(text.contains("--out 0 written and 1 lost"), "{text}");
    let output = Command::new(binary())
        .args(["run", "--out", "/no/such/folder/x", "--", "sh", "-c", "exit 8"])
        .output()?;
    ensure!(output.status.code() == Some(8), "{output:?}");
    ensure!(said(&output).contains("creating /no/such/folder/x"), "{}", said(&output));
    Ok(())
}

fn wrong_options() -> anyhow::Result<()> {
    let check = |options: &[&str], variable: (&str, &str), expected: &str| {
        let run = |strict: &[&str]| {
            let mut command = Command::new(binary());
            command.arg("run").args(strict).args(options).args(["--", "sh", "-c", "exit 3"]);
            command.env(variable.0, variable.1).output()
        };
        let output = run(&[])?;
        ensure!(said(&output).contains(expected), "{options:?}: {}", said(&output));
        let is_usage = output.status.code() == Some(2);
        ensure!(is_usage || said(&output).contains("; 1 span;"), "not traced: {}", said(&output));
        ensure!(is_usage || output.status.code() == Some(3), "{output:?}");
        let output = run(&["--strict"])?;
        ensure!(matches!(output.status.code(), Some(2 | 125)), "{output:?}");
        Ok(())
    };
    check(&["--otlp", "localhost:4317"], ("A", "b"), "is not a URL as http://HOST:PORT")?;
    check(&[], ("OTEL_TRACES_SAMPLER", "xray"), "parentbased_always_on")?;
    check(&[], ("OTEL_RESOURCE_ATTRIBUTES", "nonsense"), "key=value")?;
    check(&["--ring-bytes", "5000"], ("A", "b"), "not a power of two")
}

fn full_stderr() -> anyhow::Result<()> {
    if !std::path::Path::new("/dev/full").exists() {
        return Ok(());
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let status =
        Command::new(binary()).args(["run", "--", "sh", "-c", "exit 5"]).stderr(full).status()?;
    ensure!(status.code() == Some(5), "{status:?}");
    Ok(())
}

fn small_ring() -> anyhow::Result<()> {
    let command = peer::command("forks", &["3000"]);
    let run = run_with(&["--ring-bytes", "4096"], &command, |_| {})?;
    run.balances()?;
    Ok(())
}

fn doctor() -> anyhow::Result<()> {
    let output = Command::new(binary()).args(["doctor", "--json"]).output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    ensure!(output.status.success(), "{report:#}");
    ensure!(report.get("run_works") == Some(&serde_json::Value::Bool(true)), "{report:#}");
    let output = Command::new(binary()).arg("doctor").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("`lynceus run` works here"), "{text}");
    let widest = text.lines().map(|line| line.chars().count()).max();
    ensure!(widest == Some(100), "{widest:?} columns: {text}");
    Ok(())
}

/// As `lynceus doctor | head -1` does.
fn doctor_is_not_read() -> anyhow::Result<()> {
    let mut command = Command::new(binary());
    let mut doctor = command.arg("doctor").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(doctor.stdout.take());
    let output = doctor.wait_with_output()?;
    let said = said(&output);
    ensure!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    Ok(())
}

fn doctor_without_rights() -> anyhow::Result<()> {
    let mut command = Command::new(binary());
    let output = command.args(["doctor", "--json"]).uid(65534).gid(65534).output()?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.code() == Some(1), "{report}");
    ensure!(report.contains("CAP_BPF and CAP_PERFMON missing"), "{report}");
    Ok(())
}
