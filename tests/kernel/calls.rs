//! Calls of gRPC by hand, in system calls of any length: messages that end nowhere near a frame.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

/// How many bytes a system call moves at most, each on a connection of its own.
pub(crate) const SPLITS: [usize; 4] = [1, 4, 100, 100_000];
/// Each call's path, and the lengths of the messages of its request and of its answer.
pub(crate) const CALLS: [(&str, &[usize], &[usize]); 3] = [
    ("s/One", &[0, 5, 500], &[700, 1]),
    ("s/Two", &[300, 0, 0, 0, 7], &[0; 40]),
    ("s/Three", &[], &[131]),
];

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Payload of a DATA frame: messages begin and end anywhere in it.
const FRAME_BYTES: usize = 129;

pub(crate) fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let (request, answer) = (request(), answer());
    let (asked, answered) = (request.len(), answer.len());
    let server = thread::spawn(move || {
        SPLITS.iter().try_for_each(|split| {
            let stream = listener.accept()?.0;
            take(&stream, *split, asked)?;
            give(&stream, *split, &answer)
        })
    });
    for split in SPLITS {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        give(&stream, split, &request)?;
        take(&stream, split, answered)?;
    }
    server.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
}

fn give(mut stream: &TcpStream, split: usize, bytes: &[u8]) -> io::Result<()> {
    bytes.chunks(split).try_for_each(|call| stream.write_all(call))
}

fn take(mut stream: &TcpStream, split: usize, count: usize) -> io::Result<()> {
    let mut bytes = vec![0; count];
    bytes.chunks_mut(split).try_for_each(|call| stream.read_exact(call))
}

fn request() -> Vec<u8> {
    let mut frames = [PREFACE, SETTINGS].concat();
    for (id, (path, _, _)) in ids().zip(CALLS) {
        let path = format!("/{path}");
        let fields = [(":method", "POST"), (":scheme", "http"), (":path", &path), GRPC];
        frames.extend(frame(HEADERS, END_HEADERS, id, &block(&fields)));
    }
    frames.extend(in_turn(CALLS.map(|(_, lens, _)| messages(lens))));
    ids().for_each(|id| frames.extend(frame(DATA, END_STREAM, id, b"")));
    frames
}

fn answer() -> Vec<u8> {
    let mut frames = SETTINGS.to_vec();
    let head = block(&[(":status", "200"), GRPC]);
    ids().for_each(|id| frames.extend(frame(HEADERS, END_HEADERS, id, &head)));
    frames.extend(in_turn(CALLS.map(|(_, _, lens)| messages(lens))));
    let trailers = block(&[("grpc-status", "0")]);
    let flags = END_HEADERS | END_STREAM;
    ids().for_each(|id| frames.extend(frame(HEADERS, flags, id, &trailers)));
    frames
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn ids() -> impl Iterator<Item = u8> {
    (1..).step_by(2).take(CALLS.len())
}

/// Of zeros, so that they look like messages themselves.
fn messages(lens: &[usize]) -> Vec<u8> {
    let message = |len: &usize| {
        let [.., high, low] = len.to_be_bytes();
        [&[0, 0, 0, high, low][..], &vec![0; *len]].concat()
    };
    lens.iter().flat_map(message).collect()
}

/// A frame of each stream, until all is said.
fn in_turn(streams: [Vec<u8>; CALLS.len()]) -> Vec<u8> {
    let mut left: Vec<_> =
        ids().zip(&streams).map(|(id, all)| (id, all.chunks(FRAME_BYTES))).collect();
    let mut frames = Vec::new();
    loop {
        let before = frames.len();
        for (id, payloads) in &mut left {
            frames.extend(payloads.next().into_iter().flat_map(|it| frame(DATA, 0, *id, it)));
        }
        if frames.len() == before {
            return frames;
        }
    }
}

fn frame(kind: u8, flags: u8, id: u8, payload: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = payload.len().to_be_bytes();
    [&[a, b, c, kind, flags, 0, 0, 0, id], payload].concat()
}

/// Literals that set nothing.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap_or(0)], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}
