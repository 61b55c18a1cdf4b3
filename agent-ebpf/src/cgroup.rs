//! Control groups: which are made and removed, and what that means for the processes in them.
//!
//! What is decided of a control group is inherited by those made in it, in the kernel: so a container of
//! a pod that was decided is decided before its first process.
#![expect(
    unsafe_code,
    reason = "map values are shared with other CPUs; helpers take raw addresses"
)]

use abi::{
    cgroup::{Gone, Group, Made, MadeRoom, NAME_BYTES, Policy, Rate},
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
    admit::{self, Admitted, add, current_pid, identify},
    copies::{Birth, Copies},
    emit::{Traced, count, fixed, header, reserve, submit},
    maps::{CGROUPS, RATES, READER, TASKS},
    read::{Draft, KernelPtr, offsets, settings},
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
    let Some(parent) = Known::of(parent_id) else { return 0 };
    let cgroup_id = id(cgroup);
    let group = Group::child(parent.policy(), parent.pod_id(), cgroup_id);
    // Where there is no room user space is told all the same.
    let _no_room = CGROUPS.insert(cgroup_id, group, u64::from(BPF_ANY));
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
    room.made.policy = group.policy;
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

/// A control group that is in the map. It is read a field at a time: on the stack there is no room for all
/// of it in the program of an exec, which kernels before 6.6 look at closely.
#[derive(Clone, Copy)]
pub(crate) struct Known(*const Group);

impl Known {
    #[inline(always)]
    pub(crate) fn of(cgroup_id: u64) -> Option<Self> {
        CGROUPS.get_ptr(cgroup_id).map(Self)
    }

    #[inline(always)]
    pub(crate) fn policy(self) -> Policy {
        // SAFETY: it came from a look-up that succeeded in this run of the program.
        unsafe { (*self.0).policy }
    }

    #[inline(always)]
    pub(crate) fn pod_id(self) -> u64 {
        // SAFETY: as in `policy`.
        unsafe { (*self.0).pod_id }
    }
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
pub(crate) fn join<C: Copies>(current: KernelPtr, scratch: u32) {
    if settings().by_cgroup == 0 {
        return;
    }
    if let Some(task) = admit::known()
        && (!task.is(flag::DROPPED) || task.exec_id() == current.u64(offsets().task_exec_id))
    {
        return;
    }
    let cgroup_id = self::current(current);
    let Some(group) = Known::of(cgroup_id) else { return };
    if !group.policy().admits() {
        return;
    }
    if !is_read() {
        count(Count::UNREAD);
        return;
    }
    let Some(draft) = Draft::new(scratch, size_of::<Task>()) else { return };
    let pid = current_pid();
    // Not on the stack, where there is no room for it in the program of an exec.
    draft.put(Task {
        process: identify(pid, current),
        threads: 1,
        cgroup_id,
        pod_id: group.pod_id(),
        ..Task::NEW
    });
    let entry: &Task = draft.fixed();
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

/// Whether one more may be told of the process. If not, it is counted for its control group.
#[inline(always)]
pub(crate) fn allows(task: &Admitted, what: Limited) -> bool {
    // SAFETY: the helper takes nothing and reads a clock.
    if has_room(task, unsafe { bpf_ktime_get_boot_ns() }) {
        return true;
    }
    count(Count::LIMITED);
    let Some(rate) = rate(task.cgroup_id()) else { return false };
    match what {
        // SAFETY: it came from a look-up that succeeded in this run of the program.
        Limited::Exec => add(unsafe { &raw mut (*rate).execs }, 1),
        // SAFETY: as above.
        Limited::Fork => add(unsafe { &raw mut (*rate).forks }, 1),
    }
    false
}

/// Whether one more span may begin in this second, of all that the process's pod gets. If so, it begins.
#[inline(always)]
pub(crate) fn has_room(task: &Admitted, now_ns: u64) -> bool {
    let most = settings().spans_per_second;
    if most == 0 || task.pod_id() == 0 {
        return true;
    }
    let Some(rate) = rate(task.pod_id()) else { return true };
    // SAFETY: it came from a look-up that succeeded in this run of the program.
    unsafe { (*rate).second.allows(now_ns, most) }
}

#[inline(always)]
fn rate(cgroup_id: u64) -> Option<*mut Rate> {
    RATES.get_ptr_mut(cgroup_id).or_else(|| {
        let _no_room = RATES.insert(cgroup_id, Rate::default(), u64::from(BPF_ANY));
        RATES.get_ptr_mut(cgroup_id)
    })
}
