//! A process that ran before its container was traced, read from /proc: what its exec would have said.

use std::{borrow::Cow, fs, os::unix::ffi::OsStrExt as _, path::Path};

use abi::{
    process::{ARGS_MAX, ENV_MAX},
    task::{Task, TaskId},
};

use crate::{
    event::{BootNanos, Comm, Exec, KernelPath, Strings},
    host::clocks,
};

/// Of /proc: a hundredth of a second (`USER_HZ`).
const TICK_NS: u64 = 10_000_000;

/// What its exec would have carried, in bytes of its own.
pub(super) struct Taken {
    task: Task,
    parent: TaskId,
    parent_pid: u32,
    vpid: u32,
    uid: u32,
    comm: Comm,
    executable: Vec<u8>,
    working_directory: Vec<u8>,
    args: Vec<u8>,
    env: Vec<u8>,
}

impl Taken {
    /// `None` where it is gone. `parent` finds the identity of a traced process by its id.
    pub(super) fn read(task: Task, parent: impl Fn(u32) -> Option<TaskId>) -> Option<Self> {
        let pid = task.process.pid.to_string();
        let folder = format!("/proc/{pid}");
        // Another may have its id by now: asked when all is read.
        let is_it = || {
            let began = clocks::start_ticks(&pid).ok();
            began == Some(task.process.start_ns / TICK_NS)
        };
        let file = |name: &str| Path::new(&folder).join(name);
        let status = fs::read_to_string(file("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches(':').trim().to_owned())
        };
        let number = |name: &str, last: bool| {
            let text = field(name)?;
            let mut words = text.split_whitespace();
            let word = if last { words.next_back() } else { words.next() };
            word?.parse::<u32>().ok()
        };
        let parent_pid = number("PPid", false).unwrap_or_default();
        let strings = |name: &str, most: usize| {
            let mut bytes = fs::read(file(name)).unwrap_or_default();
            bytes.truncate(most);
            bytes
        };
        let taken = Self {
            // Of one that another agent was told of, as its record had it.
            parent: match task.parent {
                TaskId::ROOT => parent(parent_pid).unwrap_or(TaskId::ROOT),
                known => known,
            },
            parent_pid,
            vpid: number("NSpid", true).unwrap_or_default(),
            uid: number("Uid", false).unwrap_or_default(),
            comm: Comm::from_text(&field("Name").unwrap_or_default()),
            executable: kernel_path(fs::read_link(file("exe")).ok().as_deref()),
            working_directory: kernel_path(fs::read_link(file("cwd")).ok().as_deref()),
            args: strings("cmdline", ARGS_MAX),
            env: strings("environ", ENV_MAX),
            task,
        };
        is_it().then_some(taken)
    }

    pub(super) fn exec(&self) -> Exec<'_> {
        let strings = |bytes| Strings { bytes: Cow::Borrowed(bytes), cut_bytes: 0 };
        Exec {
            process: self.task.process,
            parent: self.parent,
            time: BootNanos(self.task.process.start_ns),
            parent_pid: self.parent_pid,
            vpid: self.vpid,
            uid: self.uid,
            exec_id: u32::try_from(self.task.exec_id).unwrap_or(u32::MAX),
            cgroup_id: self.task.cgroup_id,
            pod_id: self.task.pod_id,
            executable: KernelPath(&self.executable),
            working_directory: KernelPath(&self.working_directory),
            args: strings(&self.args),
            env: strings(&self.env),
            comm: self.comm,
            taken_up: true,
            records: 0,
        }
    }
}

/// As the kernel side walks it: from the leaf to the root, a NUL after each. What was deleted or lies
/// outside says so behind its name.
fn kernel_path(path: Option<&Path>) -> Vec<u8> {
    let Some(path) = path else { return Vec::new() };
    let bytes = path.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    let mut walked = Vec::with_capacity(bytes.len() + 1);
    for component in bytes.split(|byte| *byte == b'/').rev().filter(|one| !one.is_empty()) {
        walked.extend_from_slice(component);
        walked.push(0);
    }
    walked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_walked_as_the_kernel_side_does() {
        let walked = kernel_path(Some(Path::new("/usr/bin/bash (deleted)")));
        assert_eq!(walked, b"bash\0bin\0usr\0");
        assert_eq!(KernelPath(&walked).to_text(), "/usr/bin/bash");
        assert!(kernel_path(None).is_empty());
    }

    #[test]
    fn another_with_the_same_id_is_not_taken_for_it() {
        let process = TaskId { pid: std::process::id(), _pad: 0, start_ns: 7 };
        assert!(Taken::read(Task { process, ..Task::NEW }, |_| None).is_none());
    }

    #[test]
    fn a_process_is_read_as_it_runs() {
        let pid = std::process::id();
        let start_ns = clocks::own_start_ticks().unwrap() * TICK_NS;
        let process = TaskId { pid, _pad: 0, start_ns };
        let mut task = Task::NEW;
        task.process = process;
        let taken = Taken::read(task, |_| Some(process)).unwrap();
        let exec = taken.exec();
        assert_eq!((exec.parent, exec.time, exec.taken_up), (process, BootNanos(start_ns), true));
        assert_eq!(exec.args.iter().count(), std::env::args().count());
        let own = std::env::current_exe().unwrap();
        assert_eq!(exec.executable.to_text(), own.to_string_lossy());
    }
}
