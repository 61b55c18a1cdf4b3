//! What the kernel said, in our words.

mod ends;

use std::{borrow::Cow, collections::HashSet};

pub use abi::{
    budget::Beyond,
    cgroup::Policy,
    http2::Position,
    socket::ConnectionId,
    task::{TaskId, Usage},
};

pub use self::ends::{Endpoint, Ends, SocketPath, UnixSocket};
use crate::reader::Reader;

/// Nanoseconds of `CLOCK_BOOTTIME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct BootNanos(pub u64);

#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    Chunk(Chunk<'a>),
    Exec(Exec<'a>),
    Exit(Exit),
    Connection(Connection),
    Head(Head<'a>),
    Frames(Frames<'a>),
    End(End),
    Closed(Closed),
    CgroupMade(CgroupMade<'a>),
    CgroupGone(CgroupGone),
}

/// A control group was made in one that is watched or decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupMade<'a> {
    pub cgroup_id: u64,
    pub parent_id: u64,
    pub time: BootNanos,
    pub policy: Policy,
    pub name: &'a [u8],
}

/// A control group was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupGone {
    pub cgroup_id: u64,
    pub time: BootNanos,
}

/// A part of the arguments or the environment of the exec that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    pub process: TaskId,
    pub exec_id: u32,
    pub part: Part,
    pub offset: usize,
    pub bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Args,
    Env,
}

/// A process executed a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Exec<'a> {
    pub process: TaskId,
    /// Owner of the parent: [`TaskId::ROOT`] where no traced ancestor has a span.
    pub parent: TaskId,
    pub time: BootNanos,
    pub parent_pid: u32,
    pub vpid: u32,
    pub uid: u32,
    /// Which exec of the process: its chunks have the same.
    pub exec_id: u32,
    pub cgroup_id: u64,
    /// Whose budget of a second it shares; 0 where that is not limited.
    pub pod_id: u64,
    pub executable: KernelPath<'a>,
    pub working_directory: KernelPath<'a>,
    pub args: Strings<'a>,
    pub env: Strings<'a>,
    pub comm: Comm,
    /// It ran before it was traced: all of this was read later.
    pub taken_up: bool,
    /// Records that this exec arrived in.
    pub records: u32,
}

/// The last thread of a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub process: TaskId,
    pub owner: TaskId,
    pub parent: TaskId,
    pub time: BootNanos,
    pub wait_status: WaitStatus,
    pub oom_victim: u32,
    pub peak_rss_pages: u64,
    pub execs: u64,
    pub cgroup_id: u64,
    pub usage: Usage,
    /// Its requests that have no span.
    pub beyond: Beyond,
    pub comm: Comm,
}

/// Who sends requests on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// A connection over which HTTP is spoken, or that could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    pub process: TaskId,
    pub owner: TaskId,
    pub connection: ConnectionId,
    pub time: BootNanos,
    pub role: Role,
    pub ends: Ends,
    /// As errno(3) has it; 0 where it could be opened.
    pub error: u32,
    /// When `connect(2)` began, and when the connection was there.
    pub connect: Option<BootNanos>,
    pub connected: Option<BootNanos>,
}

/// Which way bytes went, seen from the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Received,
    Sent,
}

impl Role {
    /// The way that requests go.
    pub fn asks(self) -> Way {
        match self {
            Self::Client => Way::Sent,
            Self::Server => Way::Received,
        }
    }
}

/// A piece of the head of an HTTP/1 message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    pub process: TaskId,
    pub owner: TaskId,
    pub connection: ConnectionId,
    pub time: BootNanos,
    pub tid: u32,
    pub way: Way,
    pub offset: u32,
    pub bytes: &'a [u8],
    pub head_ended: bool,
    pub message_ended: bool,
    /// It ended, and there was more of it than reaches user space.
    pub is_cut: bool,
    /// Not all requests of the process before were told.
    pub has_untold: bool,
    pub ordinal: u32,
}

/// Frames of HTTP/2, without the payload of those that carry bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames<'a> {
    pub process: TaskId,
    pub owner: TaskId,
    pub connection: ConnectionId,
    pub time: BootNanos,
    pub way: Way,
    pub offset: u64,
    pub bytes: &'a [u8],
    /// Of the last frame in them, or of one before.
    pub counted: Option<Counted>,
}

/// Where messages of gRPC are in the DATA frame that came last in a direction, all of it, if its stream
/// is one of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub stream: u32,
    /// Where in a message the frame begins and ends.
    pub before: Position,
    pub after: Position,
    /// Messages that end in it.
    pub whole: u32,
}

/// The body of a message is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub connection: ConnectionId,
    pub time: BootNanos,
    pub way: Way,
    pub ordinal: u32,
    pub body_bytes: u64,
}

/// Nothing more comes from a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    pub connection: ConnectionId,
    pub reason: CloseReason,
    /// As errno(3) has it.
    pub error: u32,
    pub sent_body_bytes: u64,
    pub received_body_bytes: u64,
    /// When the last byte was moved.
    pub last: BootNanos,
    /// A body that said how long it is was not all sent, or not all received.
    pub sent_cut: bool,
    pub received_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    Socket,
    /// An upgrade or a tunnel: another protocol follows.
    Tunnel,
    /// The bytes were not the messages that they should be.
    OutOfStep,
}

/// What the kernel side's table holds when tracing ends.
#[derive(Debug, Default)]
pub struct Left {
    /// Traced processes that run.
    pub running: HashSet<TaskId>,
    /// Those of them that never executed anything.
    pub forks: Vec<Fork>,
    /// Requests without a span, of whom.
    pub beyond: Vec<(TaskId, Beyond)>,
}

/// A process that runs and never executed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    pub process: TaskId,
    pub owner: TaskId,
    pub comm: Comm,
    /// Its requests that have no span.
    pub beyond: Beyond,
}

/// NUL-separated strings, of which the end may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strings<'a> {
    pub bytes: Cow<'a, [u8]>,
    pub cut_bytes: u64,
}

impl Strings<'_> {
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut reader = Reader::new(&self.bytes);
        std::iter::from_fn(move || (!reader.is_empty()).then(|| reader.until_nul()))
    }
}

/// A path as the kernel walked it: components from the leaf to the root, a NUL after each, an empty
/// one at the end where the path goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelPath<'a>(pub &'a [u8]);

impl KernelPath<'_> {
    /// `…` stands for the components that were left out.
    pub fn to_text(self) -> String {
        let Some(components) = self.0.strip_suffix(&[0]) else { return String::new() };
        let mut text = String::with_capacity(self.0.len());
        for component in components.rsplit(|byte| *byte == 0) {
            if component.is_empty() {
                text.push('\u{2026}');
            } else {
                text.push('/');
                text.push_str(&String::from_utf8_lossy(component));
            }
        }
        text
    }

    /// The leaf alone.
    pub fn name(&self) -> Cow<'_, str> {
        let end = memchr::memchr(0, self.0).unwrap_or(self.0.len());
        String::from_utf8_lossy(self.0.get(..end).unwrap_or_default())
    }
}

/// Name of a task: at most 15 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comm(pub [u8; 16]);

impl Comm {
    /// Cuts a longer name as the kernel does.
    pub fn from_text(name: &str) -> Self {
        let mut comm = [0; 16];
        let bytes = name.trim_end().bytes().take(15);
        comm.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Self(comm)
    }

    pub fn to_text(self) -> String {
        let end = memchr::memchr(0, &self.0).unwrap_or(self.0.len());
        String::from_utf8_lossy(self.0.get(..end).unwrap_or_default()).into_owned()
    }
}

/// What `wait(2)` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitStatus(pub u32);

impl WaitStatus {
    /// The number of the signal that ended the process; `None` if it ended by itself.
    pub fn signal(self) -> Option<u32> {
        let signal = self.0 & 0x7f;
        (signal != 0).then_some(signal)
    }

    pub fn core_dumped(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// As a shell says it: the exit code, or 128 + signal.
    pub fn shell_code(self) -> u32 {
        self.signal().map_or((self.0 >> 8) & 0xff, |signal| 128 + signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_turned_the_right_way() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(KernelPath(bytes).to_text(), expected);
        };
        check(b"bash\0bin\0usr\0", "/usr/bin/bash");
        check(b"bin\0usr\0\0", "\u{2026}/usr/bin");
        check(b"", "");
        check(b"memfd:x\0", "/memfd:x");
        check(b"no-end", "");
    }

    #[test]
    fn empty_arguments_are_kept() {
        let strings = |bytes: &'static [u8]| Strings { bytes: Cow::Borrowed(bytes), cut_bytes: 0 };
        let list = |bytes| strings(bytes).iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(list(b"sh\0-c\0\0"), [&b"sh"[..], b"-c", b""]);
        assert_eq!(list(b"a\0b"), [b"a", b"b"]);
        assert!(list(b"").is_empty());
        assert_eq!(list(b"\0"), [b""]);
    }

    #[test]
    fn a_wait_status_reads_as_a_shell_says_it() {
        assert_eq!(WaitStatus(7 << 8).shell_code(), 7);
        assert_eq!(WaitStatus(9).shell_code(), 137);
        assert_eq!(WaitStatus(0x8b).signal(), Some(11));
        assert!(WaitStatus(0x8b).core_dumped());
    }
}
