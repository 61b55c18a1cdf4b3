//! Exchanges of which one end is moved by io_uring. Every back end sees that bytes were moved, and none
//! sees heads: what cannot be told is not invented, and is counted.
#![expect(unsafe_code, reason = "the ring takes buffers by their address")]

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    thread,
};

use agent_tests::{
    lynceus::{Run, run_with},
    need::Body,
};
use anyhow::ensure;
use io_uring::{IoUring, opcode, squeue, types::Fd};

use crate::{
    http::{exchanges, is_kind},
    peer, talk,
};

/// Of each back end.
pub(crate) const TESTS: [(&str, &str, Body); 6] = [
    ("fentry", "beside_io_uring", || beside("fentry")),
    ("kprobe", "beside_io_uring", || beside("kprobe")),
    ("tracepoint", "beside_io_uring", || beside("tracepoint")),
    ("fentry", "but_those_of_io_uring_behind_a_call", || behind("fentry")),
    ("kprobe", "but_those_of_io_uring_behind_a_call", || behind("kprobe")),
    ("tracepoint", "but_those_of_io_uring_behind_a_call", || behind("tracepoint")),
];

/// How bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// write(2), read(2).
    Call,
    /// `IORING_OP_SEND`, `IORING_OP_RECV`.
    Send,
    /// `IORING_OP_WRITE`, `IORING_OP_READ`.
    Write,
    /// `IORING_OP_SENDMSG`, `IORING_OP_RECVMSG`.
    Message,
}

/// A connection each: how its client sends, and how it receives.
const WAYS: [(Way, Way); 6] = [
    (Way::Call, Way::Call),
    (Way::Send, Way::Send),
    (Way::Write, Way::Write),
    (Way::Message, Way::Message),
    (Way::Call, Way::Send),
    (Way::Send, Way::Call),
];

pub(crate) fn what_is_lacking() -> Option<String> {
    IoUring::new(1).err().map(|error| format!("io_uring ({error})"))
}

/// The server's spans are all there, for it makes system calls. The client's are where it does: its
/// request alone says that the response was not seen, and a connection whose request was not seen is
/// counted.
fn beside(backend: &str) -> anyhow::Result<()> {
    let run = run_with(&["--capture", backend], &peer::command("uring", &[]), |_| {})?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    run.is_whole()?;
    let served: Vec<String> =
        WAYS.iter().map(|(send, receive)| format!("GET /{send:?}-{receive:?} 200 0/300")).collect();
    ensure!(exchanges(&run, "server") == served, "{:#?}", exchanges(&run, "server"));
    let asked = ["GET /Call-Call 200 0/300", "GET /Call-Send - 0/-"];
    ensure!(exchanges(&run, "client") == asked, "{:#?}", exchanges(&run, "client"));
    let unseen = run.spans.iter().filter(|span| span.is_true("lynceus.http.response_unseen"));
    ensure!(unseen.count() == 1, "unseen: {}", run.stderr);
    let clients: Vec<&str> = (run.spans.iter().filter(|span| is_kind(span, "client")))
        .map(|span| span.text("spanId"))
        .collect();
    let servers = run.spans.iter().filter(|span| is_kind(span, "server"));
    let joined = servers.filter(|span| clients.contains(&span.text("parentSpanId")));
    ensure!(joined.count() == asked.len(), "not joined: {}", run.stderr);
    not_looked_into(&run, WAYS.iter().filter(|(send, _)| *send != Way::Call).count())
}

/// What io_uring receives where another call ends is not taken from that call's buffer.
fn behind(backend: &str) -> anyhow::Result<()> {
    let command = peer::command("uring-behind-a-call", &[]);
    let run = run_with(&["--capture", backend], &command, |_| {})?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    run.is_whole()?;
    let found = [exchanges(&run, "client"), exchanges(&run, "server")].concat();
    ensure!(found.is_empty(), "{found:#?}");
    // At both ends.
    not_looked_into(&run, 2)
}

fn not_looked_into(run: &Run, connections: usize) -> anyhow::Result<()> {
    let said = format!("; {connections} connections of TLS or no HTTP not looked into");
    ensure!(run.stderr.contains(&said), "not {said:?}: {}", run.stderr);
    Ok(())
}

/// The peer's part: an exchange each way, with a server that makes system calls.
pub(crate) fn main() -> io::Result<()> {
    let mut ring = IoUring::new(4)?;
    for (send, receive) in WAYS {
        let mut stream = talk::connected()?;
        let request = format!("GET /{send:?}-{receive:?} HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut left = request.into_bytes();
        while !left.is_empty() {
            let sent = give(&mut ring, &mut stream, send, &mut left)?;
            left.drain(..sent);
        }
        let (mut answer, mut piece) = (Vec::new(), [0; 512]);
        while !talk::is_answer(&answer) {
            let received = take(&mut ring, &mut stream, receive, &mut piece)?;
            if received == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(piece.get(..received).unwrap_or_default());
        }
    }
    Ok(())
}

fn give(
    ring: &mut IoUring,
    stream: &mut TcpStream,
    way: Way,
    from: &mut [u8],
) -> io::Result<usize> {
    let (fd, len) = (Fd(stream.as_raw_fd()), length(from)?);
    let (mut segment, mut message) = (segment(from), no_message());
    let entry = match way {
        Way::Call => return stream.write(from),
        Way::Send => opcode::Send::new(fd, from.as_ptr(), len).build(),
        Way::Write => opcode::Write::new(fd, from.as_ptr(), len).build(),
        Way::Message => {
            (message.msg_iov, message.msg_iovlen) = (&raw mut segment, 1);
            opcode::SendMsg::new(fd, &raw const message).build()
        }
    };
    done(ring, &entry)
}

fn take(ring: &mut IoUring, stream: &mut TcpStream, way: Way, to: &mut [u8]) -> io::Result<usize> {
    let (fd, len) = (Fd(stream.as_raw_fd()), length(to)?);
    let (mut segment, mut message) = (segment(to), no_message());
    let entry = match way {
        Way::Call => return stream.read(to),
        Way::Send => opcode::Recv::new(fd, to.as_mut_ptr(), len).build(),
        Way::Write => opcode::Read::new(fd, to.as_mut_ptr(), len).build(),
        Way::Message => {
            (message.msg_iov, message.msg_iovlen) = (&raw mut segment, 1);
            opcode::RecvMsg::new(fd, &raw mut message).build()
        }
    };
    done(ring, &entry)
}

fn length(buffer: &[u8]) -> io::Result<u32> {
    u32::try_from(buffer.len()).map_err(io::Error::other)
}

fn segment(buffer: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() }
}

fn no_message() -> libc::msghdr {
    // SAFETY: all zeros are a message of no bytes to nobody.
    unsafe { std::mem::zeroed() }
}

/// What the one entry moved.
fn done(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<usize> {
    submit(ring, entry)?;
    ring.submit_and_wait(1)?;
    completed(ring)
}

fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<()> {
    // SAFETY: whoever made the entry keeps its buffer until it is completed.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)
}

fn completed(ring: &mut IoUring) -> io::Result<usize> {
    let entry = ring.completion().next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let result = entry.result();
    usize::try_from(result).map_err(|_negative| io::Error::from_raw_os_error(-result))
}

const REQUEST: &[u8] = b"GET /invented HTTP/1.1\r\nHost: nowhere\r\n\r\n";
/// No HTTP.
const BYTES: [u8; REQUEST.len()] = [1; REQUEST.len()];

/// The peer's part: io_uring is to receive; then the thread reads from a pipe, into where a request lay,
/// and the bytes come meanwhile.
pub(crate) fn behind_a_call() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let mut server = listener.accept()?.0;
    let (mut pipe, mut writer) = io::pipe()?;
    let mut ring = IoUring::new(1)?;
    let mut to = [0; BYTES.len()];
    let receive = opcode::Recv::new(Fd(stream.as_raw_fd()), to.as_mut_ptr(), length(&to)?).build();
    submit(&mut ring, &receive)?;
    ring.submit()?;
    let reader = format!("/proc/self/task/{}/syscall", nix::unistd::gettid());
    let call = format!("{} {:#x} ", libc::SYS_read, pipe.as_raw_fd());
    let other = thread::spawn(move || -> io::Result<()> {
        while !fs::read_to_string(&reader)?.starts_with(&call) {
            thread::yield_now();
        }
        server.write_all(&BYTES)?;
        writer.write_all(b"!")
    });
    let mut buffer = REQUEST.to_vec();
    pipe.read_exact(buffer.get_mut(..1).unwrap_or_default())?;
    other.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))?;
    ring.submit_and_wait(1)?;
    if completed(&mut ring)? == BYTES.len() && to == BYTES {
        Ok(())
    } else {
        Err(io::Error::other("not what was sent"))
    }
}
