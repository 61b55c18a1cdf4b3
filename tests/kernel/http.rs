//! Exchanges over HTTP: each is told once, at its client and at its server.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use agent_tests::{
    lynceus::{Run, run_with},
    need::{Body, lacking, trial},
    tree::Span,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::{
    backends, budget, completeness, failures, grpc_pairs, grpc_programs, http_causes, http_clients,
    http_context, http_early, http_inherited, http_programs, http_served, http2, http2_met, pairs,
    peer,
};

pub(crate) const SERVER: &str = include_str!("http_server.py");

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, &[&str], Body); 37] = [
        ("http_between_threads_is_complete", &[], || between_threads(&["--capture", "auto"])),
        ("http_of_curl", &["curl", "python3"], http_clients::curl),
        ("http_kept_alive_by_curl", &["curl", "python3"], http_clients::curl_keeps_alive),
        ("http_slow_answers", &["curl", "python3"], http_clients::slow_answers),
        ("http_bodies_of_curl", &["curl", "python3"], http_clients::curl_bodies),
        ("http_of_wget", &["wget", "python3"], http_clients::wget),
        ("http_of_python", &["python3"], http_clients::python),
        ("http_of_node", &["node", "python3"], http_clients::node),
        ("http_of_go", &["go", "python3"], http_clients::go),
        ("http_of_java", &["java", "python3"], http_clients::java),
        ("http_of_perl", &["perl", "python3"], http_clients::perl),
        ("http_on_an_inherited_connection", &["python3"], http_inherited::inherited),
        ("http_pipelined_and_in_pieces", &["python3"], http_clients::pieces),
        ("http_answered_before_the_body", &["python3"], http_early::answers),
        ("http_answered_behind_a_half_close", &["python3"], http_early::half_closed),
        ("http2_without_a_request", &["python3"], http_early::idle),
        ("http2_cancelled_before_an_answer", &["python3"], http_early::cancelled),
        ("http2_of_curl", &["bash", "curl", "node"], http2::curl),
        ("http2_of_node", &["bash", "node"], http2::node),
        ("http2_calls_end_with_their_status", &["bash", "node"], http2::calls),
        ("http2_of_go", &["go"], http2::go),
        ("http2_met_at_the_client", &["python-with-packages"], http2_met::client),
        ("http2_met_at_the_server", &["python-with-packages"], http2_met::server),
        ("http2_met_in_a_frame", &["python-with-packages"], http2_met::torn),
        ("http_at_the_server", &["curl", "python3"], http_served::framings),
        ("http_joins_both_ends", &["bash", "curl", "python3"], http_context::joined),
        ("http_context_in_the_head", &["curl", "python3"], http_context::of_the_client),
        ("http_context_at_the_server", &["curl", "python3"], http_context::at_the_server),
        ("http_context_at_both_ends", &["bash", "curl", "python3"], http_context::not_joined),
        ("http_asked_in_a_thread_that_serves", &["python3"], http_causes::thread_per_request),
        ("http_asked_in_a_pool_that_serves", &["python3"], http_causes::thread_pool),
        ("http_asked_in_a_fork_that_serves", &["python3"], http_causes::fork_per_request),
        ("http_asked_in_a_worker_that_serves", &["python3"], http_causes::forked_before),
        ("http_asked_in_a_loop", &["node", "python3"], http_causes::event_loop),
        ("http_asked_by_goroutines", &["go", "python3"], http_causes::goroutines),
        ("http_of_a_program_with_a_tracer", &["python3"], http_causes::exporter),
        ("http_failures_have_their_names", &["curl", "python3"], failures),
    ];
    let lack = what_is_lacking();
    let each = tests.into_iter();
    each.map(|(name, programs, body)| match &lack {
        None => trial(name, programs, body),
        Some(lack) => lacking(name, lack),
    })
    .chain(budget::trials(lack.as_deref()))
    .chain(failures::trials(lack.as_deref()))
    .chain(http_programs::trials(lack.as_deref()))
    .chain(grpc_programs::trials(lack.as_deref()))
    .chain(pairs::trials(lack.as_deref()))
    .chain(grpc_pairs::trials(lack.as_deref()))
    .collect()
}

/// Of the request probes.
fn what_is_lacking() -> Option<String> {
    match backends::backends().remove("request probes") {
        Some(None) => None,
        Some(Some(why)) => Some(format!("request probes ({why})")),
        None => Some("request probes".to_owned()),
    }
}

/// Python's server, outside of what is traced. It ends with its input.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Server {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let script = folder.path().join("http_server.py");
        std::fs::write(&script, SERVER)?;
        let mut child = Command::new("python3")
            .arg(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let port = line.trim().parse().context("the server told no port")?;
        Ok(Self { child, port, _folder: folder })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// `METHOD path status request-body/response-body` of the spans of a kind, in order of time.
pub(crate) fn exchanges(run: &Run, kind: &str) -> Vec<String> {
    let mut spans: Vec<&Span> = run.spans.iter().filter(|span| is_kind(span, kind)).collect();
    spans.sort_by_key(|span| span.number("startTimeUnixNano"));
    spans.into_iter().map(exchange).collect()
}

pub(crate) fn is_kind(span: &Span, kind: &str) -> bool {
    let number = if kind == "client" { 3 } else { 2 };
    span.0.get("kind").and_then(serde_json::Value::as_u64) == Some(number)
}

pub(crate) fn exchange(span: &Span) -> String {
    let path = span.string("url.path").or_else(|| {
        let url = span.string("url.full")?;
        let rest = url.split_once("://")?.1;
        Some(rest.get(rest.find('/')?..)?.to_owned())
    });
    let number = |key| span.int(key).map_or_else(|| "-".to_owned(), |number| number.to_string());
    format!(
        "{} {} {} {}/{}",
        span.name(),
        path.unwrap_or_default(),
        number("http.response.status_code"),
        number("http.request.body.size"),
        number("http.response.body.size")
    )
}

/// Traces a client and compares what it asked for.
pub(crate) fn check_client(command: &[&str], expected: &[&str]) -> anyhow::Result<Run> {
    let run = run_with(&[], command, |_| {})?;
    run.is_whole()?;
    let found = exchanges(&run, "client");
    ensure!(found == expected, "expected {expected:#?}\n   found {found:#?}\n{}", run.stderr);
    Ok(run)
}

/// Every exchange is there twice, at its client and at its server, and they are joined.
pub(crate) fn between_threads(options: &[&str]) -> anyhow::Result<()> {
    let (connections, requests) = (16, completeness::scale() / 40);
    let counts = [connections.to_string(), requests.to_string()];
    let command = peer::command("talk", &[&counts[0], &counts[1]]);
    let options = [&["--requests-per-second", "0"], options].concat();
    let run = run_with(&options, &command, |_| {})?;
    run.is_whole()?;
    let of = |kind: &str| run.spans.iter().filter(|span| is_kind(span, kind)).collect::<Vec<_>>();
    let (clients, servers) = (of("client"), of("server"));
    let all = usize::try_from(connections * requests)?;
    let missed = usize::try_from(run.missed())?;
    for (found, kind) in [(clients.len(), "client"), (servers.len(), "server")] {
        ensure!(found <= all && found + missed >= all, "{found} of {all} at the {kind}");
    }
    let ids: HashSet<&str> = clients.iter().map(|span| span.text("spanId")).collect();
    ensure!(ids.len() == clients.len(), "ids are not unique");
    let joined = servers.iter().filter(|span| ids.contains(span.text("parentSpanId"))).count();
    ensure!(joined + missed >= all, "{joined} of {all} are joined");
    Ok(())
}

fn failures() -> anyhow::Result<()> {
    // Port 1 of loopback: nobody listens.
    let run = run_with(&[], &["curl", "-s", "http://127.0.0.1:1/"], |_| {})?;
    run.is_whole()?;
    let refused = run.span("connect")?;
    ensure!(refused.string("error.type").as_deref() == Some("connection_refused"), "{refused:?}");
    ensure!(refused.int("server.port") == Some(1), "{refused:?}");
    // A server that hangs up without an answer, and one that does in the middle of it.
    for (answer, status) in
        [("", None), ("HTTP/1.1 200 X\\r\\nContent-Length: 9\\r\\n\\r\\nab", Some(200))]
    {
        let script = format!(
            "import socket,threading,urllib.request as u\n\
             s=socket.create_server(('127.0.0.1',0))\n\
             def serve():\n c,_=s.accept();c.recv(1000);c.send(b'{answer}');c.close()\n\
             threading.Thread(target=serve).start()\n\
             try: u.urlopen('http://127.0.0.1:%d/'%s.getsockname()[1]).read()\n\
             except Exception: pass\n"
        );
        let run = run_with(&[], &["python3", "-c", &script], |_| {})?;
        run.is_whole()?;
        let client = run.spans.iter().find(|span| is_kind(span, "client")).context("no client")?;
        let error = client.string("error.type");
        ensure!(error.as_deref() == Some("connection_closed"), "{client:?}");
        ensure!(client.int("http.response.status_code") == status, "{client:?}");
    }
    Ok(())
}
