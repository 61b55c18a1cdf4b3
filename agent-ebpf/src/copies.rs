//! Who counts the birth and the end of a thread, once.
#![expect(unsafe_code, reason = "map values are shared with other CPUs")]

use aya_ebpf::bindings::BPF_ANY;

use crate::{
    maps::THREADS,
    read::{KernelPtr, offsets},
};

/// What a program is to do about a new thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Birth {
    /// To count it.
    Mine,
    /// Nothing: another copy was here before.
    Seen,
    /// Its end could not be told from that of another.
    NoRoom,
}

/// A thread beside the leader was made. The kernel makes threads for itself in a process (io_uring's
/// workers) and tells nobody: only the end of one that is remembered from its birth counts.
#[inline(always)]
pub(crate) fn born(thread: KernelPtr) -> Birth {
    let start_ns = thread.u64(offsets().task_start);
    if let Some(known) = THREADS.get_ptr_mut(thread.0) {
        // SAFETY: the pointer came from a look-up that succeeded.
        if unsafe { known.read() } == start_ns {
            return Birth::Seen;
        }
    }
    match THREADS.insert(thread.0, start_ns, u64::from(BPF_ANY)) {
        Ok(()) => Birth::Mine,
        Err(_) => Birth::NoRoom,
    }
}

/// A thread beside the leader ends. `true` for the one program that is to book it. What is remembered
/// of an earlier thread at the same address does not count.
#[inline(always)]
pub(crate) fn is_to_book(thread: KernelPtr) -> bool {
    let Some(known) = THREADS.get_ptr_mut(thread.0) else { return false };
    // SAFETY: the pointer came from a look-up that succeeded.
    let start_ns = unsafe { known.read() };
    start_ns == thread.u64(offsets().task_start) && THREADS.remove(thread.0).is_ok()
}

/// How many copies of a probe are attached to its tracepoint: what that means for the leaders.
pub(crate) trait Copies {
    /// Whether a program sees the end of a thread once, also of one that nobody remembered.
    const SEES_ONCE: bool;
    /// The first thread of a new process.
    fn leader_born(leader: KernelPtr) -> Birth;
    /// Another thread executed a program and took the leader's place.
    fn became_leader(thread: KernelPtr);
    /// As [`is_to_book`].
    fn is_to_book_leader(leader: KernelPtr) -> bool;
}

/// One, which nothing interrupts: it sees every birth and every end once, and need not remember.
pub(crate) struct Alone;

impl Copies for Alone {
    const SEES_ONCE: bool = true;

    #[inline(always)]
    fn leader_born(_: KernelPtr) -> Birth {
        Birth::Mine
    }

    #[inline(always)]
    fn became_leader(thread: KernelPtr) {
        let _not_new = THREADS.remove(thread.0);
    }

    #[inline(always)]
    fn is_to_book_leader(_: KernelPtr) -> bool {
        true
    }
}

/// Several, or one that misses events.
pub(crate) struct Several;

impl Copies for Several {
    const SEES_ONCE: bool = false;

    #[inline(always)]
    fn leader_born(leader: KernelPtr) -> Birth {
        born(leader)
    }

    #[inline(always)]
    fn became_leader(_: KernelPtr) {}

    #[inline(always)]
    fn is_to_book_leader(leader: KernelPtr) -> bool {
        // Not by its start: one that became the leader has taken over that of the leader before.
        THREADS.remove(leader.0).is_ok()
    }
}
