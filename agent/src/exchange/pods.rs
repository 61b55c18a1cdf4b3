//! How much of a pod is told in one second, of its processes and their requests together: see `has_room` of
//! the kernel side. What that leaves out is not known here, only what it told.

use std::collections::HashMap;

use abi::budget::Second;

use super::budget::{A_WHILE_NS, IN_FLIGHT, MAX_PROCESSES};
use crate::event::{BootNanos, TaskId};

#[derive(Debug)]
struct Account {
    second: Second,
    /// When it was last used up, or nearly so.
    full: Option<BootNanos>,
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
            let fresh = || Account { second: Second::NEW, full: None, processes: 0 };
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
        let certain = most.saturating_sub(IN_FLIGHT).max(1);
        let Some(account) = self.account(process) else { return true };
        let is_allowed = account.second.allows(time.0, most);
        if account.second.is_used_up(time.0, certain) {
            account.full = Some(time);
        }
        is_allowed
    }

    /// Whether the kernel side tells of what the process did shortly before: certainly.
    pub(super) fn is_left(&self, process: TaskId, time: BootNanos) -> bool {
        let is_past = |full: BootNanos| time.0.saturating_sub(full.0) > A_WHILE_NS;
        let account = self.processes.get(&process).and_then(|pod| self.accounts.get(pod));
        !self.is_limited() || account.is_some_and(|account| account.full.is_none_or(is_past))
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
    fn nothing_is_certain_of_a_pod_that_had_a_full_second() {
        let mut pods = Pods::new(100);
        pods.enters(task(1), 10);
        pods.enters(task(2), 10);
        assert!(pods.is_left(task(1), AT) && !pods.is_left(task(9), AT), "one nobody knows");
        (0..70).for_each(|_| pods.begins(task(2), AT));
        assert!(!pods.is_left(task(1), AT));
        assert!(pods.is_left(task(1), BootNanos(AT.0 + A_WHILE_NS + 1)));
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
        assert!(unlimited.processes.is_empty() && unlimited.is_left(task(1), AT));
    }
}
