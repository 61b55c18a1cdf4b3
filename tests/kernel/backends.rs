//! The three families of programs that see requests see the same.

use std::{
    collections::{BTreeMap, HashSet},
    process::Command,
};

use agent_tests::{
    lynceus::{Run, binary, run_with},
    need::{Body, lacking, trial},
    tree::Span,
};
use anyhow::ensure;
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::{
    calls::{CALLS, SPLITS},
    grpc_programs::{REQUESTS, RESPONSES},
    http::{between_threads, exchange, exchanges, is_kind},
    http_programs::{difference, joined},
    messages,
    moves::{BODY_BYTES, RECEIVES, SENDS, UNIX},
    peer, uring,
};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, &str, Body); 12] = [
        ("fentry", "whatever_moves_them", || whatever_moves_them("fentry")),
        ("kprobe", "whatever_moves_them", || whatever_moves_them("kprobe")),
        ("tracepoint", "whatever_moves_them", || whatever_moves_them("tracepoint")),
        ("fentry", "completely", || between_threads(&["--capture", "fentry"])),
        ("kprobe", "completely", || between_threads(&["--capture", "kprobe"])),
        ("tracepoint", "completely", || between_threads(&["--capture", "tracepoint"])),
        ("fentry", "with_their_messages", || with_their_messages("fentry")),
        ("kprobe", "with_their_messages", || with_their_messages("kprobe")),
        ("tracepoint", "with_their_messages", || with_their_messages("tracepoint")),
        ("fentry", "in_several_messages", || in_several_messages("fentry")),
        ("kprobe", "in_several_messages", || in_several_messages("kprobe")),
        ("tracepoint", "in_several_messages", || in_several_messages("tracepoint")),
    ];
    let tests = tests.into_iter().chain(uring::TESTS);
    let works = backends();
    let trial_of = |(backend, what, body): (&str, &str, Body)| {
        let name = format!("{backend}_sees_requests_{what}");
        match works.get(&format!("request probes: {backend}")) {
            Some(None) => match uring::what_is_lacking().filter(|_| what.contains("io_uring")) {
                None => trial(&name, &[], body),
                Some(lack) => lacking(&name, &lack),
            },
            Some(Some(why)) => lacking(&name, &format!("{backend} ({why})")),
            None => lacking(&name, backend),
        }
    };
    tests.map(trial_of).collect()
}

/// What `doctor` says of each row on request probes: `None` if they work, else why not.
pub(crate) fn backends() -> BTreeMap<String, Option<String>> {
    let output = Command::new(binary()).args(["doctor", "--json"]).output();
    let report = output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok());
    let report: serde_json::Value = report.unwrap_or_default();
    let text = |check: &serde_json::Value, key: &str| {
        check.get(key).and_then(|text| text.as_str()).unwrap_or_default().replace('\n', " ")
    };
    let checks = report.get("checks").and_then(serde_json::Value::as_array).cloned();
    let rows = checks.unwrap_or_default().into_iter().filter_map(|check| {
        let name = text(&check, "name");
        let why = (text(&check, "verdict") != "ok").then(|| text(&check, "found"));
        name.starts_with("request probes").then_some((name, why))
    });
    rows.collect()
}

/// IPv4, IPv6 and IPv4 within IPv6. What is received by splice, kprobes alone see when it comes; else it
/// shows at the next call, and then the exchange may be over.
fn whatever_moves_them(backend: &str) -> anyhow::Result<()> {
    let mut receives = RECEIVES.to_vec();
    if backend == "kprobe" {
        receives.push("splice");
    }
    for (address, peer) in
        [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::ffff:127.0.0.1]:0", "127.0.0.1")]
    {
        let run = moved(backend, address, &receives)?;
        let peers: HashSet<_> =
            run.spans.iter().filter_map(|span| span.string("network.peer.address")).collect();
        ensure!(peers == HashSet::from([peer.to_owned()]), "{address}: {peers:?}");
    }
    // UNIX sockets have no sequence numbers: what is spliced from them is not seen.
    let folder = TempDir::new()?;
    let path = folder.path().join("moves.sock").display().to_string();
    let run = moved(backend, &format!("{UNIX}{path}"), &RECEIVES)?;
    let clients = run.spans.iter().filter(|span| is_kind(span, "client"));
    let has_path = |span: &Span| {
        span.string("network.peer.address").as_deref() == Some(&path)
            && span.string("network.transport").as_deref() == Some("unix")
    };
    ensure!(clients.clone().all(has_path), "{:?}", clients.clone().next());
    joined(&run, exchange)
}

/// Every exchange is told at both ends, with its sizes.
fn moved(backend: &str, address: &str, receives: &[&str]) -> anyhow::Result<Run> {
    let command = peer::command("moves", &[&[address], receives].concat());
    let run = run_with(&["--capture", backend], &command, |_| {})?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    run.is_whole()?;
    let expected: Vec<String> = SENDS
        .iter()
        .flat_map(|send| receives.iter().map(move |receive| (send, receive)))
        .map(|(send, receive)| format!("POST /{send}-{receive} 200 {BODY_BYTES}/{BODY_BYTES}"))
        .collect();
    for kind in ["client", "server"] {
        let found = exchanges(&run, kind);
        let pairs = expected.iter().zip(&found);
        let differ: Vec<_> = pairs.filter(|(expected, found)| expected != found).collect();
        ensure!(
            found.len() == expected.len() && differ.is_empty(),
            "{address}, {kind}: {} of {}, {differ:#?}\n{}",
            found.len(),
            expected.len(),
            run.stderr
        );
    }
    Ok(run)
}

/// Which of several messages of one call was moved nothing tells: bodies are counted, and a connection
/// whose head came so is not followed, which is counted. Its server reads as always.
fn in_several_messages(backend: &str) -> anyhow::Result<()> {
    let run = run_with(&["--capture", backend], &peer::command("messages", &[]), |_| {})?;
    run.is_whole()?;
    let found = ["client", "server"].map(|kind| exchanges(&run, kind));
    let all = messages::PATHS.map(|path| format!("POST {path} 200 9/0"));
    let (first, rest) = (vec![all[0].clone()], all.to_vec());
    ensure!(found == [first, rest], "{found:#?}\n{}", run.stderr);
    for said in ["connections_out_of_step 1", "; 1 connection of TLS or no HTTP"] {
        ensure!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    Ok(())
}

/// Each call has as many messages each way as were said, whatever moved them.
fn with_their_messages(backend: &str) -> anyhow::Result<()> {
    let run = run_with(&["--capture", backend], &peer::command("calls", &[]), |_| {})?;
    run.is_whole()?;
    let each = CALLS.map(|(path, up, down)| format!("{path} OK {} {}", up.len(), down.len()));
    let mut expected = SPLITS.map(|_| each.clone()).concat();
    expected.sort();
    for kind in ["client", "server"] {
        let told = |span: &Span| {
            let count = |key| span.int(key).map_or_else(|| "-".to_owned(), |it| it.to_string());
            let status = span.string("rpc.response.status_code").unwrap_or_default();
            let (up, down) = (count(REQUESTS), count(RESPONSES));
            format!("{} {status} {up} {down}", span.name())
        };
        let spans = run.spans.iter().filter(|span| is_kind(span, kind));
        let mut found: Vec<String> = spans.map(told).collect();
        found.sort();
        ensure!(found == expected, "{kind}: {}\n{}", difference(&found, &expected), run.stderr);
    }
    Ok(())
}
