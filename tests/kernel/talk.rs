//! A client and a server in one process, over loopback: what a virtual machine without any program
//! can trace.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

const BODY: usize = 300;

/// So many connections at one time, and requests on each, one after the other.
pub(crate) fn talk(connections: u32, requests: u32) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> io::Result<()> {
        let mut served = Vec::new();
        for _ in 0..connections {
            let (stream, _) = listener.accept()?;
            served.push(thread::spawn(move || serve(stream)));
        }
        served.into_iter().try_for_each(joined)
    });
    let ask = move |_| thread::spawn(move || ask(TcpStream::connect(address)?, requests));
    let clients: Vec<_> = (0..connections).map(ask).collect();
    clients.into_iter().try_for_each(joined)?;
    joined(server)
}

fn joined(thread: thread::JoinHandle<io::Result<()>>) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
}

/// A connection to a server in a thread of this process.
pub(crate) fn connected() -> io::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || listener.accept().and_then(|(stream, _)| serve(stream)));
    TcpStream::connect(address)
}

fn ask(mut stream: TcpStream, requests: u32) -> io::Result<()> {
    // The request line goes out in pieces.
    stream.set_nodelay(true)?;
    (0..requests).try_for_each(|nth| {
        write!(stream, "GET /{nth}")?;
        rest_of(&mut stream)
    })
}

/// One request, in one piece.
pub(crate) fn ask_once(stream: &mut TcpStream, nth: u32) -> io::Result<()> {
    let request = format!("GET /{nth} HTTP/1.1\r\nHost: talk\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    answered(stream)
}

fn rest_of(stream: &mut TcpStream) -> io::Result<()> {
    write!(stream, " HTTP/1.1\r\nHost: talk\r\n\r\n")?;
    answered(stream)
}

/// Reads until the body is there.
fn answered(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = Vec::new();
    while !is_answer(&buffer) {
        let mut piece = [0; 512];
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    Ok(())
}

/// Whether this is a whole answer.
pub(crate) fn is_answer(bytes: &[u8]) -> bool {
    let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    end.is_some_and(|end| bytes.len() >= end + 4 + BODY)
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n{}", "b".repeat(BODY));
    let mut buffer = Vec::new();
    let mut piece = [0; 512];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
        if buffer.ends_with(b"\r\n\r\n") {
            buffer.clear();
            stream.write_all(response.as_bytes())?;
        }
    }
}
