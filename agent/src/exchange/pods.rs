//! How much of a pod is told in one second, of its processes and their requests together: see `has_room` of
//! the kernel side. What that leaves out is not known here, only what it told.

use std::collections::HashMap;

use abi::budget::Second;

use super::budget::MAX_PROCESSES;
use crate::event::{BootNanos, TaskId};

#[derive(Debug)]
struct Account {
    second: Second,
    processes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Pods {
    /// 0 for no limit.
    spans_per_second: u32,
    /// The pod of each process that executed something.
    processes: HashMap<TaskId, u64>,
    accounts: HashMap<u64, Account>,
}

impl Pods {
    pub(super) fn new(spans_per_second: u32) -> Self {
        Self { spans_per_second, ..Self::default() }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.spans_per_second != 0
    }

    /// The process is one of this pod, or of none (0).
    pub(super) fn enters(&mut self, process: TaskId, pod: u64) {
        let is_full = self.processes.len() >= MAX_PROCESSES;
        if !self.is_limited() || (is_full && !self.processes.contains_key(&process)) {
            return;
        }
        if self.processes.get(&process) != Some(&pod) {
            self.leaves(process);
            self.processes.insert(process, pod);
            let fresh = || Account { second: Second::NEW, processes: 0 };
            self.accounts.entry(pod).or_insert_with(fresh).processes += 1;
        }
    }

    pub(super) fn leaves(&mut self, process: TaskId) {
        let Some(pod) = self.processes.remove(&process) else { return };
        let Some(account) = self.accounts.get_mut(&pod) else { return };
        account.processes -= 1;
        if account.processes == 0 {
            self.accounts.remove(&pod);
        }
    }

    /// The kernel side told of something that the process did.
    pub(super) fn begins(&mut self, process: TaskId, time: BootNanos) {
        self.allows(process, time);
    }

    /// Whether one more is told. It counts either way.
    pub(super) fn allows(&mut self, process: TaskId, time: BootNanos) -> bool {
        let most = self.spans_per_second;
        self.account(process).is_none_or(|account| account.second.allows(time.0, most))
    }

    fn account(&mut self, process: TaskId) -> Option<&mut Account> {
        let pod = self.processes.get(&process).filter(|pod| **pod != 0)?;
        self.accounts.get_mut(pod)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::task;

    const AT: BootNanos = BootNanos(7_000_000_000);

    #[test]
    fn the_processes_of_a_pod_share_a_second() {
        let mut pods = Pods::new(2);
        for (process, pod) in [(1, 10), (2, 10), (3, 11), (4, 0)] {
            pods.enters(task(process), pod);
        }
        let told = [1, 2, 1, 3, 4, 4, 4, 5].map(|process| pods.allows(task(process), AT));
        assert_eq!(told, [true, true, false, true, true, true, true, true]);
        assert!(pods.allows(task(2), BootNanos(AT.0 + 1_000_000_000)), "the next second");
    }

    #[test]
    fn a_pod_is_forgotten_with_its_last_process() {
        let mut pods = Pods::new(1);
        pods.enters(task(1), 10);
        pods.enters(task(1), 10);
        pods.enters(task(2), 10);
        pods.leaves(task(1));
        assert_eq!(pods.accounts.len(), 1);
        pods.leaves(task(2));
        assert!(pods.accounts.is_empty() && pods.processes.is_empty());
        let mut unlimited = Pods::new(0);
        unlimited.enters(task(1), 10);
        assert!(unlimited.processes.is_empty() && unlimited.allows(task(1), AT));
    }
}
