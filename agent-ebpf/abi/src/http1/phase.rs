//! Where in a message a direction of a connection is.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What the next byte of a direction is a part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Phase(pub u32);

impl Phase {
    /// A message may begin here: the method, or `HTTP` of a status line.
    pub const START: Self = Self(0);
    /// The head.
    pub const HEAD: Self = Self(1);
    /// A body of which [`Stream::left`](super::Stream::left) bytes are to come.
    pub const LENGTH: Self = Self(3);
    /// The line that gives the size of a chunk.
    pub const CHUNK_LINE: Self = Self(4);
    /// A chunk of which [`Stream::left`](super::Stream::left) bytes are to come, its line end included.
    pub const CHUNK: Self = Self(5);
    /// The fields behind the last chunk.
    pub const TRAILERS: Self = Self(6);
    /// A body that ends with the connection.
    pub const UNTIL_CLOSE: Self = Self(7);
    /// Not HTTP/1, or no longer.
    pub const NEITHER: Self = Self(8);

    /// The first line of an HTTP/2 connection (RFC 9113 §3.4).
    pub const HTTP2: Self = Self(9);

    /// HTTP/2: what is left of the client's preface.
    pub const PREFACE: Self = Self(10);
    /// HTTP/2: the header of a frame.
    pub const FRAME_HEADER: Self = Self(11);
    /// HTTP/2: a frame's payload that is no body.
    pub const FRAME: Self = Self(12);
    /// HTTP/2: the payload of a DATA frame.
    pub const DATA: Self = Self(13);
    /// HTTP/2, perhaps: the header of the first frame of a server that speaks first.
    pub const FIRST_FRAME: Self = Self(14);

    /// Whether it is HTTP/2, and bytes of it may leave the kernel.
    pub const fn is_frames(self) -> bool {
        matches!(self, Self::FRAME_HEADER | Self::FRAME | Self::FIRST_FRAME)
    }

    /// Whether it is HTTP/2, and its bytes are passed over.
    pub const fn is_passed_over(self) -> bool {
        matches!(self, Self::PREFACE | Self::DATA)
    }

    /// Whether bytes of it may leave the kernel.
    pub const fn is_head(self) -> bool {
        self.0 <= Self::HEAD.0
    }

    /// Whether its bytes have to be looked at.
    pub const fn is_framing(self) -> bool {
        matches!(self, Self::CHUNK_LINE | Self::TRAILERS)
    }

    /// Whether it is a part of a body that says where it ends.
    pub const fn is_bounded(self) -> bool {
        self.is_counted() || self.is_framing()
    }

    /// Whether its bytes are only counted.
    pub const fn is_counted(self) -> bool {
        matches!(self, Self::LENGTH | Self::CHUNK)
    }
}
