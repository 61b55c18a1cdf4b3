//! Connections that were open and break: what is told at both ends.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use anyhow::ensure;
use nix::sys::socket::{setsockopt, sockopt};

use crate::{
    failures::{traced, until_hung_up},
    http::is_kind,
};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
/// What is answered before the reset, and whether the client reads that first.
const BREAKS: [(&str, &str, IsRead); 3] =
    [("/none", "", IsRead::After), ("/half", "a", IsRead::Before), ("/late", "a", IsRead::After)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsRead {
    Before,
    After,
}

/// The client is told that it was reset, and the server that it went; of what was answered the status is
/// there. A connection that was kept alive at one end alone is a broken pipe.
pub(crate) fn told() -> anyhow::Result<()> {
    let run = traced(&["breaks"])?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    run.is_whole()?;
    let of = |kind| {
        let spans = run.spans.iter().filter(move |span| is_kind(span, kind));
        let told = spans.map(|span| {
            let path = span.string("url.path").or_else(|| {
                let url = span.string("url.full")?;
                url.rsplit_once('/').map(|(_, path)| format!("/{path}"))
            });
            let status = span.int("http.response.status_code").unwrap_or_default();
            let error = span.string("error.type").unwrap_or_default();
            format!("{} {status} {error}", path.unwrap_or_default())
        });
        let mut told: Vec<String> = told.collect();
        told.sort();
        told
    };
    let lines = |error| {
        let each = [
            format!("/half 200 {error}"),
            format!("/late 200 {error}"),
            format!("/none 0 {error}"),
            "/kept 200 ".to_owned(),
        ];
        [each.clone(), each].concat()
    };
    let mut client = lines("connection_reset");
    client.extend(["/stale 0 broken_pipe", "/stale 0 broken_pipe"].map(str::to_owned));
    let mut server = lines("connection_closed");
    client.sort();
    server.sort();
    ensure!(of("client") == client, "{:#?}\n{}", of("client"), run.stderr);
    ensure!(of("server") == server, "{:#?}\n{}", of("server"), run.stderr);
    Ok(())
}

/// The peer's part: a server that resets connections, and its client.
pub(crate) fn main() -> io::Result<()> {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address)?;
        for (path, body, is_read) in BREAKS {
            breaks_once(&listener, path, body, is_read)?;
        }
        goes_stale(&listener)?;
    }
    Ok(())
}

fn breaks_once(listener: &TcpListener, path: &str, body: &str, is_read: IsRead) -> io::Result<()> {
    let (tell, told) = mpsc::sync_channel(1);
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let mut buffer = [0; 512];
    thread::scope(|scope| {
        let server = scope.spawn(move || -> io::Result<()> {
            let mut stream = listener.accept()?.0;
            request_of(&mut stream)?;
            if !body.is_empty() {
                stream.write_all(format!("{HEAD}{body}").as_bytes())?;
            }
            if is_read == IsRead::Before {
                told.recv().map_err(io::Error::other)?;
            }
            setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
            Ok(())
        });
        ask(&mut client, path)?;
        if is_read == IsRead::Before {
            client.read_exact(buffer.get_mut(..HEAD.len() + body.len()).unwrap_or_default())?;
            tell.send(()).map_err(io::Error::other)?;
        }
        server.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
    })?;
    until_hung_up(&client)?;
    loop {
        match client.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Ok(1..) => {}
            end => return Err(io::Error::other(format!("not reset: {end:?}"))),
        }
    }
}

/// The server closes what the client still holds for kept alive.
fn goes_stale(listener: &TcpListener) -> io::Result<()> {
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let mut server = listener.accept()?.0;
    ask(&mut client, "/kept")?;
    request_of(&mut server)?;
    server.write_all(format!("{HEAD}ab").as_bytes())?;
    client.read_exact(&mut [0; HEAD.len() + 2])?;
    drop(server);
    ask(&mut client, "/stale")?;
    until_hung_up(&client)
}

fn ask(stream: &mut TcpStream, path: &str) -> io::Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

fn request_of(stream: &mut TcpStream) -> io::Result<()> {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    Ok(())
}
