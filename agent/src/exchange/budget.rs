//! How many requests of a process are told in one second, of those that the kernel side cannot leave out
//! itself: it has to pass on every frame of HTTP/2, because what a head says depends on all heads
//! before it (RFC 7541 §2.2).
//!
//! A server's request is told below the client's of this host only where that is told as well.

use std::collections::{HashMap, HashSet};

use abi::budget::{Beyond, Budget, RPC_FAILED};

use super::{Exchange, Told, pods::Pods, recent::Recent};
use crate::{
    event::{BootNanos, ConnectionId, Role, TaskId},
    protocol::Version,
};

/// Processes that are kept account of at one time. What more there are has no limit.
pub(super) const MAX_PROCESSES: usize = 32 * 1024;

/// 0 is no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Requests of a process that are told.
    pub requests_per_second: u32,
    /// What is told of a pod.
    pub spans_per_second: u32,
}

type ExchangeId = (ConnectionId, u64);

#[derive(Debug)]
struct Account {
    owner: TaskId,
    budget: Budget,
}

#[derive(Debug, Default)]
pub(super) struct Budgets {
    /// 0 for no limit.
    requests_per_second: u32,
    pub(super) pods: Pods,
    processes: HashMap<TaskId, Account>,
    /// Processes that ended, and of which it was told.
    ended: Recent<TaskId>,
    /// Clients' exchanges below which a server's was told.
    promised: Recent<ExchangeId>,
    /// Clients' exchanges that were not told.
    denied: Recent<ExchangeId>,
}

impl Budgets {
    pub(super) fn new(limits: Limits) -> Self {
        let Limits { requests_per_second, spans_per_second } = limits;
        Self { requests_per_second, pods: Pods::new(spans_per_second), ..Self::default() }
    }

    /// The kernel side told of a request.
    pub(super) fn begins(&mut self, process: TaskId, owner: TaskId, time: BootNanos) {
        self.pods.begins(owner, time);
        if let Some(account) = self.of(process, owner) {
            account.budget.begins(time.0);
        }
    }

    fn is_limited(&self) -> bool {
        self.requests_per_second != 0 || self.pods.is_limited()
    }

    /// Whether it is told. What is not is counted.
    pub(super) fn tells(&mut self, told: &mut Told) -> bool {
        match told {
            // The kernel side tells no more of them than that.
            Told::Exchange(one) if one.version != Version::Http2 => true,
            Told::Exchange(one) if one.role == Role::Server => self.tells_served(one),
            Told::Exchange(one) => self.tells_asked(one),
            Told::Refused(one) => self.allows(one.process, one.owner, one.role, one.time, None),
        }
    }

    fn tells_served(&mut self, exchange: &mut Exchange) -> bool {
        let is_told = self.tells_exchange(exchange);
        if let Some(peer) = exchange.peer.filter(|_| is_told && self.is_limited()) {
            let client = (peer.connection, exchange.ordinal);
            if self.denied.contains(&client) {
                exchange.peer = None;
            } else {
                self.promised.insert(client);
            }
        }
        is_told
    }

    fn tells_asked(&mut self, exchange: &Exchange) -> bool {
        let id = (exchange.connection, exchange.ordinal);
        if self.promised.contains(&id) {
            self.begins(exchange.process, exchange.owner, exchange.last);
            return true;
        }
        let is_told = self.tells_exchange(exchange);
        if !is_told {
            self.denied.insert(id);
        }
        is_told
    }

    fn tells_exchange(&mut self, exchange: &Exchange) -> bool {
        let Exchange { process, owner, role, last, .. } = exchange;
        self.allows(*process, *owner, *role, *last, class(exchange))
    }

    fn allows(
        &mut self,
        process: TaskId,
        owner: TaskId,
        role: Role,
        time: BootNanos,
        class: Option<usize>,
    ) -> bool {
        let most = self.requests_per_second;
        let Some(Account { budget, .. }) = self.of(process, owner) else { return true };
        // What its process does not get is nothing to the pod, as in the kernel.
        if budget.allows(time.0, most) && self.pods.allows(owner, time) {
            return true;
        }
        let Some(Account { budget, .. }) = self.of(process, owner) else { return true };
        budget.goes_beyond(time.0);
        let [received, sent] = &mut budget.beyond.ways;
        let untold = if role == Role::Server { received } else { sent };
        untold.requests = untold.requests.saturating_add(1);
        if let Some(count) = class.and_then(|class| untold.by_class.get_mut(class)) {
            *count = count.saturating_add(1);
        }
        false
    }

    /// `None` where there is no limit, or the process is over: what its end cuts short is told.
    fn of(&mut self, process: TaskId, owner: TaskId) -> Option<&mut Account> {
        let is_full = self.processes.len() >= MAX_PROCESSES;
        let is_over = self.ended.contains(&process);
        if !self.is_limited() || is_over || (is_full && !self.processes.contains_key(&process)) {
            return None;
        }
        let fresh = Account { owner, budget: Budget::NEW };
        Some(self.processes.entry(process).or_insert(fresh))
    }

    /// The process ended: its requests that were not told.
    pub(super) fn take(&mut self, process: TaskId) -> Beyond {
        self.ended.insert(process);
        self.processes.remove(&process).map(|account| account.budget.beyond).unwrap_or_default()
    }

    /// Nothing more of these processes is told: what was not told until now, with its owner.
    pub(super) fn stop(&mut self, owners: &HashSet<TaskId>) -> Vec<(TaskId, Beyond)> {
        owners.iter().for_each(|owner| self.pods.leaves(*owner));
        let theirs = self.processes.extract_if(|_, account| owners.contains(&account.owner));
        theirs.map(|(_, account)| (account.owner, account.budget.beyond)).collect()
    }

    /// Likewise of all that have not, with their owners.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (TaskId, Beyond)> {
        self.processes.drain().map(|(_, account)| (account.owner, account.budget.beyond))
    }
}

/// As what an answer is counted: see [`Beyond`]. Most calls of gRPC that fail do so with status 200.
fn class(exchange: &Exchange) -> Option<usize> {
    if exchange.grpc.is_some_and(|grpc| grpc.status.is_some_and(|status| status != 0)) {
        return Some(RPC_FAILED);
    }
    usize::from(exchange.response?.status / 100).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::task;

    fn allows(budgets: &mut Budgets, pid: u32, class: Option<usize>) -> bool {
        budgets.allows(task(pid), task(1), Role::Client, BootNanos(7), class)
    }

    #[test]
    fn a_process_has_so_many_and_the_rest_is_counted_by_status() {
        let mut budgets = Budgets::new(Limits { requests_per_second: 2, ..Limits::default() });
        let classes = [Some(1), Some(1), Some(1), Some(4), Some(RPC_FAILED), None];
        let told = classes.map(|class| allows(&mut budgets, 5, class));
        assert_eq!(told, [true, true, false, false, false, false]);
        assert!(allows(&mut budgets, 6, None), "another process has its own");
        let [received, sent] = budgets.take(task(5)).ways;
        assert_eq!((received.requests, sent.requests, sent.by_class), (0, 4, [0, 1, 0, 0, 1, 1]));
        assert_eq!(budgets.take(task(5)), Beyond::default(), "told once");
        assert_eq!(budgets.drain().count(), 1);
    }

    #[test]
    fn what_a_process_does_not_get_leaves_its_pod_s_second_to_others() {
        let limits = Limits { requests_per_second: 2, spans_per_second: 3 };
        let mut budgets = Budgets::new(limits);
        budgets.pods.enters(task(1), 10);
        let told =
            |budgets: &mut Budgets, pid| (0..100).filter(|_| allows(budgets, pid, None)).count();
        assert_eq!(told(&mut budgets, 5), 2, "its own limit");
        assert_eq!(told(&mut budgets, 6), 1, "what the pod has left");
        let beyond = budgets.stop(&HashSet::from([task(1)]));
        let untold: u32 = beyond.iter().map(|(_, beyond)| beyond.ways[1].requests).sum();
        assert_eq!((beyond.len(), untold), (2, 98 + 99));
        // Nothing is kept of a pod of which nothing more is told.
        budgets.pods.enters(task(1), 10);
        assert_eq!(told(&mut budgets, 7), 2);
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let mut budgets = Budgets::new(Limits::default());
        assert!((0..100).all(|_| allows(&mut budgets, 5, None)));
        assert_eq!(budgets.drain().count(), 0);
    }
}
