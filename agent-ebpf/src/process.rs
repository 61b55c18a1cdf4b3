//! Fork, exec and exit of traced processes.
//!
//! Tracing is inherited at fork, in the kernel, so no descendant can slip through.
//!
//! Each body serves several programs: `tp_btf`, and a raw tracepoint for kernels that refuse it.
//!
//! And five copies for kernels from 7.0 on, where a tracepoint's programs can be preempted, and the
//! kernel does not start a program on a CPU where it has not ended, but another copy it does. They
//! disable preemption as the first thing they do, so that they can be preempted at their very end
//! only; each does nothing where another was before it. An event is missed where five processes
//! of one CPU stand at that point at one time; that is counted.

use abi::{
    header::Kind,
    loss::Count,
    process::{
        ARGS_CHUNKS, ARGS_INLINE, CHUNK_BYTES, Chunk, ENV_CHUNKS, ENV_INLINE, Exec, Exit, PATH_MAX,
        Part,
    },
    task::{Task, TaskId, flag},
};
use aya_ebpf::{
    EbpfContext,
    bindings::BPF_ANY,
    helpers::{bpf_get_current_comm, bpf_get_current_uid_gid},
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};

use crate::{
    admit::{Admitted, admit, current_pid, identify, known},
    cgroup::{self, Known, Limited},
    copies::{self, Alone, Birth, Copies, Several},
    emit::{Emitted, count, emit_draft, header, reserve, submit},
    maps::TASKS,
    path, preempt,
    read::{Draft, KernelPtr, offsets, settings},
    usage,
};

/// The probes' own messages, compiled to nothing unless the object is built for `--probe-log`.
#[cfg(not(feature = "log"))]
macro_rules! debug {
    ($($message:tt)*) => {};
}
#[cfg(feature = "log")]
use aya_log_ebpf::debug;

/// `SIGNAL_GROUP_EXIT` of include/linux/sched/signal.h: the whole group was told to end.
const SIGNAL_GROUP_EXIT: u32 = 0x4;

/// Three programs, in one form. The number is which scratch memory is theirs.
macro_rules! copy {
    ($form:ident $context:ident, $fork:ident $exec:ident $exit:ident, $copies:ident $scratch:literal, $run:path) => {
        #[$form]
        fn $fork(ctx: $context) -> i32 {
            $run(|| forked::<$copies>(&ctx, KernelPtr(ctx.arg(1))))
        }

        #[$form]
        fn $exec(ctx: $context) -> i32 {
            $run(|| executed::<$copies>(&ctx, KernelPtr(ctx.arg(0)), ctx.arg(1), $scratch))
        }

        #[$form]
        fn $exit(ctx: $context) -> i32 {
            $run(|| exited::<$copies>(&ctx, KernelPtr(ctx.arg(0))))
        }
    };
}

copy!(btf_tracepoint BtfTracePointContext, fork exec exit, Alone 0, plainly);
copy!(raw_tracepoint RawTracePointContext, fork_raw exec_raw exit_raw, Several 0, plainly);
copy!(btf_tracepoint BtfTracePointContext, fork_1 exec_1 exit_1, Several 0, preempt::disabled);
copy!(btf_tracepoint BtfTracePointContext, fork_2 exec_2 exit_2, Several 1, preempt::disabled);
copy!(btf_tracepoint BtfTracePointContext, fork_3 exec_3 exit_3, Several 2, preempt::disabled);
copy!(btf_tracepoint BtfTracePointContext, fork_4 exec_4 exit_4, Several 3, preempt::disabled);
copy!(btf_tracepoint BtfTracePointContext, fork_5 exec_5 exit_5, Several 4, preempt::disabled);

#[inline(always)]
fn plainly(body: impl FnOnce() -> i32) -> i32 {
    body()
}

/// Makes the calling process the root of what is traced (argument 1), or stops that (argument 0).
/// Never attached: the loader runs it in its own context, because in a PID namespace it does not
/// know its own id in the root one.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn adopt(ctx: RawTracePointContext) -> i32 {
    let pid = current_pid();
    if ctx.arg::<u64>(0) == 0 {
        return i32::from(TASKS.remove(pid).is_err());
    }
    let task = Task { execs: 1, threads: 1 << 32, ..Task::NEW };
    i32::from(TASKS.insert(pid, task, u64::from(BPF_ANY)).is_err())
}

/// Nothing more is told of the process with this id (argument 0) that began then (argument 1). Never
/// attached, as `adopt`: an entry changes in the kernel only.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn disown(ctx: RawTracePointContext) -> i32 {
    let Some(task) = Admitted::of(ctx.arg::<u64>(0) as u32) else { return 1 };
    if task.process().start_ns != ctx.arg::<u64>(1) {
        return 1;
    }
    task.drop();
    0
}

/// The current task made `child`, a thread or a process, which has not run yet.
#[inline(always)]
fn forked<C: Copies>(_ctx: &impl EbpfContext, child: KernelPtr) -> i32 {
    let Some(task) = admit() else { return 0 };
    let at = offsets();
    let pid = child.u32(at.task_tgid);
    if pid == task.pid {
        if copies::born(child) == Birth::Mine {
            task.thread_began();
        }
        return 0;
    }
    let birth = C::leader_born(child);
    if birth == Birth::Seen {
        return 0;
    }
    debug!(_ctx, "fork: {} made {}", task.pid, pid);
    let owner = task.owner();
    let entry = Task {
        process: identify(pid, child),
        owner,
        parent: owner,
        exec_id: child.u64(at.task_exec_id),
        threads: 1,
        cgroup_id: task.cgroup_id(),
        pod_id: task.pod_id(),
        ..Task::NEW
    };
    // An entry under this id is of a process that ended unseen: the new one takes its place.
    if birth == Birth::NoRoom {
        // It fails only where there is none.
        let _none = TASKS.remove(pid);
    }
    if birth == Birth::NoRoom || TASKS.insert(pid, entry, u64::from(BPF_ANY)).is_err() {
        count(Count::SEEN);
        count(Count::LOST_TASKS_FULL);
    }
    0
}

/// The current process has a new program and has not run its first instruction.
///
/// If the record is lost the process stays what it was: what it does belongs to its old owner, so
/// no span ever has a parent that was not announced.
#[inline(always)]
fn executed<C: Copies>(
    _ctx: &impl EbpfContext,
    current: KernelPtr,
    old_tid: u32,
    scratch: u32,
) -> i32 {
    cgroup::join::<C>(current, scratch);
    let Some(task) = admit() else { return 0 };
    if !task.is_new_exec(current.u64(offsets().task_exec_id)) {
        return 0;
    }
    if old_tid != task.pid {
        C::became_leader(current);
    }
    debug!(_ctx, "exec: {}, {} before", task.pid, task.execs());
    if settings().by_cgroup != 0 {
        let cgroup_id = cgroup::current(current);
        task.is_in(cgroup_id, Known::of(cgroup_id).map_or(0, Known::pod_id));
        if !cgroup::allows(&task, Limited::Exec) {
            not_told(&task);
            return 0;
        }
    }
    let mm = current.ptr(offsets().task_mm);
    let strings = Strings::of(mm);
    chunks(&task, &strings, scratch);
    let Some(draft) = Draft::new(scratch, size_of::<Exec>()) else { return 0 };
    if describe(&task, current, mm, &strings, &draft) == Emitted::Yes {
        task.own();
    } else {
        not_told(&task);
    }
    0
}

/// An exec has no record: what the process does belongs to its old owner. Without one nothing is told of
/// it until its next exec.
#[inline(always)]
fn not_told(task: &Admitted) {
    if settings().by_cgroup != 0 && task.owner().pid == TaskId::ROOT.pid {
        task.drop();
    }
}

/// Where the kernel put the arguments and the environment of a new program.
struct Strings {
    args: u64,
    args_end: u64,
    env: u64,
    env_end: u64,
}

impl Strings {
    #[inline(always)]
    fn of(mm: KernelPtr) -> Self {
        let at = offsets();
        Self {
            args: mm.u64(at.mm_arg_start),
            args_end: mm.u64(at.mm_arg_end),
            env: mm.u64(at.mm_env_start),
            env_end: mm.u64(at.mm_env_end),
        }
    }
}

/// Emits what of the arguments and the environment goes beyond the exec record's own bounds.
#[inline(always)]
fn chunks(task: &Admitted, strings: &Strings, scratch: u32) {
    let mut chunk = 0;
    while chunk < ARGS_CHUNKS {
        let offset = ARGS_INLINE + chunk * CHUNK_BYTES;
        emit_chunk(task, scratch, Part::ARGS, strings.args, strings.args_end, offset);
        chunk += 1;
    }
    chunk = 0;
    while chunk < ENV_CHUNKS {
        let offset = ENV_INLINE + chunk * CHUNK_BYTES;
        emit_chunk(task, scratch, Part::ENV, strings.env, strings.env_end, offset);
        chunk += 1;
    }
}

#[inline(always)]
fn emit_chunk(task: &Admitted, scratch: u32, part: Part, start: u64, end: u64, offset: usize) {
    const FIXED: u64 = size_of::<Chunk>() as u64;
    // Addresses are compared, of which the verifier knows nothing: were it lengths, it would go
    // through all that follows once for each number of chunks.
    let from = start.wrapping_add(offset as u64);
    if end <= from {
        return;
    }
    let Some(draft) = Draft::new(scratch, FIXED as usize) else { return };
    let read = draft.user::<FIXED, { CHUNK_BYTES as u64 }>(from, end - from);
    if read == 0 {
        count(Count::CUT_UNREADABLE);
        return;
    }
    draft.put(Chunk {
        header: header(Kind::CHUNK, draft.len()),
        process: task.process(),
        part,
        offset: offset as u32,
        chunk_len: read as u32,
        exec_id: task.exec_id() as u32,
    });
    emit_draft(task, &draft);
}

/// Puts the exec record together and emits it.
#[inline(always)]
fn describe(
    task: &Admitted,
    current: KernelPtr,
    mm: KernelPtr,
    strings: &Strings,
    draft: &Draft,
) -> Emitted {
    const FIXED: u64 = size_of::<Exec>() as u64;
    const PATHS: u64 = FIXED + 2 * PATH_MAX as u64;
    const ARGS: u64 = PATHS + ARGS_INLINE as u64;
    let at = offsets();
    let fs = current.ptr(at.task_fs);
    let root = fs.at(at.fs_root);
    let exe = mm.ptr(at.mm_exe_file).at(at.file_path);
    let exe_len = path::components::<{ FIXED + PATH_MAX as u64 }>(draft, exe, root);
    let cwd_len = path::components::<PATHS>(draft, fs.at(at.fs_pwd), root);
    let args_total = strings.args_end.saturating_sub(strings.args);
    let env_total = strings.env_end.saturating_sub(strings.env);
    let args_len = draft.user::<PATHS, { ARGS_INLINE as u64 }>(strings.args, args_total);
    let env_len = draft.user::<ARGS, { ENV_INLINE as u64 }>(strings.env, env_total);
    if (args_len == 0 && args_total != 0) || (env_len == 0 && env_total != 0) {
        count(Count::CUT_UNREADABLE);
    }
    draft.put(Exec {
        header: header(Kind::EXEC, draft.len()),
        process: task.process(),
        parent: task.parent(),
        parent_pid: current.ptr(at.task_real_parent).u32(at.task_tgid),
        vpid: vpid(current),
        uid: bpf_get_current_uid_gid() as u32,
        exec_id: task.exec_id() as u32,
        cgroup_id: cgroup::current(current),
        pod_id: task.pod_id(),
        exe_len: exe_len as u32,
        cwd_len: cwd_len as u32,
        args_len: args_len as u32,
        env_len: env_len as u32,
        args_total,
        env_total,
        comm: comm(),
    });
    emit_draft(task, draft)
}

/// A thread of the current process ends: books it, and announces the end of the last one.
#[inline(always)]
fn exited<C: Copies>(_ctx: &impl EbpfContext, current: KernelPtr) -> i32 {
    let Some(task) = known() else { return 0 };
    let signal = current.ptr(offsets().task_signal);
    if !is_last::<C>(&task, current, signal) {
        return 0;
    }
    // Once it is evicted another process may get the entry.
    let (process, owner, parent) = (task.process(), task.owner(), task.parent());
    let (execs, used, beyond) = (task.execs(), task.usage(), task.beyond());
    let cgroup_id = task.cgroup_id();
    let is_told = !task.is(flag::DROPPED)
        && (owner.pid == process.pid || cgroup::allows(&task, Limited::Fork));
    if !task.evict() || !is_told {
        return 0;
    }
    let at = offsets();
    debug!(_ctx, "exit: {}", task.pid);
    let Some(mut slot) = reserve::<Exit>(&task) else { return 0 };
    slot.write(Exit {
        header: header(Kind::EXIT, size_of::<Exit>() as u64),
        process,
        owner,
        parent,
        wait_status: wait_status(current, signal),
        oom_victim: u32::from(signal.u64(at.signal_oom_mm) != 0),
        peak_rss_pages: signal.u64(at.signal_maxrss),
        execs,
        cgroup_id,
        usage: used,
        beyond,
        comm: comm(),
    });
    submit(slot);
    0
}

/// Books the end of a thread. `true` if no thread of its process is left.
#[inline(always)]
fn is_last<C: Copies>(task: &Admitted, current: KernelPtr, signal: KernelPtr) -> bool {
    let is_leader = current.ptr(offsets().task_group_leader) == current;
    let is_counted =
        if is_leader { C::is_to_book_leader(current) } else { copies::is_to_book(current) };
    if !task.is(flag::TAKEN_UP) {
        return is_counted && task.thread_ended(&usage::of_thread(current));
    }
    // Nobody counted the threads that were there before. The kernel did, and has taken this one off;
    // who comes last of those that read zero is decided by who evicts.
    if is_counted || C::SEES_ONCE {
        task.book(&usage::of_thread(current));
    }
    signal.u32(offsets().signal_live) == 0
}

/// What `wait(2)` will give the parent (`wait_task_zombie` of kernel/exit.c).
#[inline(always)]
fn wait_status(current: KernelPtr, signal: KernelPtr) -> u32 {
    let at = offsets();
    if signal.u32(at.signal_flags) & SIGNAL_GROUP_EXIT != 0 {
        signal.u32(at.signal_group_exit_code)
    } else {
        current.ptr(at.task_group_leader).u32(at.task_exit_code)
    }
}

/// The process id in the innermost PID namespace (`task_pid_vnr` of include/linux/pid.h).
#[inline(always)]
fn vpid(current: KernelPtr) -> u32 {
    let at = offsets();
    let pid = current.ptr(at.task_thread_pid);
    let level = u64::from(pid.u32(at.pid_level)) & 0x3f;
    let number = pid.at(at.pid_numbers).0 + level * u64::from(settings().upid_bytes);
    KernelPtr(number).u32(at.upid_nr)
}

#[inline(always)]
fn comm() -> [u8; 16] {
    bpf_get_current_comm().unwrap_or_default()
}
