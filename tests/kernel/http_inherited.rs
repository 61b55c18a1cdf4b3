//! Requests on connections that another process opened: before tracing began, or a traced one.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::OwnedFd,
};

use agent_tests::{
    lynceus::{Run, run_with},
    tree::Span,
};
use anyhow::{Context as _, ensure};

use crate::http::{Server, exchange, exchanges, is_kind};

const SCRIPT: &str = include_str!("http_inherited.py");

/// A connection on which an exchange was made is the standard input of what is traced.
pub(crate) fn inherited() -> anyhow::Result<()> {
    let server = Server::start()?;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
    stream.write_all(b"GET /bytes/17 HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"CANARY-OF-A-BODY ") {
        let mut piece = [0; 512];
        let read = stream.read(&mut piece)?;
        ensure!(read > 0, "the server hung up");
        answer.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    let command = ["python3", "-c", SCRIPT, &server.port.to_string(), "outer"];
    let run = run_with(&[], &command, |lynceus| {
        lynceus.stdin(OwnedFd::from(stream));
    })?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    run.is_whole()?;
    let lengths = [34, 51, 68, 85, 102, 119];
    let expected = lengths.map(|length| format!("GET /bytes/{length} 200 0/{length}"));
    let found = exchanges(&run, "client");
    ensure!(found == expected, "{found:#?}\n{}", run.stderr);
    // Only the other connection was opened while it was traced.
    let clients = run.spans.iter().filter(|span| is_kind(span, "client"));
    let connected = clients.filter(|span| span.int("lynceus.network.connect_ns").is_some());
    let connected: Vec<_> = connected.map(exchange).collect();
    ensure!(connected == expected[3..4], "{connected:?}");
    // What a fork asks is its parent's; another program has a span of its own.
    let (outer, inner) = (program(&run, "outer")?, program(&run, "inner")?);
    for (client, path) in expected.iter().zip(&lengths) {
        let span =
            run.spans.iter().find(|span| is_kind(span, "client") && exchange(span) == *client);
        let span = span.context("no span")?;
        let parent = if *path == 119 { inner } else { outer };
        ensure!(span.text("parentSpanId") == parent.text("spanId"), "{client}: {span:?}");
    }
    Ok(())
}

/// The script's last argument says which.
fn program<'run>(run: &'run Run, which: &str) -> anyhow::Result<&'run Span> {
    let is_it = |span: &&Span| {
        span.strings("process.command_args").last().is_some_and(|last| last == which)
    };
    run.spans.iter().find(is_it).with_context(|| format!("no {which}: {}", run.stderr))
}
