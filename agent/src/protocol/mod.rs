//! Bytes of a connection -> the exchanges in it. What the protocols share is here.

pub mod context;
pub mod export;
pub mod http1;
pub mod http2;

use crate::{event::BootNanos, propagation::Context};

/// Which way bytes flow: from whoever asks, or from whoever answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Request,
    Response,
}

impl Direction {
    pub fn opposite(self) -> Self {
        match self {
            Self::Request => Self::Response,
            Self::Response => Self::Request,
        }
    }
}

/// One of a thing for each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sides<T> {
    pub request: T,
    pub response: T,
}

impl<T> Sides<T> {
    pub fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    pub fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
    Http2,
}

/// What asks. A text that ends in U+2026 was cut there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestHead {
    /// As it came; empty where it is unknown.
    pub method: String,
    pub scheme: Option<String>,
    pub authority: Option<String>,
    /// Path and query, or whatever stood there; empty where it is unknown or there is none, as with
    /// `CONNECT`.
    pub target: String,
    pub user_agent: Option<String>,
    pub content_type: Option<String>,
    /// It asks to go on in HTTP/2 (RFC 7540 §3.2).
    pub asks_for_h2c: bool,
    /// How long a caller of gRPC waits.
    pub timeout_ns: Option<u64>,
    pub context: Option<Context>,
    /// A header that carries contexts was there and held none.
    pub malformed_context: bool,
    /// Fields of it were not read: it is too long, or a part of it was lost.
    pub is_cut: bool,
}

/// The final answer: those of class 1xx are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: u16,
}

/// Why an exchange has no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Ended by one side with an error.
    Reset,
    /// Ended by one side that wanted no more of it.
    Cancelled,
    /// Turned away before anything was done for it.
    Refused,
    /// The server stopped taking requests before this one.
    GoAway,
    /// The connection ended before the exchange did.
    Closed,
    /// Part of it was lost on the way to us: how it went on the wire is not known.
    Lost,
}

/// What is known of a call of gRPC, beside its HTTP/2 exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grpc {
    /// `grpc-status`; `None` where none came, or it could not be read.
    pub status: Option<u32>,
    /// Whole messages. `None` where not every length prefix was seen: frames are not messages, and
    /// their number is not a guess at them.
    pub request_messages: Option<u64>,
    pub response_messages: Option<u64>,
}

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The how-manieth request of its connection this is, by when they began. No two are the same.
    pub ordinal: u64,
    /// Of a stream of HTTP/2 its number, which is the same at both ends whatever was lost; `None` of a
    /// request that was made before an upgrade.
    pub stream: Option<u32>,
    pub version: Version,
    pub request: RequestHead,
    /// `None` if none came, or its status could not be read.
    pub response: Option<ResponseHead>,
    pub request_first: BootNanos,
    pub request_last: BootNanos,
    /// When the final head began: those of class 1xx are passed over.
    pub response_first: Option<BootNanos>,
    pub response_last: Option<BootNanos>,
    /// When it was over: the end of the answer, or whatever came instead of it.
    pub end: BootNanos,
    /// With any padding of HTTP/2, which cannot be told from it.
    pub request_body_bytes: u64,
    pub response_body_bytes: u64,
    pub grpc: Option<Grpc>,
    pub failure: Option<Failure>,
    /// Parts of its heads mean something only to who saw the connection from its start. What is
    /// certain is given, nothing is guessed.
    pub joined_late: bool,
}
