//! What processes say over their sockets: connections, heads of messages, and ends.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{header::Header, http1::Stream, http2::Position, place::Place, task::TaskId};

/// Bytes of heads that one record carries at most.
pub const HEAD_BYTES: usize = 4 * 1024;
/// Bytes of a head that reach user space at most; what is beyond is passed over.
pub const HEAD_MAX: u32 = 8 * 1024;

/// A connection for ever: the address of its `struct sock` is used again, together with the time
/// at which it was first seen it is not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ConnectionId {
    /// Address of the `struct sock`.
    pub sock: u64,
    /// `CLOCK_BOOTTIME` at which it was first seen, nanoseconds.
    pub since_ns: u64,
}

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Role(pub u32);

impl Role {
    /// Not known.
    pub const UNKNOWN: Self = Self(0);
    /// The process sends requests.
    pub const CLIENT: Self = Self(1);
    /// The process receives requests.
    pub const SERVER: Self = Self(2);
}

/// Longest name of a UNIX socket, bytes (`UNIX_PATH_MAX`).
pub const PATH_MAX: usize = 108;

/// A connection that speaks HTTP, before its first head; or one that could not be opened.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Connection {
    /// Kind [`CONNECTION`](crate::header::Kind::CONNECTION).
    pub header: Header,
    /// Who used it first.
    pub process: TaskId,
    /// The span that what it does belongs to.
    pub owner: TaskId,
    /// Which.
    pub connection: ConnectionId,
    /// Who opened it.
    pub role: Role,
    /// `AF_UNIX` (1), `AF_INET` (2) or `AF_INET6` (10).
    pub family: u32,
    /// Port here.
    pub local_port: u16,
    /// Port there.
    pub remote_port: u16,
    /// Why it could not be opened, as errno(3) has it; 0 where it could.
    pub error: u32,
    /// When `connect(2)` began, `CLOCK_BOOTTIME`; 0 if that was not seen.
    pub connect_ns: u64,
    /// When it was established; 0 if that was not seen.
    pub connected_ns: u64,
    /// Address here; an IPv4 address in the first four bytes, of a UNIX socket the address of its
    /// `struct sock` in the first eight.
    pub local: [u8; 16],
    /// Address there.
    pub remote: [u8; 16],
    /// How long `path` is: 0 where the server's socket has no name, or is none of UNIX.
    pub path_len: u32,
    /// What a UNIX socket's server listens at (`sun_path`). A first byte of zero says that it is no file.
    pub path: [u8; PATH_MAX],
}

/// A piece of the head of an HTTP/1 message. Followed by `head_len` bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Head {
    /// Kind [`HEAD`](crate::header::Kind::HEAD).
    pub header: Header,
    /// Whose process moved it.
    pub process: TaskId,
    /// The span that what it does belongs to.
    pub owner: TaskId,
    /// On which connection.
    pub connection: ConnectionId,
    /// The thread, in the root PID namespace.
    pub tid: u32,
    /// 1 if the process sent it, 0 if it received it.
    pub sent: u32,
    /// Where in the head the piece begins, bytes.
    pub offset: u32,
    /// How many bytes follow.
    pub head_len: u32,
    /// What is known at its end: see [`flag`].
    pub flags: u32,
    /// Final messages of this direction that were complete or begun when the head was: the first
    /// has 1. Valid with [`flag::HEAD_ENDED`].
    pub ordinal: u32,
}

/// Of a [`Head`].
pub mod flag {
    /// The head is complete with this piece.
    pub const HEAD_ENDED: u32 = 1;
    /// So is the message: it has no body.
    pub const MESSAGE_ENDED: u32 = 1 << 1;
    /// The bytes were more than a head may have; the rest was passed over.
    pub const CUT: u32 = 1 << 2;
    /// Of the requests of the process before, received or sent, some were not told.
    pub const UNTOLD: u32 = 1 << 3;
}

/// Frames of HTTP/2 as they came, in whole or in part. Followed by `frames_len` bytes, of which there
/// may be none, and by a [`Counted`] where `counted` says so.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Frames {
    /// Kind [`FRAMES`](crate::header::Kind::FRAMES).
    pub header: Header,
    /// Whose process moved them.
    pub process: TaskId,
    /// The span that what it does belongs to.
    pub owner: TaskId,
    /// On which connection.
    pub connection: ConnectionId,
    /// Where they begin, bytes after the first frame's first in this direction; counted from
    /// [`MET_AT`](crate::http2::MET_AT) on where the connection's beginning was not seen.
    pub offset: u64,
    /// 1 if the process sent them, 0 if it received them.
    pub sent: u32,
    /// How many bytes follow.
    pub frames_len: u32,
    /// The thread, in the root PID namespace.
    pub tid: u32,
    /// 1 if a [`Counted`] follows the bytes, else 0.
    pub counted: u32,
}

/// Of the DATA frame that began last in this direction, whose payload was followed to its end: where
/// messages of gRPC are in it, if the stream is one of gRPC.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Counted {
    /// Where in a message the frame begins.
    pub before: Position,
    /// Where it ends.
    pub after: Position,
    /// Its stream.
    pub stream: u32,
    /// Messages that end in it.
    pub whole: u32,
}

/// Key of the map `OPEN_MESSAGES`, whose value is an [`Open`](crate::http2::Open).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MessageKey {
    /// On which connection.
    pub connection: ConnectionId,
    /// On which stream.
    pub stream: u32,
    /// 1 if the process sends it, 0 if it receives it.
    pub sent: u32,
}

/// The body of a message is complete.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct End {
    /// Kind [`END`](crate::header::Kind::END).
    pub header: Header,
    /// On which connection.
    pub connection: ConnectionId,
    /// 1 if the process sent it, 0 if it received it.
    pub sent: u32,
    /// As in [`Head`].
    pub ordinal: u32,
    /// Payload, without the framing of chunks.
    pub body_bytes: u64,
}

/// Nothing more comes from a connection.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Closed {
    /// Kind [`CLOSED`](crate::header::Kind::CLOSED).
    pub header: Header,
    /// Which.
    pub connection: ConnectionId,
    /// Why: see [`closed`].
    pub reason: u32,
    /// As errno(3) has it, where there was one.
    pub error: u32,
    /// Payload of the message being sent.
    pub sent_body_bytes: u64,
    /// Payload of the message being received.
    pub received_body_bytes: u64,
    /// When the last byte was moved, `CLOCK_BOOTTIME`.
    pub last_ns: u64,
    /// Which ways a body is not all there that said how long it is, a bit each: 1 received, 2 sent.
    pub cut: u32,
    /// Zero.
    pub _pad: u32,
}

/// Of a [`Closed`].
pub mod closed {
    /// The socket was closed, here or by the other side.
    pub const SOCKET: u32 = 0;
    /// What follows is another protocol: an upgrade or a tunnel.
    pub const TUNNEL: u32 = 1;
    /// The bytes are not the messages that they should be: nothing more is taken from it.
    pub const OUT_OF_STEP: u32 = 2;
}

/// One direction of a [`Conn`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Way {
    /// Where in which message it is.
    pub stream: Stream,
    /// When the last byte was moved.
    pub last_ns: u64,
    /// Where in the TCP stream the next byte is.
    pub place: Place,
}

/// Value of the map `CONNECTIONS`; the key is the address of the `struct sock`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Conn {
    /// When it was first seen.
    pub since_ns: u64,
    /// Who opened it, or used it first.
    pub process: TaskId,
    /// The span that its opening belongs to.
    pub owner: TaskId,
    /// When `connect(2)` began.
    pub connect_ns: u64,
    /// When it was established.
    pub connected_ns: u64,
    /// Requests whose method is HEAD, a bit each, by their ordinal.
    pub head_requests: u64,
    /// Requests whose method is CONNECT, likewise.
    pub connect_requests: u64,
    /// Requests that are not told, likewise; their responses are not either.
    pub untold_requests: u64,
    /// Who sends requests.
    pub role: Role,
    /// See [`state`].
    pub state: u32,
    /// 1 where the connection is over and bytes of it wait to be read, else 0.
    pub is_over: u32,
    /// Over what it goes.
    pub transport: Transport,
    /// Of a UNIX socket: which one it is of those that had this address.
    pub inode: u64,
    /// 1 where a record told of bytes of it, else 0: its end is to be told too.
    pub is_told: u32,
    /// Zero.
    pub _pad: u32,
    /// Received, sent.
    pub ways: [Way; 2],
}

/// Over what a connection goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Transport(pub u32);

impl Transport {
    /// Something of the internet's families (MPTCP).
    pub const OTHER: Self = Self(0);
    /// TCP: its sequence numbers are known.
    pub const TCP: Self = Self(1);
    /// A UNIX stream socket.
    pub const UNIX: Self = Self(2);
}

/// Of a [`Conn`].
pub mod state {
    /// Nothing is known yet.
    pub const NEW: u32 = 0;
    /// HTTP/1, and its [`Connection`](super::Connection) reached the ring.
    pub const HTTP1: u32 = 1;
    /// HTTP/2, likewise.
    pub const HTTP2: u32 = 3;
    /// Something else, or nothing that can be followed: only looked up.
    pub const NEITHER: u32 = 2;
}

const _: () = assert!(size_of::<Connection>() == 240);
const _: () = assert!(size_of::<Head>() == 88);
const _: () = assert!(size_of::<Frames>() == 88);
const _: () = assert!(size_of::<Counted>() == 24);
const _: () = assert!(size_of::<MessageKey>() == 24);
const _: () = assert!(size_of::<End>() == 48);
const _: () = assert!(size_of::<Closed>() == 72);
const _: () = assert!(size_of::<Conn>() == 320);
