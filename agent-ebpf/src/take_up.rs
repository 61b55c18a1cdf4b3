//! Processes that ran before their control group was traced.
//!
//! An iterator over all tasks, which user space runs when it decided to trace a control group: whatever of
//! it runs is traced from then on, under its exact identity. One that is forked meanwhile by a process
//! not yet seen can be passed over, so it is run until it finds nothing more.
#![expect(unsafe_code, reason = "aya has no context for iterators; map values are shared")]

use abi::task::{Task, flag};
use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};

use crate::{
    admit::{Admitted, identify},
    cgroup::{self, Known},
    maps::TASKS,
    read::{KernelPtr, offsets},
};

/// `struct bpf_iter__task` of kernel/bpf/task_iter.c.
#[repr(C)]
struct Context {
    meta: u64,
    task: u64,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn take_up(ctx: *const Context) -> i32 {
    // SAFETY: the kernel gives such a context.
    let task = unsafe { (*ctx).task };
    // After the last one comes none.
    if task != 0 {
        take(KernelPtr(task));
    }
    0
}

#[inline(always)]
fn take(task: KernelPtr) {
    let at = offsets();
    if task.ptr(at.task_group_leader) != task || task.u64(at.task_mm) == 0 || has_ended(task) {
        return;
    }
    let cgroup_id = cgroup::of(task);
    let Some(group) = Known::of(cgroup_id) else { return };
    if !group.policy().admits() {
        return;
    }
    let pid = task.u32(at.task_tgid);
    let process = identify(pid, task);
    let how = match Admitted::of(pid) {
        Some(known) if known.process() == process && !known.is(flag::DROPPED) => return,
        // It goes on anew, or it is another with the same id, of which the end was missed.
        Some(_) => BPF_ANY,
        // Where its fork or exec is told meanwhile, that entry stays.
        None => BPF_NOEXIST,
    };
    let entry = Task {
        process,
        owner: process,
        execs: 1,
        exec_id: task.u64(at.task_exec_id),
        threads: 1,
        cgroup_id,
        pod_id: group.pod_id(),
        flags: flag::TAKEN_UP,
        ..Task::NEW
    };
    // What finds no room is found again the next time.
    let _no_room = TASKS.insert(pid, entry, u64::from(how));
    if has_ended(task) {
        // Its end may have come before the entry.
        let _told = TASKS.remove(pid);
    }
}

/// Whether the end of its last thread was told, or is being told.
#[inline(always)]
fn has_ended(leader: KernelPtr) -> bool {
    let at = offsets();
    leader.ptr(at.task_signal).u32(at.signal_live) == 0
}
