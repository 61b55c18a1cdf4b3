//! Exchanges over HTTP whose bytes are moved by every system call that can move them.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    thread,
};

use nix::{
    fcntl::{SpliceFFlags, splice},
    sys::{
        sendfile::sendfile,
        socket::{MsgFlags, recvmsg, sendmsg},
    },
};

pub(crate) const SENDS: [&str; 6] = ["write", "send", "writev", "sendmsg", "sendfile", "splice"];
pub(crate) const RECEIVES: [&str; 6] = ["read", "recv", "readv", "recvmsg", "peek", "poll"];
/// More than one page, so that it comes in more than one piece.
pub(crate) const BODY_BYTES: usize = 5000;

/// Every way to send with every way to receive: a connection each way to send.
pub(crate) fn main(address: &str, receives: &[String]) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let to = listener.local_addr()?;
    let theirs = receives.to_vec();
    let server = thread::spawn(move || -> io::Result<()> {
        SENDS.iter().try_for_each(|send| serve(&listener.accept()?.0, send, &theirs))
    });
    SENDS.iter().try_for_each(|send| ask(&TcpStream::connect(to)?, send, receives))?;
    server.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
}

fn request(send: &str, receive: &str) -> String {
    format!("POST /{send}-{receive} HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\n\r\n")
}

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";

fn ask(stream: &TcpStream, send: &str, receives: &[String]) -> io::Result<()> {
    for receive in receives {
        give(stream, send, request(send, receive).as_bytes())?;
        take(stream, receive, RESPONSE.len())?;
    }
    Ok(())
}

fn serve(stream: &TcpStream, send: &str, receives: &[String]) -> io::Result<()> {
    for receive in receives {
        take(stream, receive, request(send, receive).len())?;
        give(stream, send, RESPONSE.as_bytes())?;
    }
    Ok(())
}

/// As a file, whose bytes are moved by `read` and `write` and not by `recv` and `send`.
fn file_of(stream: &TcpStream) -> io::Result<File> {
    Ok(OwnedFd::from(stream.try_clone()?).into())
}

/// Sends a head and a body. What has no buffer of ours (sendfile, splice) carries the body alone.
fn give(mut stream: &TcpStream, way: &str, head: &[u8]) -> io::Result<()> {
    let body = [b'b'; BODY_BYTES];
    if way == "sendfile" || way == "splice" {
        stream.write_all(head)?;
        return if way == "sendfile" {
            send_file(stream, &body)
        } else {
            splice_out(stream, &body)
        };
    }
    let all = [head, &body].concat();
    let (mut file, mut done) = (file_of(stream)?, 0);
    while let Some(rest) = all.get(done..).filter(|rest| !rest.is_empty()) {
        let segments = segments(rest);
        done += match way {
            "write" => file.write(rest)?,
            "send" => stream.write(rest)?,
            "writev" => file.write_vectored(&segments)?,
            _ => {
                let (socket, none) = (stream.as_raw_fd(), MsgFlags::empty());
                sendmsg::<()>(socket, &segments, &[], none, None)?
            }
        };
    }
    Ok(())
}

/// Receives a head and a body, and checks that they are what was sent.
fn take(mut stream: &TcpStream, way: &str, head_bytes: usize) -> io::Result<()> {
    let mut all = vec![0; head_bytes + BODY_BYTES];
    if way == "splice" {
        stream.read_exact(all.get_mut(..head_bytes).unwrap_or_default())?;
        return splice_in(stream);
    }
    stream.set_nonblocking(way == "poll")?;
    let (mut file, mut done) = (file_of(stream)?, 0);
    while let Some(rest) = all.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let moved = match way {
            "recv" => stream.read(rest),
            "readv" => file.read_vectored(&mut segments_mut(rest)),
            "recvmsg" => received(stream, rest),
            "peek" => stream.peek(rest).and_then(|_| file.read(rest)),
            _ => file.read(rest),
        };
        match moved {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            moved => done += moved?,
        }
    }
    stream.set_nonblocking(false)?;
    let is_whole = all.get(head_bytes..).is_some_and(|body| body.iter().all(|byte| *byte == b'b'));
    if is_whole { Ok(()) } else { Err(io::Error::other("not what was sent")) }
}

fn received(stream: &TcpStream, to: &mut [u8]) -> io::Result<usize> {
    let mut segments = segments_mut(to);
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut segments, None, MsgFlags::empty())?;
    Ok(message.bytes)
}

/// Length of a segment: they grow, and the first and every fourth is empty.
fn segment_bytes(nth: usize) -> usize {
    if nth.is_multiple_of(4) { 0 } else { nth * 7 }
}

fn segments(mut rest: &[u8]) -> Vec<IoSlice<'_>> {
    let mut segments = Vec::new();
    while !rest.is_empty() {
        let (segment, more) = rest.split_at(segment_bytes(segments.len()).min(rest.len()));
        segments.push(IoSlice::new(segment));
        rest = more;
    }
    segments
}

fn segments_mut(mut rest: &mut [u8]) -> Vec<IoSliceMut<'_>> {
    let mut segments = Vec::new();
    while !rest.is_empty() {
        let (segment, more) = rest.split_at_mut(segment_bytes(segments.len()).min(rest.len()));
        segments.push(IoSliceMut::new(segment));
        rest = more;
    }
    segments
}

fn send_file(stream: &TcpStream, body: &[u8]) -> io::Result<()> {
    let mut file = tempfile::tempfile()?;
    file.write_all(body)?;
    file.rewind()?;
    let mut left = body.len();
    while left > 0 {
        left -= sendfile(stream, &file, None, left)?;
    }
    Ok(())
}

fn splice_out(stream: &TcpStream, body: &[u8]) -> io::Result<()> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(body)?;
    splice_all(&reader, stream, body.len())
}

fn splice_in(stream: &TcpStream) -> io::Result<()> {
    let (mut reader, writer) = io::pipe()?;
    splice_all(stream, &writer, BODY_BYTES)?;
    drop(writer);
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    if body == [b'b'; BODY_BYTES] { Ok(()) } else { Err(io::Error::other("not what was sent")) }
}

fn splice_all(from: impl AsFd, to: impl AsFd, mut left: usize) -> io::Result<()> {
    while left > 0 {
        left -= splice(&from, None, &to, None, left, SpliceFFlags::empty())?;
    }
    Ok(())
}
