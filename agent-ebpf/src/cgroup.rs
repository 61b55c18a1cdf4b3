//! Control groups: which are made and removed, and what that means for the processes in them.
//!
//! What is decided of a control group is inherited by those made in it, in the kernel: so a container of
//! a pod that was decided is decided before its first process.
#![expect(
    unsafe_code,
    reason = "map values are shared with other CPUs; helpers take raw addresses"
)]

use abi::{
    cgroup::{Gone, Made, MadeRoom, NAME_BYTES, Policy, Rate},
    header::Kind,
    loss::Count,
    task::{Task, flag},
};
use aya_ebpf::{
    bindings::BPF_ANY,
    helpers::generated::{
        bpf_get_current_cgroup_id, bpf_ktime_get_boot_ns, bpf_probe_read_kernel_str,
    },
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};

use crate::{
    admit::{Admitted, add, current_pid, identify, known},
    copies::{Birth, Copies},
    emit::{Traced, count, fixed, header, reserve, submit},
    maps::{CGROUPS, RATES, READER, TASKS},
    read::{KernelPtr, offsets, settings},
};

/// The control group is in the map.
struct Watched;

impl Traced for Watched {}

#[btf_tracepoint]
fn cgroup_made(ctx: BtfTracePointContext) -> i32 {
    made(KernelPtr(ctx.arg(0)))
}

#[raw_tracepoint]
fn cgroup_made_raw(ctx: RawTracePointContext) -> i32 {
    made(KernelPtr(ctx.arg(0)))
}

#[btf_tracepoint]
fn cgroup_gone(ctx: BtfTracePointContext) -> i32 {
    gone(KernelPtr(ctx.arg(0)))
}

#[raw_tracepoint]
fn cgroup_gone_raw(ctx: RawTracePointContext) -> i32 {
    gone(KernelPtr(ctx.arg(0)))
}

/// `cgroup_mkdir`: its directory is there, and nothing is in it.
#[inline(always)]
fn made(cgroup: KernelPtr) -> i32 {
    let at = offsets();
    if !is_of_our_hierarchy(cgroup) {
        return 0;
    }
    // `cgroup_parent` of include/linux/cgroup.h.
    let parent = KernelPtr(cgroup.u64(at.cgroup_self_parent).wrapping_sub(at.cgroup_self.0.into()));
    let parent_id = id(parent);
    let Some(policy) = policy_of(parent_id) else { return 0 };
    let (policy, cgroup_id) = (policy.inherited(), id(cgroup));
    // Where there is no room user space is told all the same.
    let _no_room = CGROUPS.insert(cgroup_id, policy, u64::from(BPF_ANY));
    let Some(mut slot) = reserve::<MadeRoom>(&Watched) else { return 0 };
    let room = fixed(&mut slot);
    let name = cgroup.ptr(at.cgroup_node).ptr(at.node_name);
    // SAFETY: there is room for as many bytes; the helper checks the address.
    let read = unsafe {
        bpf_probe_read_kernel_str(
            room.name.as_mut_ptr().cast(),
            NAME_BYTES as u32,
            name.0 as *const _,
        )
    };
    let name_len = if read < 0 { 0 } else { read as u32 };
    let len_bytes = size_of::<Made>() as u64 + u64::from(name_len);
    room.made.header = header(Kind::CGROUP_MADE, len_bytes);
    room.made.cgroup_id = cgroup_id;
    room.made.parent_id = parent_id;
    room.made.policy = policy;
    room.made.name_len = name_len;
    submit(slot);
    0
}

/// `cgroup_destroy_locked`: nothing is in it any more.
#[inline(always)]
fn gone(cgroup: KernelPtr) -> i32 {
    if !is_of_our_hierarchy(cgroup) {
        return 0;
    }
    let cgroup_id = id(cgroup);
    if CGROUPS.remove(cgroup_id).is_err() {
        return 0;
    }
    let Some(mut slot) = reserve::<Gone>(&Watched) else { return 0 };
    slot.write(Gone { header: header(Kind::CGROUP_GONE, size_of::<Gone>() as u64), cgroup_id });
    submit(slot);
    0
}

#[inline(always)]
fn is_of_our_hierarchy(cgroup: KernelPtr) -> bool {
    let at = offsets();
    cgroup.ptr(at.cgroup_root).u32(at.cgroup_hierarchy) == settings().hierarchy_id
}

#[inline(always)]
fn id(cgroup: KernelPtr) -> u64 {
    let at = offsets();
    cgroup.ptr(at.cgroup_node).u64(at.node_id)
}

#[inline(always)]
pub(crate) fn policy_of(cgroup_id: u64) -> Option<Policy> {
    let policy = CGROUPS.get_ptr(cgroup_id)?;
    // SAFETY: it came from a look-up that succeeded in this run of the program.
    Some(unsafe { policy.read_volatile() })
}

/// The control group of any task.
#[inline(always)]
pub(crate) fn of(task: KernelPtr) -> u64 {
    let (at, settings) = (offsets(), settings());
    let set = task.ptr(at.task_cgroups);
    if settings.hierarchy_id == 0 {
        id(set.ptr(at.css_set_default))
    } else {
        id(set.at(at.css_set_subsystems).ptr(settings.subsystem_offset).ptr(at.css_cgroup))
    }
}

/// The control group of the current task.
#[inline(always)]
pub(crate) fn current(current: KernelPtr) -> u64 {
    if settings().hierarchy_id == 0 {
        // SAFETY: the helper takes nothing and reads the current task.
        unsafe { bpf_get_current_cgroup_id() }
    } else {
        of(current)
    }
}

/// The current process executed something. If its control group wants that it is traced from here on:
/// below nobody, for nothing is known of who started it.
#[inline(always)]
pub(crate) fn join<C: Copies>(current: KernelPtr) {
    if settings().by_cgroup == 0 {
        return;
    }
    if let Some(task) = known()
        && (!task.is(flag::DROPPED) || task.exec_id() == current.u64(offsets().task_exec_id))
    {
        return;
    }
    let cgroup_id = self::current(current);
    let Some(policy) = policy_of(cgroup_id) else { return };
    if !policy.admits() {
        return;
    }
    if !is_read() {
        count(Count::UNREAD);
        return;
    }
    let pid = current_pid();
    let entry = Task { process: identify(pid, current), threads: 1, cgroup_id, ..Task::NEW };
    let has_room = C::leader_born(current) != Birth::NoRoom
        && TASKS.insert(pid, entry, u64::from(BPF_ANY)).is_ok();
    if !has_room {
        count(Count::SEEN);
        count(Count::LOST_TASKS_FULL);
    }
}

/// Whether somebody reads the ring.
#[inline(always)]
fn is_read() -> bool {
    let Some(until) = READER.get(0) else { return true };
    // SAFETY: the helper takes nothing and reads a clock.
    *until == 0 || unsafe { bpf_ktime_get_boot_ns() } < *until
}

/// What is limited in a second.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limited {
    Exec,
    Fork,
}

/// Whether one more may be told of the process's control group. If not, it is counted.
#[inline(always)]
pub(crate) fn allows(task: &Admitted, what: Limited) -> bool {
    let most = settings().execs_per_second;
    if most == 0 {
        return true;
    }
    let cgroup_id = task.cgroup_id();
    let Some(rate) = RATES.get_ptr_mut(cgroup_id).or_else(|| {
        let _no_room = RATES.insert(cgroup_id, Rate::default(), u64::from(BPF_ANY));
        RATES.get_ptr_mut(cgroup_id)
    }) else {
        return true;
    };
    // SAFETY: it came from a look-up that succeeded in this run of the program.
    let second = unsafe { &mut (*rate).second };
    // SAFETY: the helper takes nothing and reads a clock.
    if second.allows(unsafe { bpf_ktime_get_boot_ns() }, most) {
        return true;
    }
    count(Count::LIMITED);
    match what {
        // SAFETY: as above.
        Limited::Exec => add(unsafe { &raw mut (*rate).execs }, 1),
        // SAFETY: as above.
        Limited::Fork => add(unsafe { &raw mut (*rate).forks }, 1),
    }
    false
}
