//! Where in the payload of DATA frames the messages of gRPC begin: five bytes, one that says whether
//! what follows is compressed and four of its length, and so many bytes.
//!
//! Messages do not begin with frames, nor end with them. Nobody here knows which streams are gRPC's:
//! bytes that cannot be a message, or one of 16 MiB and more, are passed over, and user space believes what is told of a frame
//! only where it fits what it knows of the frames before it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::http1::{HAS_OPEN_MESSAGES, Phase, Stream};

/// What is in front of a message.
const PREFIX_BYTES: u64 = 5;
/// Flags of a DATA frame: its payload begins and ends with what is no body.
const PADDED: u64 = 8;

/// Where in a message the next byte of a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Position(pub u64);

impl Position {
    /// A message may begin here.
    pub const BETWEEN: Self = Self(0);
    /// In its prefix, of which one to four bytes came: these are added.
    const PREFIX: u64 = 1 << 32;
    /// What is held of the stream was not looked up yet.
    const UNSEEN: u64 = 1 << 33;
    /// Not known: as in a message that is longer than all frames.
    const UNKNOWN: u64 = 1 << 48;

    /// In a message, of which so many bytes are to come.
    #[must_use]
    pub const fn in_message(left: u32) -> Self {
        Self(left as u64)
    }

    /// In a prefix, of which so many bytes came.
    #[must_use]
    pub const fn in_prefix(came: u32) -> Self {
        Self(Self::PREFIX + came as u64)
    }

    /// How many bytes of a message are to come, if it is not in a prefix.
    #[must_use]
    pub const fn left(self) -> Option<u32> {
        if self.0 < Self::PREFIX { Some(self.0 as u32) } else { None }
    }

    /// How many bytes of a prefix came, if it is in one.
    #[must_use]
    pub const fn came(self) -> Option<u32> {
        let is_in = self.0 > Self::PREFIX && self.0 < Self::PREFIX + PREFIX_BYTES;
        if is_in { Some((self.0 - Self::PREFIX) as u32) } else { None }
    }
}

/// What is kept of a stream from a frame to the next, while a message is not complete.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Open {
    /// Where it is.
    pub position: Position,
    /// What came of a prefix.
    pub prefix: u64,
}

impl Open {
    /// Nothing: a message may begin.
    pub const NONE: Self = Self { position: Position::BETWEEN, prefix: 0 };
}

/// What is known of the DATA frame at hand. It lies where lines of HTTP/1 and headers of frames are
/// carried, of which there are none while a payload passes by.
mod at {
    pub(super) const POSITION: usize = 0;
    pub(super) const PREFIX: usize = 1;
    pub(super) const BEFORE: usize = 2;
    /// Messages that ended in the frame, less than 2^24.
    pub(super) const WHOLE: usize = 3;
    /// The number of its stream, and [`super::BEGAN`].
    pub(super) const STREAM: usize = 4;
}

/// A prefix, or a part of one, is in the frame.
const BEGAN: u64 = 1 << 32;

impl Stream {
    /// Whether messages of gRPC may go on in later frames.
    #[inline(always)]
    const fn has_open_messages(&self) -> bool {
        self.flags & HAS_OPEN_MESSAGES != 0
    }

    /// A message goes on in a later frame.
    #[inline(always)]
    pub const fn keeps_messages(&mut self) {
        self.flags |= HAS_OPEN_MESSAGES;
    }

    /// A DATA frame begins.
    #[inline(always)]
    pub(super) fn begin_data(&mut self, stream: u32, flags: u64) {
        let unseen = if self.has_open_messages() { Position::UNSEEN } else { 0 };
        let position = if flags & PADDED == 0 { unseen } else { Position::UNKNOWN };
        self.carry[at::STREAM] = stream as u64;
        self.carry[at::POSITION] = position;
        // Apart, for to write zeros that lie together is a call of a function in a probe.
        self.carry[at::BEFORE] = 0;
        core::hint::black_box(&mut *self);
        self.carry[at::PREFIX] = 0;
        core::hint::black_box(&mut *self);
        self.carry[at::WHOLE] = 0;
    }

    /// Whether [`Stream::reopen`] is next: a message may have begun in an earlier frame.
    #[inline(always)]
    #[must_use]
    pub const fn awaits_open(&self) -> bool {
        self.carry[at::POSITION] == Position::UNSEEN
    }

    /// What was kept of the stream.
    #[inline(always)]
    pub const fn reopen(&mut self, open: Open) {
        self.carry[at::POSITION] = open.position.0;
        self.carry[at::BEFORE] = open.position.0;
        self.carry[at::PREFIX] = open.prefix;
    }

    /// How many bytes of a prefix are the next of a run of so many; 0 where none are.
    #[inline(always)]
    #[must_use]
    pub const fn prefix_bytes(&self, run: u64) -> u64 {
        // What came is 0 between messages.
        let came = self.carry[at::POSITION] & !Position::PREFIX;
        if came >= PREFIX_BYTES || (came > 0 && self.carry[at::POSITION] == came) {
            return 0;
        }
        let most = if run < self.left { run } else { self.left };
        let want = PREFIX_BYTES - came;
        if want < most { want } else { most }
    }

    /// Takes so many bytes of a prefix, the first lowest in `bytes`.
    #[inline(always)]
    pub fn take_prefix(&mut self, bytes: u64, count: u64) {
        let came = self.carry[at::POSITION] & !Position::PREFIX;
        let prefix = self.carry[at::PREFIX] | (bytes << ((8 * came) & 63));
        self.left -= count;
        self.carry[at::STREAM] |= BEGAN;
        self.carry[at::PREFIX] = prefix;
        let came = came + count;
        let len = ((prefix >> 8) as u32).swap_bytes() as u64;
        // Of bodies of other kinds as few as can be are taken for a length, which is told.
        self.carry[at::POSITION] = if prefix & 0xfffe != 0 {
            Position::UNKNOWN
        } else if came < PREFIX_BYTES {
            Position::PREFIX + came
        } else {
            self.carry[at::PREFIX] = 0;
            self.carry[at::WHOLE] += (len == 0) as u64;
            len
        };
        if self.left == 0 {
            self.phase = Phase::FRAME_HEADER;
        }
    }

    /// Nothing more is told of the frame.
    #[inline(always)]
    pub const fn give_up_messages(&mut self) {
        self.carry[at::POSITION] = Position::UNKNOWN;
    }

    /// Passes over up to `count` bytes of a message. Gives how many.
    #[inline(always)]
    pub fn pass_message(&mut self, count: u64) -> u64 {
        let position = self.carry[at::POSITION];
        let passed = self.pass_frame(if position < count { position } else { count });
        self.carry[at::POSITION] = position - passed;
        self.carry[at::WHOLE] += (position == passed) as u64;
        passed
    }

    /// Passes over bytes of the frame that nobody can look at.
    #[inline(always)]
    pub(crate) fn pass_hidden_data(&mut self, count: u64) -> u64 {
        let position = self.carry[at::POSITION];
        if position >= Position::PREFIX || position < count {
            self.give_up_messages();
        }
        self.pass_message(count)
    }

    /// The stream of the frame at hand, or of the one that ended.
    #[inline(always)]
    #[must_use]
    pub const fn data_stream(&self) -> u32 {
        self.carry[at::STREAM] as u32
    }

    /// Where the frame began.
    #[inline(always)]
    #[must_use]
    pub const fn before(&self) -> Position {
        Position(self.carry[at::BEFORE])
    }

    /// What is to be kept when the frame is over, if it is not between messages; `None` if nothing is
    /// known.
    #[inline(always)]
    #[must_use]
    pub const fn open(&self) -> Option<Open> {
        let position = Position(self.carry[at::POSITION]);
        let open = Open { position, prefix: self.carry[at::PREFIX] };
        if position.0 < Position::UNSEEN { Some(open) } else { None }
    }

    /// Whether a prefix, or a part of one, is in the frame: then it is to be told of.
    #[inline(always)]
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.carry[at::STREAM] & BEGAN != 0
    }

    /// What to tell of the frame that ended, as three words of a record.
    #[inline(always)]
    #[must_use]
    pub const fn counted(&self) -> [u64; 3] {
        let whole = self.carry[at::WHOLE] << 32;
        let stream = self.carry[at::STREAM] & (BEGAN - 1);
        [self.carry[at::BEFORE], self.carry[at::POSITION], whole | stream]
    }
}
