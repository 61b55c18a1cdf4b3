//! Exchanges that are over before their request is, and connections that carry none.

use agent_tests::lynceus::{Run, run_with};
use anyhow::ensure;

use crate::{
    http::{exchange, exchanges, is_kind},
    http_programs::{check_joined, joined},
};

const EARLY: &str = include_str!("http_early.py");
const IDLE: &str = include_str!("http2_idle.py");

fn python(script: &str, arguments: &[&str]) -> anyhow::Result<Run> {
    let run = run_with(&[], &[&["python3", "-c", script][..], arguments].concat(), |_| {})?;
    run.is_whole()?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    Ok(run)
}

/// The size of a request is known although it was answered before; that of one that was turned away
/// without its body is not said.
pub(crate) fn answers() -> anyhow::Result<()> {
    let expected = [
        "POST /sent 200 1000/2",
        "POST /sendfile 200 1000/2",
        "GET /next 200 0/2",
        "POST /refused 417 -/0",
    ];
    check_joined(&python(EARLY, &[])?, &expected.map(str::to_owned))
}

const HALF_CLOSED: &str = "\
import socket, threading
client, server = socket.socketpair()
def serve():
    while server.recv(1000): pass
    server.sendall(b'HTTP/1.0 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello')
    server.close()
threading.Thread(target=serve).start()
client.sendall(b'GET /half HTTP/1.0\\r\\n\\r\\n')
client.shutdown(socket.SHUT_WR)
while client.recv(1000): pass
";

/// Who sends no more may still be answered, over a UNIX socket too.
pub(crate) fn half_closed() -> anyhow::Result<()> {
    check_joined(&python(HALF_CLOSED, &[])?, &["GET /half 200 0/5".to_owned()])
}

/// GOAWAY, or nothing: no exchange is told, and none is lost.
pub(crate) fn idle() -> anyhow::Result<()> {
    for frames in ["", "0000080700000000000000000000000000"] {
        let run = python(IDLE, &[frames])?;
        let found = [exchanges(&run, "client"), exchanges(&run, "server")].concat();
        ensure!(found.is_empty(), "{found:?}");
    }
    Ok(())
}

/// HEADERS of a GET, and RST_STREAM with CANCEL.
pub(crate) fn cancelled() -> anyhow::Result<()> {
    let run = python(IDLE, &["00000301050000000182868400000403000000000100000008"])?;
    for kind in ["client", "server"] {
        let found = exchanges(&run, kind);
        ensure!(found == ["GET / - 0/-"], "{kind}: {found:?}");
    }
    let of_requests = |kind| run.spans.iter().filter(move |span| is_kind(span, kind));
    for span in of_requests("client").chain(of_requests("server")) {
        ensure!(span.string("error.type").as_deref() == Some("cancelled"), "{span:?}");
    }
    joined(&run, exchange)
}
