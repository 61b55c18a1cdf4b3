//! Exchanges between programs that nobody here wrote, both ends traced: what is told of them is what the
//! server's own log says.

use std::{collections::HashMap, fs};

use agent_tests::{
    lynceus::Run,
    need::{self, Body, trial},
    tree::Span,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::{
    full_speed,
    http::{exchange, exchanges, is_kind},
    nginx::{Files, Nginx},
    stage::{self, Stage, words},
};

const SCRIPT: &str = include_str!("http_programs.py");
const PYTHON: &str = "python-with-packages";
/// Once in turn, and then at once.
const TIMES: usize = 21;

pub(crate) fn trials(lack: Option<&str>) -> Vec<Trial> {
    let tests: [(&str, &[&str], Body); 11] = [
        ("curl_upgrades_to_http2", &["curl", PYTHON], upgraded),
        ("nginx_with_requests", &["nginx", PYTHON], || nginx_with("requests")),
        ("nginx_with_httpx", &["nginx", PYTHON], || nginx_with("httpx")),
        ("nginx_with_aiohttp", &["nginx", PYTHON], || nginx_with("aiohttp")),
        ("gunicorn_with_requests", &[PYTHON], || gunicorn_with("requests", "sync")),
        ("gunicorn_with_httpx", &[PYTHON], || gunicorn_with("httpx", "gthread")),
        ("gunicorn_with_aiohttp", &[PYTHON], || gunicorn_with("aiohttp", "gthread")),
        ("nginx_over_a_unix_socket", &["nginx", "curl"], nginx_over_unix),
        ("nginx_over_http2", &["nginx", "nghttp", "h2load", PYTHON], nginx_over_http2),
        ("nghttpd_with_all", &["nghttpd", "nghttp", "h2load", PYTHON], nghttpd),
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

/// The script in a folder of its own.
fn script() -> anyhow::Result<(TempDir, String)> {
    let folder = TempDir::new()?;
    let path = folder.path().join("http_programs.py");
    fs::write(&path, SCRIPT)?;
    let path = path.to_string_lossy().into_owned();
    Ok((folder, path))
}

fn nginx_with(client: &str) -> anyhow::Result<()> {
    let (_folder, script) = script()?;
    let python = need::program(PYTHON)?;
    // The last is answered before its body is read.
    let paths = ["/small", "/large", "/none", "/text", "/fail", "=70000 /up/x", "+9 /text"];
    for files in [Files::Sent, Files::Copied] {
        let nginx = Nginx::with(files, "", 2)?;
        let mut client = words(&[&python, &script, client, &nginx.url("")]);
        client.extend(words(&paths));
        let stage = Stage { port: nginx.port, server: nginx.command.clone(), variables: &[] };
        let run = stage.play(&[client])?;
        let log = nginx.log()?;
        ensure!(log.len() == TIMES * paths.len(), "nginx logged {}: {log:?}", log.len());
        check_joined(&run, &log).with_context(|| format!("{files:?}"))?;
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

fn gunicorn_with(client: &str, workers: &str) -> anyhow::Result<()> {
    let (folder, script) = script()?;
    let python = need::program(PYTHON)?;
    let port = stage::free_port()?;
    let (bind, here) = (format!("127.0.0.1:{port}"), folder.path().display().to_string());
    let log = folder.path().join("access.log");
    let log_path = log.to_string_lossy().into_owned();
    let server = words(&[
        &python,
        "-m",
        "gunicorn",
        "--workers",
        "2",
        "--worker-class",
        workers,
        "--threads",
        "4",
        "--bind",
        &bind,
        "--chdir",
        &here,
        "--access-logfile",
        &log_path,
        "--access-logformat",
        "%(m)s %(U)s %(s)s %({x-came}o)s/%(B)s",
        "--log-level",
        "error",
        "http_programs:app",
    ]);
    let paths = ["/", "/chunked", "/status/404", "/status/503", "+70000 /echo", "~40000 /echo"];
    let mut client = words(&[&python, &script, client, &format!("http://{bind}")]);
    client.extend(words(&paths));
    let run = Stage { port, server, variables: &[] }.play(&[client])?;
    let log = fs::read_to_string(log)?;
    let log: Vec<String> = log.lines().map(str::to_owned).collect();
    ensure!(log.len() == TIMES * paths.len(), "gunicorn logged {}: {log:?}", log.len());
    check_joined(&run, &log)
}

/// Clients of HTTP/2 without an upgrade.
fn clients_of_http2(script: &str, base: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let (small, large) = (format!("{base}/small"), format!("{base}/large"));
    let program = need::program;
    Ok(vec![
        words(&[&program("nghttp")?, "-n", &small, &large, &format!("{base}/none")]),
        words(&[&program("nghttp")?, "-n", "-m", "30", &small]),
        words(&[&program("h2load")?, "-n", "200", "-c", "4", "-m", "10", &small, &large]),
        words(&[&program(PYTHON)?, script, "httpx-http2", base, "/small", "/large", "/none"]),
    ])
}

fn nginx_over_http2() -> anyhow::Result<()> {
    let (_folder, script) = script()?;
    for files in [Files::Sent, Files::Copied] {
        let nginx = Nginx::with(files, "http2", 2)?;
        let stage = Stage { port: nginx.port, server: nginx.command.clone(), variables: &[] };
        let run = stage.play(&clients_of_http2(&script, &nginx.url(""))?)?;
        let log = nginx.log()?;
        ensure!(log.len() == 3 + 30 + 200 + 3 * TIMES, "nginx logged {}", log.len());
        check_joined(&run, &log).with_context(|| format!("{files:?}"))?;
    }
    Ok(())
}

/// The first request of a connection becomes the first stream, and another comes behind it.
fn upgraded() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let script = folder.path().join("upgraded_server.py");
    fs::write(&script, include_str!("upgraded_server.py"))?;
    let port = stage::free_port()?;
    let server = words(&[&need::program(PYTHON)?, &script.to_string_lossy(), &port.to_string()]);
    let mut client = words(&["curl", "--http2", "-s", "-o", "/dev/null", "-o", "/dev/null"]);
    client.extend(["/first", "/second"].map(|path| format!("http://127.0.0.1:{port}{path}")));
    let run = Stage { port, server, variables: &[] }.play(&[client])?;
    check_joined(&run, &words(&["GET /first 200 0/2000", "GET /second 200 0/2000"]))
}

/// nghttpd's log has no sizes: what it serves is known.
fn nghttpd() -> anyhow::Result<()> {
    let (folder, script) = script()?;
    fs::write(folder.path().join("small"), "s".repeat(1024))?;
    fs::write(folder.path().join("large"), "l".repeat(300_000))?;
    let port = stage::free_port()?;
    let server = of_nghttpd(&folder, port)?;
    let clients = clients_of_http2(&script, &format!("http://127.0.0.1:{port}"))?;
    let run = Stage { port, server, variables: &[] }.play(&clients)?;
    let served = exchanges(&run, "server");
    let count = |start: &str| served.iter().filter(|one| one.starts_with(start)).count();
    let counts = (
        count("GET /small 200 0/1024"),
        count("GET /large 200 0/300000"),
        count("GET /none 404 0/"),
        served.len(),
    );
    let (small, large, none) = (1 + 30 + 100 + TIMES, 1 + 100 + TIMES, 1 + TIMES);
    ensure!(counts == (small, large, none, small + large + none), "{counts:?}");
    check_joined(&run, &served)
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
    let port = stage::free_port()?;
    let server = of_nghttpd(&folder, port)?;
    let url = format!("http://127.0.0.1:{port}/small");
    let client = words(&[&need::program("h2load")?, "-n", "4000", "-c", "1", "-m", "1000", &url]);
    let run = Stage { port, server, variables: &[] }.play(&[client])?;
    check_joined(&run, &vec!["GET /small 200 0/1024".to_owned(); 4000])
}
