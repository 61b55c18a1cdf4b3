//! Exchanges between programs that nobody here wrote, both ends traced: what is told of them is what the
//! server's own log says.

use std::{collections::HashMap, fs};

use agent_tests::{
    lynceus::{Run, run_with},
    need::{self, Body, trial},
    port,
    tree::Span,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::{
    full_speed,
    http::{exchange, exchanges, is_kind},
    nginx::{Files, Nginx},
    stage::{Stage, words},
};

pub(crate) fn trials(lack: Option<&str>) -> Vec<Trial> {
    let tests: [(&str, &[&str], Body); 3] = [
        ("curl_and_python_in_a_shell", &["bash", "python3", "curl"], shell),
        ("nginx_over_a_unix_socket", &["nginx", "curl"], nginx_over_unix),
        ("nghttpd_with_a_thousand_streams", &["nghttpd", "h2load"], thousand_streams),
    ];
    let each = tests.into_iter().chain(full_speed::TESTS);
    each.map(|(name, programs, body)| match lack {
        None => trial(name, programs, body),
        Some(lack) => need::lacking(name, lack),
    })
    .collect()
}

/// Client and server tell the same, one below the other, and no more than is expected.
pub(crate) fn check_joined(run: &Run, expected: &[String]) -> anyhow::Result<()> {
    let mut expected = expected.to_vec();
    expected.sort();
    for kind in ["client", "server"] {
        let mut found = exchanges(run, kind);
        found.sort();
        ensure!(found == expected, "{kind}: {}", difference(&found, &expected));
    }
    joined(run, exchange)
}

/// Every server's span stands below a client's of its own, and both are the same by `told`.
pub(crate) fn joined(run: &Run, told: impl Fn(&Span) -> String) -> anyhow::Result<()> {
    let clients = run.spans.iter().filter(|span| is_kind(span, "client"));
    let mut clients: HashMap<&str, &Span> =
        clients.map(|span| (span.text("spanId"), span)).collect();
    for served in run.spans.iter().filter(|span| is_kind(span, "server")) {
        let client = clients.remove(served.text("parentSpanId"));
        let client = client.with_context(|| format!("below no client: {}", told(served)))?;
        ensure!(told(client) == told(served), "{} below {}", told(served), told(client));
        ensure!(client.text("traceId") == served.text("traceId"), "{}", told(served));
    }
    Ok(())
}

/// `+` what is too many, `-` what is missing; both are sorted.
pub(crate) fn difference(found: &[String], expected: &[String]) -> String {
    let mut counts: HashMap<&str, i64> = HashMap::new();
    found.iter().for_each(|one| *counts.entry(one).or_default() += 1);
    expected.iter().for_each(|one| *counts.entry(one).or_default() -= 1);
    let mut lines: Vec<String> = counts
        .into_iter()
        .filter(|(_, count)| *count != 0)
        .map(|(one, count)| format!("{count:+} {one}"))
        .collect();
    lines.sort();
    format!("{} of {}: {lines:#?}", found.len(), expected.len())
}

/// What the tracer is first shown with.
fn shell() -> anyhow::Result<()> {
    let port = port::free()?;
    let command = format!(
        "python3 -m http.server {port} & s=$!; \
         until grep -qi ':{port:04X} .* 0A ' /proc/net/tcp; do sleep 0.1; done; \
         curl -s localhost:{port}/ >/dev/null; \
         curl -s localhost:{port}/missing?token=abc >/dev/null; kill $s"
    );
    let folder = TempDir::new()?;
    let run = run_with(&[], &["bash", "-c", &command], |lynceus| {
        lynceus.current_dir(folder.path());
    })?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    run.is_whole()?;
    let told = |span: &Span| {
        let status = span.int("http.response.status_code").unwrap_or_default();
        let size = span.int("http.response.body.size").unwrap_or_default();
        format!("{} {status} {size}", span.name())
    };
    for kind in ["client", "server"] {
        let found = exchanges(&run, kind);
        let found: Vec<_> = found.iter().filter_map(|line| line.split(' ').nth(2)).collect();
        ensure!(found == ["200", "404"], "{kind}: {found:?}\n{}", run.stderr);
    }
    joined(&run, told)?;
    let of = |key: &str| run.spans.iter().filter_map(|span| span.string(key)).collect::<Vec<_>>();
    let base = format!("http://localhost:{port}");
    let urls = [format!("{base}/"), format!("{base}/missing?token=[REDACTED]")];
    ensure!(of("url.full") == urls, "{:?}", of("url.full"));
    ensure!(of("url.query") == ["token=[REDACTED]"], "{:?}", of("url.query"));
    // What Python's server itself logs stands beside what we draw.
    let is_ours = |line: &&str| !line.contains("\"GET /missing");
    let mut told = run.file.lines().chain(run.stderr.lines().filter(is_ours));
    ensure!(!told.any(|line| line.contains("token=abc")), "a secret is told: {}", run.stderr);
    // A line each, with what was asked as far as there is room, the answer and a duration.
    for (by, begins) in
        [("client", format!(" GET localhost:{port}/")), ("server", " serves GET /".into())]
    {
        for status in [200, 404] {
            let answer = format!(" \u{2192} {status} ");
            let is_it = |line: &&str| line.contains(&begins) && line.contains(&answer);
            let line = run.stderr.lines().find(is_it);
            let line = line.with_context(|| format!("no {status} of the {by}: {}", run.stderr))?;
            let mut words = line.split_whitespace().rev();
            let unit = words.find(|word| ["\u{b5}s", "ms", "s"].contains(word));
            let number = words.next().and_then(|word| word.parse::<f64>().ok());
            ensure!(unit.is_some() && number.is_some(), "no duration: {line}");
        }
    }
    Ok(())
}

fn nginx_over_unix() -> anyhow::Result<()> {
    let nginx = Nginx::with(Files::Sent, "", 1)?;
    let (curl, socket) = (need::program("curl")?, nginx.socket());
    let ask = |arguments: &[&str]| {
        let quiet = [&*curl, "-s", "-o", "/dev/null", "--unix-socket", &socket];
        words(&[&quiet, arguments].concat())
    };
    let (small, large) = ("http://nginx/small", "http://nginx/large");
    let stage = Stage { port: nginx.port, server: nginx.command.clone(), variables: &[] };
    let run = stage.play(&[
        ask(&[small]),
        ask(&["-d", "abc", "http://nginx/text"]),
        // On one connection.
        ask(&[large, "-o", "/dev/null", small]),
        ask(&["http://nginx/fail"]),
    ])?;
    let log = nginx.log()?;
    ensure!(log.len() == 5, "{log:?}");
    check_joined(&run, &log)?;
    for client in run.spans.iter().filter(|span| is_kind(span, "client")) {
        let (peer, server) =
            (client.string("network.peer.address"), client.string("server.address"));
        ensure!(peer == Some(socket.clone()) && server.as_deref() == Some("nginx"), "{client:?}");
    }
    Ok(())
}

fn of_nghttpd(folder: &TempDir, port: u16) -> anyhow::Result<Vec<String>> {
    let (here, port) = (folder.path().display().to_string(), port.to_string());
    let address = ["--address", "127.0.0.1", "--max-concurrent-streams", "1000"];
    let server = [&[&*need::program("nghttpd")?, "--no-tls"], &address[..], &["-d", &here, &port]];
    Ok(words(&server.concat()))
}

/// On one connection at one time.
fn thousand_streams() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    fs::write(folder.path().join("small"), "s".repeat(1024))?;
    let port = port::free()?;
    let server = of_nghttpd(&folder, port)?;
    let url = format!("http://127.0.0.1:{port}/small");
    let client = words(&[&need::program("h2load")?, "-n", "4000", "-c", "1", "-m", "1000", &url]);
    let run = Stage { port, server, variables: &[] }.play(&[client])?;
    check_joined(&run, &vec!["GET /small 200 0/1024".to_owned(); 4000])
}
