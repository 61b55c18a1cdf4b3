//! Exec and exit of a process, and the parts of an exec that is too long for one record.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    budget::Beyond,
    header::Header,
    task::{TaskId, Usage},
};

/// Arguments that travel in the exec record itself, bytes.
pub const ARGS_INLINE: usize = 8 * 1024;
/// Environment that travels in the exec record itself, bytes.
pub const ENV_INLINE: usize = 12 * 1024;
/// Payload of one [`Chunk`], bytes.
pub const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks of arguments beyond the inline part.
pub const ARGS_CHUNKS: usize = 1;
/// Chunks of environment beyond the inline part.
pub const ENV_CHUNKS: usize = 8;
/// Longest argument list that is seen, bytes; what is beyond is counted as cut.
pub const ARGS_MAX: usize = ARGS_INLINE + ARGS_CHUNKS * CHUNK_BYTES;
/// Longest environment that is seen, bytes; what is beyond is counted as cut.
pub const ENV_MAX: usize = ENV_INLINE + ENV_CHUNKS * CHUNK_BYTES;
/// Longest path that is seen, bytes of its components with a NUL after each.
pub const PATH_MAX: usize = 2 * 1024;
/// Deepest path that is seen, components.
pub const PATH_DEPTH: usize = 32;

/// A process executed a program. Followed by `exe_len + cwd_len + args_len + env_len` bytes:
/// the path of the executable and the working directory, each as components from the leaf to the
/// root with a NUL after each; the arguments and the environment as the kernel laid them out.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exec {
    /// Kind [`EXEC`](crate::header::Kind::EXEC).
    pub header: Header,
    /// The process.
    pub process: TaskId,
    /// Parent of its span: [`TaskId::ROOT`] where no traced ancestor has one.
    pub parent: TaskId,
    /// Id in the root PID namespace of its parent process now.
    pub parent_pid: u32,
    /// Its id in its own PID namespace; 0 where the kernel's type information lacks it.
    pub vpid: u32,
    /// User, in the root user namespace.
    pub uid: u32,
    /// `task_struct.self_exec_id`, its low bits: chunks of this exec have the same.
    pub exec_id: u32,
    /// `bpf_get_current_cgroup_id`.
    pub cgroup_id: u64,
    /// [`Group::pod_id`](crate::cgroup::Group::pod_id) of it.
    pub pod_id: u64,
    /// Length of the executable's path here.
    pub exe_len: u32,
    /// Length of the working directory here.
    pub cwd_len: u32,
    /// Length of the arguments here; more may have come in chunks.
    pub args_len: u32,
    /// Length of the environment here; more may have come in chunks.
    pub env_len: u32,
    /// Length of the arguments in the process.
    pub args_total: u64,
    /// Length of the environment in the process.
    pub env_total: u64,
    /// Name of the task, NUL-padded.
    pub comm: [u8; 16],
}

/// What a [`Chunk`] is a part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Part(pub u32);

impl Part {
    /// The arguments.
    pub const ARGS: Self = Self(1);
    /// The environment.
    pub const ENV: Self = Self(2);
}

/// A part of long arguments or of a long environment. Followed by `chunk_len` bytes. Chunks come
/// before the exec record that they belong to.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Chunk {
    /// Kind [`CHUNK`](crate::header::Kind::CHUNK).
    pub header: Header,
    /// The process.
    pub process: TaskId,
    /// What it is a part of.
    pub part: Part,
    /// Where in the whole it begins, bytes.
    pub offset: u32,
    /// How many bytes follow.
    pub chunk_len: u32,
    /// Of the exec record.
    pub exec_id: u32,
}

/// The last thread of a process ended.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exit {
    /// Kind [`EXIT`](crate::header::Kind::EXIT).
    pub header: Header,
    /// The process.
    pub process: TaskId,
    /// Its owner: not itself where it never executed anything.
    pub owner: TaskId,
    /// Parent of its span.
    pub parent: TaskId,
    /// As `wait(2)` gives it: signal in bits 0–6, core dumped in bit 7, exit code in bits 8–15.
    pub wait_status: u32,
    /// 1 where the kernel's out-of-memory killer chose it, else 0.
    pub oom_victim: u32,
    /// Largest resident set, pages (`signal_struct.maxrss`, as `getrusage` gives it).
    pub peak_rss_pages: u64,
    /// Execs whose record reached the ring.
    pub execs: u64,
    /// The control group of its last exec; 0 where nothing is traced by control group.
    pub cgroup_id: u64,
    /// What all its threads used.
    pub usage: Usage,
    /// Its requests that have no span.
    pub beyond: Beyond,
    /// Name of the task, NUL-padded.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<Exec>() == 128);
const _: () = assert!(size_of::<Chunk>() == 48);
const _: () = assert!(size_of::<Exit>() == 272);
