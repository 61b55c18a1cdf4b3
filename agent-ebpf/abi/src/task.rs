//! What identifies a process, and what the kernel side keeps of one that is traced.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::budget::Budget;

/// A process for ever: its id may be used again, together with its start time it is not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskId {
    /// `task_struct.tgid`: in the root PID namespace.
    pub pid: u32,
    /// Zero.
    pub _pad: u32,
    /// `task_struct.start_boottime` of the group leader, nanoseconds.
    pub start_ns: u64,
}

impl TaskId {
    /// A field at a time: in a probe, to copy the whole is a call of a function with a stack of its own.
    #[inline(always)]
    pub fn set(&mut self, to: Self) {
        self.pid = core::hint::black_box(to.pid);
        self._pad = 0;
        self.start_ns = to.start_ns;
    }
}

impl TaskId {
    /// The owner of processes whose nearest ancestor with a span is whoever started the tracing.
    pub const ROOT: Self = Self { pid: 0, _pad: 0, start_ns: 0 };
}

/// What threads used up, summed as they end. See `agent-ebpf/src/usage.rs` for the sources.
#[derive(
    Clone, Copy, PartialEq, Eq, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Usage {
    /// CPU time in user mode as the tick saw it, nanoseconds.
    pub utime_ns: u64,
    /// CPU time in the kernel as the tick saw it, nanoseconds.
    pub stime_ns: u64,
    /// CPU time as the scheduler measured it, nanoseconds: exact, not split.
    pub runtime_ns: u64,
    /// Time spent runnable, waiting for a CPU, nanoseconds.
    pub run_queue_ns: u64,
    /// Page faults served without reading from a disk.
    pub minor_faults: u64,
    /// Page faults that waited for a disk.
    pub major_faults: u64,
    /// Context switches because the thread waited.
    pub voluntary_switches: u64,
    /// Context switches because others wanted the CPU.
    pub involuntary_switches: u64,
    /// Bytes asked for by read-like system calls, from pipes, sockets and files.
    pub read_bytes: u64,
    /// Bytes given to write-like system calls.
    pub write_bytes: u64,
    /// Bytes fetched from storage.
    pub disk_read_bytes: u64,
    /// Bytes that dirtied the page cache of storage.
    pub disk_write_bytes: u64,
}

impl Usage {
    /// Nothing was used.
    pub const NONE: Self = Self {
        utime_ns: 0,
        stime_ns: 0,
        runtime_ns: 0,
        run_queue_ns: 0,
        minor_faults: 0,
        major_faults: 0,
        voluntary_switches: 0,
        involuntary_switches: 0,
        read_bytes: 0,
        write_bytes: 0,
        disk_read_bytes: 0,
        disk_write_bytes: 0,
    };
}

/// Value of the map `TASKS`; the key is the process id in the root PID namespace.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Task {
    /// The process itself.
    pub process: TaskId,
    /// The span that what it does belongs to: itself from its first exec on, before that its
    /// nearest ancestor that has one.
    pub owner: TaskId,
    /// The owner of whoever forked it: the parent of its span.
    pub parent: TaskId,
    /// Execs whose record reached the ring.
    pub execs: u64,
    /// `task_struct.self_exec_id` at the last exec that was seen: tells whether one was.
    pub exec_id: u64,
    /// Threads that live.
    pub threads: u64,
    /// What its ended threads used.
    pub usage: Usage,
    /// Its requests.
    pub budget: Budget,
    /// The control group that it is in, as of its last exec; 0 where nothing is traced by control group.
    pub cgroup_id: u64,
    /// [`Group::pod_id`](crate::cgroup::Group::pod_id) of it.
    pub pod_id: u64,
    /// Bits of [`flag`].
    pub flags: u64,
}

impl Task {
    /// Nothing happened yet.
    pub const NEW: Self = Self {
        process: TaskId::ROOT,
        owner: TaskId::ROOT,
        parent: TaskId::ROOT,
        execs: 0,
        exec_id: 0,
        threads: 0,
        usage: Usage::NONE,
        budget: Budget::NEW,
        cgroup_id: 0,
        pod_id: 0,
        flags: 0,
    };
}

/// What else there is to know of a [`Task`].
pub mod flag {
    /// It ran when its control group was first looked at: nobody counted its threads.
    pub const TAKEN_UP: u64 = 1;
    /// Nothing of it is told any more, until it executes something in a control group that is traced.
    pub const DROPPED: u64 = 2;
}

const _: () = assert!(size_of::<TaskId>() == 16);
const _: () = assert!(size_of::<Usage>() == 96);
const _: () = assert!(size_of::<Task>() == 264);
