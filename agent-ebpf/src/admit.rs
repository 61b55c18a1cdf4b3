//! Is the current process traced? The one look-up that an untraced process costs, and the only
//! references into `TASKS`.
#![expect(unsafe_code, reason = "map values are shared with other CPUs: see Admitted")]

use core::{
    intrinsics::{AtomicOrdering, atomic_xadd},
    ptr,
};

use abi::{
    budget::{Beyond, Budget, RPC_FAILED},
    task::{Task, TaskId, Usage, flag},
};
use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use crate::{
    cgroup,
    maps::TASKS,
    message::Direction,
    read::{self, KernelPtr},
};

/// The current process is traced; its entry in `TASKS`.
///
/// The kernel never moves an entry, but gives an evicted one to the next process at once: nothing is
/// read from it after [`Admitted::evict`]. The identity fields are written by exec alone, when the
/// process has one thread; the counters are added to atomically.
pub(crate) struct Admitted {
    pub(crate) pid: u32,
    entry: *mut Task,
}

#[inline(always)]
pub(crate) fn admit() -> Option<Admitted> {
    known().filter(|task| !task.is(flag::DROPPED))
}

/// As [`admit`], and also where nothing of the process is to be told any more.
#[inline(always)]
pub(crate) fn known() -> Option<Admitted> {
    Admitted::of(current_pid())
}

#[inline(always)]
pub(crate) fn current_pid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

impl Admitted {
    #[inline(always)]
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let entry = TASKS.get_ptr_mut(pid)?;
        Some(Self { pid, entry })
    }

    #[inline(always)]
    pub(crate) fn is(&self, flag: u64) -> bool {
        // SAFETY: as in `process`.
        unsafe { (*self.entry).flags & flag != 0 }
    }

    /// Nothing of it is told any more.
    #[inline(always)]
    pub(crate) fn drop(&self) {
        // SAFETY: as in `process`.
        unsafe { (*self.entry).flags |= flag::DROPPED };
    }

    #[inline(always)]
    pub(crate) fn cgroup_id(&self) -> u64 {
        // SAFETY: as in `process`.
        unsafe { (*self.entry).cgroup_id }
    }

    #[inline(always)]
    pub(crate) fn pod_id(&self) -> u64 {
        // SAFETY: as in `process`.
        unsafe { (*self.entry).pod_id }
    }

    /// It may have been moved since its last exec.
    #[inline(always)]
    pub(crate) fn is_in(&self, cgroup_id: u64, pod_id: u64) {
        // SAFETY: as in `process`; exec runs when the process has one thread, which is this one.
        unsafe { (*self.entry).cgroup_id = cgroup_id };
        // SAFETY: as above.
        unsafe { (*self.entry).pod_id = pod_id };
    }

    #[inline(always)]
    pub(crate) fn process(&self) -> TaskId {
        // SAFETY: `entry` came from a look-up that succeeded in this run of the program.
        unsafe { (*self.entry).process }
    }

    #[inline(always)]
    pub(crate) fn owner(&self) -> TaskId {
        // SAFETY: as in `process`.
        unsafe { (*self.entry).owner }
    }

    #[inline(always)]
    pub(crate) fn parent(&self) -> TaskId {
        // SAFETY: as in `process`.
        unsafe { (*self.entry).parent }
    }

    /// Whether this exec was not seen yet. From here on it was.
    #[inline(always)]
    pub(crate) fn is_new_exec(&self, exec_id: u64) -> bool {
        // SAFETY: as in `process`.
        let seen = unsafe { &raw mut (*self.entry).exec_id };
        // SAFETY: as in `process`.
        let is_new = unsafe { seen.read() != exec_id };
        // SAFETY: as in `process`; exec runs when the process has one thread, which is this one.
        unsafe { seen.write(exec_id) };
        is_new
    }

    #[inline(always)]
    pub(crate) fn exec_id(&self) -> u64 {
        // SAFETY: as in `process`.
        unsafe { (*self.entry).exec_id }
    }

    #[inline(always)]
    pub(crate) fn execs(&self) -> u64 {
        // SAFETY: as in `process`.
        unsafe { (*self.entry).execs }
    }

    /// What the ended threads used, all of them once `thread_ended` said that none is left.
    #[inline(always)]
    pub(crate) fn usage(&self) -> Usage {
        // SAFETY: as in `process`; nothing adds to it any more.
        unsafe { (*self.entry).usage }
    }

    /// A request begins that goes this way: whether it is told.
    #[inline(always)]
    pub(crate) fn allows(&self, direction: Direction, now_ns: u64) -> bool {
        // SAFETY: as in `process`.
        let budget = unsafe { &mut *self.budget() };
        let is_allowed = budget.allows(now_ns, read::settings().requests_per_second)
            && cgroup::has_room(self, now_ns);
        if !is_allowed {
            budget.goes_beyond(now_ns);
            // SAFETY: as in `process`; there are two.
            add_u32(unsafe { &raw mut (*self.budget()).beyond.ways[direction as usize].requests });
        }
        is_allowed
    }

    /// A request that is not told was answered.
    #[inline(always)]
    pub(crate) fn answered(&self, asked: Direction, status: u32) {
        let class = (status / 100).wrapping_sub(1) as usize;
        if class < RPC_FAILED {
            // SAFETY: as in `allows`, and there are as many classes.
            add_u32(unsafe {
                &raw mut (*self.budget()).beyond.ways[asked as usize].by_class[class]
            });
        }
    }

    /// Whether all requests of the process were told.
    #[inline(always)]
    pub(crate) fn has_told_all(&self) -> bool {
        // SAFETY: as in `process`.
        unsafe { (*self.budget()).beyond.is_empty() }
    }

    #[inline(always)]
    pub(crate) fn beyond(&self) -> Beyond {
        // SAFETY: as in `process`.
        unsafe { (*self.budget()).beyond }
    }

    #[inline(always)]
    fn budget(&self) -> *mut Budget {
        // SAFETY: as in `process`.
        unsafe { &raw mut (*self.entry).budget }
    }

    /// From here on the process owns what it does.
    #[inline(always)]
    pub(crate) fn own(&self) {
        let process = self.process();
        let execs = self.execs() + 1;
        // SAFETY: as in `process`; exec runs when the process has one thread, which is this one.
        unsafe { (*self.entry).owner = process };
        // SAFETY: as above.
        unsafe { (*self.entry).execs = execs };
    }

    #[inline(always)]
    pub(crate) fn thread_began(&self) {
        add(self.threads(), 1);
    }

    /// Books what the ending thread used. `true` if no thread is left.
    ///
    /// Every thread adds to the usage before it takes itself off the count, so whoever then reads
    /// zero sees the whole sum. More than one may read zero; [`Admitted::evict`] decides.
    #[inline(always)]
    pub(crate) fn thread_ended(&self, used: &Usage) -> bool {
        self.book(used);
        add(self.threads(), u64::MAX);
        // SAFETY: an aligned u64 of a live entry; volatile, because other CPUs write it.
        unsafe { self.threads().read_volatile() == 0 }
    }

    /// Removes the process. `true` for the one caller that did it.
    #[inline(always)]
    pub(crate) fn evict(&self) -> bool {
        TASKS.remove(self.pid).is_ok()
    }

    #[inline(always)]
    fn threads(&self) -> *mut u64 {
        // SAFETY: `entry` came from a look-up that succeeded in this run of the program.
        unsafe { &raw mut (*self.entry).threads }
    }

    #[inline(always)]
    pub(crate) fn book(&self, used: &Usage) {
        // SAFETY: as in `threads`.
        let sums = unsafe { &raw mut (*self.entry).usage }.cast::<u64>();
        let terms = ptr::from_ref(used).cast::<u64>();
        let mut field = 0;
        while field < size_of::<Usage>() / size_of::<u64>() {
            // SAFETY: `field` is within `used`, which is twelve u64.
            let term = unsafe { terms.add(field) };
            // SAFETY: they are initialised.
            let term = unsafe { term.read() };
            // SAFETY: `field` is within the entry's usage.
            let sum = unsafe { sums.add(field) };
            if term != 0 {
                add(sum, term);
            }
            field += 1;
        }
    }
}

/// Adds without fetching: the only atomic that kernels before 5.12 have.
#[inline(always)]
pub(crate) fn add(to: *mut u64, term: u64) {
    // SAFETY: callers pass an aligned u64 of a live map entry that is only changed atomically.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(to, term) };
}

/// As [`add`], one.
#[inline(always)]
fn add_u32(to: *mut u32) {
    // SAFETY: callers pass an aligned u32 of a live map entry.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(to, 1) };
}

/// The identity of the process that `task` (its leader) is.
#[inline(always)]
pub(crate) fn identify(pid: u32, leader: KernelPtr) -> TaskId {
    TaskId { pid, _pad: 0, start_ns: leader.u64(read::offsets().task_start) }
}
