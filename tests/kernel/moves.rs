//! Exchanges over HTTP whose bytes are moved by every system call that can move them.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, Write as _},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    thread,
};

use nix::{
    fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice},
    sys::{
        sendfile::sendfile,
        socket::{self, MsgFlags, MultiHeaders, recvmmsg, recvmsg, sendmmsg, sendmsg},
    },
};

pub(crate) const SENDS: [&str; 7] =
    ["write", "send", "writev", "sendmsg", "sendmmsg", "sendfile", "splice"];
pub(crate) const RECEIVES: [&str; 7] =
    ["read", "recv", "readv", "recvmsg", "recvmmsg", "peek", "poll"];
/// More than one page, so that it comes in more than one piece.
pub(crate) const BODY_BYTES: usize = 5000;

/// What the address of a UNIX socket begins with; a path follows.
pub(crate) const UNIX: &str = "unix:";

/// Every way to send with every way to receive: a connection each way to send.
pub(crate) fn main(address: &str, receives: &[String]) -> io::Result<()> {
    if let Some(path) = address.strip_prefix(UNIX) {
        let listener = UnixListener::bind(path)?;
        return meet(receives, move || Ok(listener.accept()?.0), || UnixStream::connect(path));
    }
    let listener = TcpListener::bind(address)?;
    let to = listener.local_addr()?;
    meet(receives, move || Ok(listener.accept()?.0), || TcpStream::connect(to))
}

fn meet<S: Into<OwnedFd>>(
    receives: &[String],
    accept: impl Fn() -> io::Result<S> + Send + 'static,
    connect: impl Fn() -> io::Result<S>,
) -> io::Result<()> {
    let theirs = receives.to_vec();
    let server = thread::spawn(move || -> io::Result<()> {
        SENDS.iter().try_for_each(|send| serve(&Socket::new(accept()?), send, &theirs))
    });
    SENDS.iter().try_for_each(|send| ask(&Socket::new(connect()?), send, receives))?;
    server.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
}

/// One end of a connection, whatever it goes over.
struct Socket(File);

impl Socket {
    fn new(stream: impl Into<OwnedFd>) -> Self {
        Self(stream.into().into())
    }

    /// By `send` and not by `write`.
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(socket::send(self.0.as_raw_fd(), bytes, MsgFlags::empty())?)
    }

    fn recv(&self, to: &mut [u8], flags: MsgFlags) -> io::Result<usize> {
        Ok(socket::recv(self.0.as_raw_fd(), to, flags)?)
    }

    fn wait(&self, waits: bool) -> io::Result<()> {
        let none = if waits { OFlag::empty() } else { OFlag::O_NONBLOCK };
        fcntl(&self.0, FcntlArg::F_SETFL(none)).map(drop).map_err(Into::into)
    }
}

fn request(send: &str, receive: &str) -> String {
    format!("POST /{send}-{receive} HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\n\r\n")
}

const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";

fn ask(stream: &Socket, send: &str, receives: &[String]) -> io::Result<()> {
    for receive in receives {
        give(stream, send, request(send, receive).as_bytes())?;
        take(stream, receive, RESPONSE.len())?;
    }
    Ok(())
}

fn serve(stream: &Socket, send: &str, receives: &[String]) -> io::Result<()> {
    for receive in receives {
        take(stream, receive, request(send, receive).len())?;
        give(stream, send, RESPONSE.as_bytes())?;
    }
    Ok(())
}

/// Sends a head and a body. What has no buffer of ours (sendfile, splice) carries the body alone.
fn give(stream: &Socket, way: &str, head: &[u8]) -> io::Result<()> {
    let body = [b'b'; BODY_BYTES];
    if way == "sendfile" || way == "splice" {
        (&stream.0).write_all(head)?;
        return if way == "sendfile" {
            send_file(stream, &body)
        } else {
            splice_out(stream, &body)
        };
    }
    let all = [head, &body].concat();
    let (mut file, mut done) = (&stream.0, 0);
    while let Some(rest) = all.get(done..).filter(|rest| !rest.is_empty()) {
        let segments = segments(rest);
        done += match way {
            "write" => file.write(rest)?,
            "send" => stream.send(rest)?,
            "writev" => file.write_vectored(&segments)?,
            "sendmmsg" => {
                let mut headers = MultiHeaders::<()>::preallocate(1, None);
                let (socket, none) = (stream.0.as_raw_fd(), MsgFlags::empty());
                let mut sent = sendmmsg(socket, &mut headers, [&segments], [None], [], none)?;
                sent.next().map_or(0, |message| message.bytes)
            }
            _ => {
                let (socket, none) = (stream.0.as_raw_fd(), MsgFlags::empty());
                sendmsg::<()>(socket, &segments, &[], none, None)?
            }
        };
    }
    Ok(())
}

/// Receives a head and a body, and checks that they are what was sent.
fn take(stream: &Socket, way: &str, head_bytes: usize) -> io::Result<()> {
    let mut all = vec![0; head_bytes + BODY_BYTES];
    if way == "splice" {
        (&stream.0).read_exact(all.get_mut(..head_bytes).unwrap_or_default())?;
        return splice_in(stream);
    }
    stream.wait(way != "poll")?;
    let (mut file, mut done) = (&stream.0, 0);
    while let Some(rest) = all.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let moved = match way {
            "recv" => stream.recv(rest, MsgFlags::empty()),
            "readv" => file.read_vectored(&mut segments_mut(rest)),
            "recvmsg" => received(stream, rest),
            "recvmmsg" => {
                let mut headers = MultiHeaders::<()>::preallocate(1, None);
                let (socket, none) = (stream.0.as_raw_fd(), MsgFlags::empty());
                let mut to = [segments_mut(rest)];
                let mut got = recvmmsg(socket, &mut headers, &mut to, none, None)?;
                Ok(got.next().map_or(0, |message| message.bytes))
            }
            "peek" => stream.recv(rest, MsgFlags::MSG_PEEK).and_then(|_| file.read(rest)),
            _ => file.read(rest),
        };
        match moved {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            moved => done += moved?,
        }
    }
    stream.wait(true)?;
    let is_whole = all.get(head_bytes..).is_some_and(|body| body.iter().all(|byte| *byte == b'b'));
    if is_whole { Ok(()) } else { Err(io::Error::other("not what was sent")) }
}

fn received(stream: &Socket, to: &mut [u8]) -> io::Result<usize> {
    let mut segments = segments_mut(to);
    let message = recvmsg::<()>(stream.0.as_raw_fd(), &mut segments, None, MsgFlags::empty())?;
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

fn send_file(stream: &Socket, body: &[u8]) -> io::Result<()> {
    let mut file = tempfile::tempfile()?;
    file.write_all(body)?;
    file.rewind()?;
    let mut left = body.len();
    while left > 0 {
        left -= sendfile(&stream.0, &file, None, left)?;
    }
    Ok(())
}

fn splice_out(stream: &Socket, body: &[u8]) -> io::Result<()> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(body)?;
    splice_all(&reader, &stream.0, body.len())
}

fn splice_in(stream: &Socket) -> io::Result<()> {
    let (mut reader, writer) = io::pipe()?;
    splice_all(&stream.0, &writer, BODY_BYTES)?;
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
