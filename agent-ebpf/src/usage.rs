//! What a thread used up, read when it ends.

use abi::task::Usage;

use crate::read::{KernelPtr, offsets};

#[inline(always)]
pub(crate) fn of_thread(task: KernelPtr) -> Usage {
    let at = offsets();
    Usage {
        utime_ns: task.u64(at.task_utime),
        stime_ns: task.u64(at.task_stime),
        runtime_ns: task.u64(at.task_runtime),
        run_queue_ns: task.u64(at.task_run_delay),
        minor_faults: task.u64(at.task_min_flt),
        major_faults: task.u64(at.task_maj_flt),
        voluntary_switches: task.u64(at.task_nvcsw),
        involuntary_switches: task.u64(at.task_nivcsw),
        read_bytes: task.u64(at.task_rchar),
        write_bytes: task.u64(at.task_wchar),
        disk_read_bytes: task.u64(at.task_read_bytes),
        disk_write_bytes: task.u64(at.task_write_bytes),
    }
}
