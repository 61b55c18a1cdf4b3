//! The first 16 bytes of every record.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a record is. A number and no enum: an unknown kind is data, not undefined behaviour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Kind(pub u16);

impl Kind {
    /// A part of long arguments or of a long environment: precedes the exec it belongs to.
    pub const CHUNK: Self = Self(1);
    /// A process executed a program.
    pub const EXEC: Self = Self(2);
    /// The last thread of a process ended.
    pub const EXIT: Self = Self(3);
    /// A connection that speaks HTTP, or one that could not be opened.
    pub const CONNECTION: Self = Self(4);
    /// A piece of the head of an HTTP/1 message.
    pub const HEAD: Self = Self(5);
    /// The body of a message is complete.
    pub const END: Self = Self(6);
    /// Nothing more comes from a connection.
    pub const CLOSED: Self = Self(7);
    /// Frames of HTTP/2, without the payload of those that carry bodies.
    pub const FRAMES: Self = Self(8);
    /// A control group was made.
    pub const CGROUP_MADE: Self = Self(9);
    /// A control group was removed.
    pub const CGROUP_GONE: Self = Self(10);
}

/// Stands first in every record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// [`WIRE_VERSION`](crate::WIRE_VERSION) of the writer.
    pub version: u16,
    /// Length of the whole record, this header included.
    pub len_bytes: u32,
    /// When it happened: `CLOCK_BOOTTIME`, nanoseconds.
    pub time_ns: u64,
}

const _: () = assert!(size_of::<Header>() == 16);
