//! Trace contexts in the heads of requests: whose child a span is there.

use agent_tests::{
    lynceus::{Run, run_with},
    tree::Span,
};
use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::{
    http::{SERVER, Server, exchanges, is_kind},
    http_served::{curl, serve},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn traceparent() -> String {
    format!("traceparent: 00-{TRACE}-{SPAN}-01")
}

/// It stands below the span that the head names.
fn check(span: &Span) -> anyhow::Result<()> {
    let found = (span.text("traceId"), span.text("parentSpanId"));
    ensure!(found == (TRACE, SPAN), "{span:?}");
    Ok(())
}

/// A client that says whose request it is has a tracer of its own: what is kept stands below its span.
pub(crate) fn of_the_client() -> anyhow::Result<()> {
    let server = Server::start()?;
    let (header, url) = (traceparent(), server.url("/bytes/17"));
    let command = ["curl", "-s", "-o", "/dev/null", "-H", &header, &url];
    let run = run_with(&[], &command, |_| {})?;
    run.balances()?;
    ensure!(exchanges(&run, "client").is_empty(), "{}", run.stderr);
    ensure!(run.stderr.contains("instrumented"), "{}", run.stderr);
    let run = run_with(&["--keep-instrumented"], &command, |_| {})?;
    run.is_whole()?;
    ensure!(exchanges(&run, "client").len() == 1, "{}", run.stderr);
    check(one(&run, "client")?)
}

/// In every form that a head may name it in, and wherever it stands there.
pub(crate) fn at_the_server() -> anyhow::Result<()> {
    let single = format!("b3: {TRACE}-{SPAN}-1");
    let (trace, span) = (format!("X-B3-TraceId: {TRACE}"), format!("X-B3-SpanId: {SPAN}"));
    let served = serve(|base| {
        let url = format!("{base}/bytes/17");
        curl(&["-H", &traceparent(), &url])?;
        curl(&["-H", &single, &url])?;
        let others: Vec<String> = (0..60).map(|nth| format!("X-Other-{nth}: {nth}")).collect();
        let fields = others.iter().chain([&trace, &span]);
        let mut arguments: Vec<&str> = fields.flat_map(|field| ["-H", field]).collect();
        arguments.extend(["-H", "X-B3-Sampled: 1", &url]);
        curl(&arguments)
    })?;
    ensure!(served.spans.len() == 3, "{:#?}", served.spans);
    served.spans.iter().try_for_each(check)
}

/// `curl` asks the server, both traced.
fn both(options: &[&str], fields: &[&str]) -> anyhow::Result<Run> {
    let folder = TempDir::new()?;
    let script = folder.path().join("http_server.py");
    std::fs::write(&script, SERVER)?;
    let shell = "coproc python3 \"$0\"; read -r port <&${COPROC[0]}; \
                 curl -s -o /dev/null \"$@\" http://127.0.0.1:$port/bytes/17; \
                 exec {COPROC[1]}>&-; wait";
    let path = script.to_string_lossy().into_owned();
    run_with(options, &[&["bash", "-c", shell, &path], fields].concat(), |_| {})
}

fn one<'run>(run: &'run Run, kind: &str) -> anyhow::Result<&'run Span> {
    run.spans.iter().find(|span| is_kind(span, kind)).with_context(|| format!("no {kind}"))
}

/// Both in one trace: what the server does stands below what the client asked for.
pub(crate) fn joined() -> anyhow::Result<()> {
    let run = both(&[], &[])?;
    run.is_whole()?;
    let (client, served) = (one(&run, "client")?, one(&run, "server")?);
    ensure!(served.text("parentSpanId") == client.text("spanId"), "{}", run.stderr);
    ensure!(served.text("traceId") == client.text("traceId"), "{}", run.stderr);
    Ok(())
}

/// Where the head names a span the server's stands below that, whether the client's is told or not.
pub(crate) fn not_joined() -> anyhow::Result<()> {
    let fields = ["-H", &traceparent()];
    for options in [&[][..], &["--keep-instrumented"]] {
        let run = both(options, &fields)?;
        run.balances()?;
        let clients = exchanges(&run, "client").len();
        ensure!(clients == options.len(), "{clients} clients with {options:?}: {}", run.stderr);
        let kept = run.spans.iter().filter(|span| is_kind(span, "client"));
        kept.chain([one(&run, "server")?]).try_for_each(check)?;
    }
    Ok(())
}
