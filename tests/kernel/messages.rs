//! Requests that are sent as several messages of one call (`sendmmsg`).

use std::{
    io::{self, IoSlice, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    thread,
};

use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg};

/// The body of the first is sent so, behind it on the same connection the head of the second, and that
/// of the third on another.
pub(crate) const PATHS: [&str; 3] = ["/body", "/behind", "/first"];
const BODY: [&[u8]; 3] = [b"one", b"two", b"six"];
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

pub(crate) fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let server = thread::spawn(move || -> io::Result<()> {
        let mut first = listener.accept()?.0;
        serve(&mut first, PATHS[0])?;
        serve(&mut first, PATHS[1])?;
        serve(&mut listener.accept()?.0, PATHS[2])
    });
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(head(PATHS[0]).as_bytes())?;
    at_once(&stream, &BODY)?;
    hear(&mut stream)?;
    ask(&mut stream, PATHS[1])?;
    ask(&mut TcpStream::connect(to)?, PATHS[2])?;
    server.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
}

fn head(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
}

fn ask(stream: &mut TcpStream, path: &str) -> io::Result<()> {
    let [one, two, three] = BODY;
    at_once(stream, &[head(path).as_bytes(), one, two, three])?;
    hear(stream)
}

fn at_once(stream: &TcpStream, messages: &[&[u8]]) -> io::Result<()> {
    let mut headers = MultiHeaders::<()>::preallocate(messages.len(), None);
    let segments: Vec<[IoSlice<'_>; 1]> =
        messages.iter().map(|message| [IoSlice::new(message)]).collect();
    let (socket, to) = (stream.as_raw_fd(), vec![None; messages.len()]);
    let sent = sendmmsg(socket, &mut headers, &segments, &to, [], MsgFlags::empty())?;
    let sent: usize = sent.map(|message| message.bytes).sum();
    let all: usize = messages.iter().map(|message| message.len()).sum();
    if sent == all { Ok(()) } else { Err(io::Error::other("not all was sent")) }
}

fn hear(stream: &mut TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0; ANSWER.len()])
}

fn serve(stream: &mut TcpStream, path: &str) -> io::Result<()> {
    let body_bytes: usize = BODY.iter().map(|message| message.len()).sum();
    stream.read_exact(&mut vec![0; head(path).len() + body_bytes])?;
    stream.write_all(ANSWER)
}
