//! Every map: its capacity, its memory, who inserts and who evicts.
//!
//! Capacities are defaults; the loader may set others before it loads.

use abi::{
    cgroup::{Group, Named, Rate},
    http2::Open,
    loss::Count,
    socket::{Conn, MessageKey},
    task::Task,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};

use crate::{kprobe::Receiving, message::Walk};

/// The records. 4 MiB, shared by all CPUs; read by one reader. Full: the newest record is lost and
/// counted, because a probe must not wait.
#[map]
pub(crate) static RING: RingBuf = RingBuf::with_byte_size(4 * 1024 * 1024, 0);

/// The traced processes, by process id in the root namespace. 32 768 entries, preallocated: about
/// 9 MiB. The fork probe inserts (and `adopt` the first; of control groups the exec probe and `take_up`), the exit probe of the last thread evicts.
/// Full: the child is not traced and counted.
#[map]
pub(crate) static TASKS: HashMap<u32, Task> = HashMap::with_max_entries(32 * 1024, 0);

/// The threads of traced processes, by the address of their `task_struct` (a thread that executes a
/// program changes its id); the value is when each began (`start_boottime`). Where one copy of a
/// probe sees every event, leaders are not in it. 65 536 entries, preallocated: about 5 MiB. The fork
/// probe inserts, the exit probe evicts: whoever evicts a thread books it, so that it is booked once.
/// Full: a process is not traced, which is counted; of a further thread what it used is missing from
/// its process, and the end of one whose leader ended before it may be told early.
#[map]
pub(crate) static THREADS: HashMap<u64, u64> = HashMap::with_max_entries(64 * 1024, 0);

/// The control groups that are watched or decided, by `kernfs_node.id`. 16 384 entries, preallocated: about
/// 1.3 MiB. User space inserts those that it finds, the probe on `cgroup_mkdir` what is made in them, that on
/// `cgroup_rmdir` evicts. Full: what is made is not traced until user space finds it.
#[map]
pub(crate) static CGROUPS: HashMap<u64, Group> = HashMap::with_max_entries(16 * 1024, 0);

/// First until when somebody reads the ring, `CLOCK_BOOTTIME`; 0 for always. Where the programs outlive user
/// space it is put off every second; beyond it no process is admitted. Behind it what user space reported of
/// `COUNTS`, and how much was missed, for whoever reads after it.
#[map]
pub(crate) static READER: Array<u64> = Array::with_max_entries(Count::SLOTS + 2, 0);

/// What user space knows of the control groups, for whoever reads the ring after it. 16 384 entries, as they
/// come: 280 bytes each. No program uses it.
#[map]
pub(crate) static NAMES: HashMap<u64, Named> =
    HashMap::with_max_entries(4 * 1024, BPF_F_NO_PREALLOC);

/// The spans of pods and containers that user space told, by their ids, likewise. 16 384 entries,
/// preallocated: about 1 MiB; the least used goes.
#[map]
pub(crate) static TOLD: LruHashMap<u64, u64> = LruHashMap::with_max_entries(16 * 1024, 0);

/// How much of a pod was told in this second, where that is limited, and what of a container was not. 4 096
/// entries, preallocated: about 300 KiB. The probes of processes and requests insert; full, the kernel evicts what
/// was used least of late, and its counts begin anew.
#[map]
pub(crate) static RATES: LruHashMap<u64, Rate> = LruHashMap::with_max_entries(4 * 1024, 0);

/// The connections of traced processes, by the address of their `struct sock`. 16 384 entries,
/// preallocated: about 6 MiB. Whoever first moves bytes or connects inserts, the end of the
/// connection evicts (`inet_sock_set_state`, `unix_release`), or who has its address next. Full: the
/// connection is not followed, which is counted.
#[map]
pub(crate) static CONNECTIONS: HashMap<u64, Conn> = HashMap::with_max_entries(16 * 1024, 0);

/// The messages of gRPC that go on in later frames. 8 192 entries, preallocated: about 1 MiB. The end
/// of a frame inserts, the end of the message evicts. Full, or the message never ends: the kernel
/// evicts what was used least of late, and the messages of that stream are not counted.
#[map]
pub(crate) static OPEN_MESSAGES: LruHashMap<MessageKey, Open> =
    LruHashMap::with_max_entries(8 * 1024, 0);

/// The sockets on which threads of traced processes send, by thread, from the beginning of
/// `tcp_sendmsg` or `unix_stream_sendmsg` to its end; only where kprobes tell of both. 16 384 entries,
/// preallocated: about 1 MiB. Full: the call goes unseen.
#[map]
pub(crate) static SENDING: HashMap<u64, u64> = HashMap::with_max_entries(16 * 1024, 0);

/// The calls in which threads of traced processes receive over UNIX sockets, by thread; only where kprobes
/// tell. 16 384 entries, preallocated: about 2 MiB. The beginning of the next call replaces it; full, the
/// oldest goes, and what its call receives goes unseen.
#[map]
pub(crate) static RECEIVING: LruHashMap<u64, Receiving> =
    LruHashMap::with_max_entries(16 * 1024, 0);

/// Counts by [`Count`], a CPU each: 72 bytes a CPU. Never evicted.
#[map]
pub(crate) static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Count::SLOTS, 0);

/// Where a record is put together that does not fit the stack: 28 KiB a CPU for each copy of the exec
/// probe that is attached, and twice that for the programs on functions. Its content means nothing outside one run of one probe.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(7, 0);

/// Room for the largest exec record: its fixed part, two paths, inline arguments and environment,
/// each with the slack that the verifier's bounds need. With its length less than 32 KiB, the
/// kernel's limit for a per-CPU value.
pub(crate) const SCRATCH_BYTES: usize = 28 * 1024;

#[repr(C, align(8))]
pub(crate) struct Scratch {
    /// How many of the bytes are filled. Kept here and not in a variable, because the verifier does
    /// not follow the content of maps: every turn of a loop that appends looks alike to it, and it
    /// need not look at the next (5.10 gave up after a million instructions otherwise).
    pub(crate) len: u64,
    /// How far the bytes of one call were followed: here for the same reason.
    pub(crate) walk: Walk,
    /// Of the current thread's registers.
    pub(crate) words: [u64; 6],
    /// A connection on its way into `CONNECTIONS`: it is half a stack.
    pub(crate) fresh: Conn,
    pub(crate) bytes: [u8; SCRATCH_BYTES],
}
