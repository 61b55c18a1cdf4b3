//! Placed events -> spans, when they are complete.

mod beyond;
mod exchange;
#[cfg(test)]
mod golden;
mod process;
mod rpc;

use std::collections::{HashMap, HashSet};

use self::process::Open;
use crate::{
    clock::Clock,
    correlate::Placement,
    environ::Environ,
    event::{Beyond, BootNanos, Connection, Exec, Exit, Fork, TaskId},
    exchange::Exchange,
    span::{Span, key},
};

/// Processes that are kept track of at one time.
const MAX_OPEN: usize = 64 * 1024;

/// What is the same for all spans.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    pub clock: Clock,
    pub page_bytes: u64,
}

#[derive(Debug)]
pub struct Assembler {
    machine: Machine,
    open: HashMap<TaskId, Open>,
    /// Records that the open spans carry: the sum of theirs.
    held: u64,
}

/// Records for which there was no room.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Refused(pub u32);

impl Assembler {
    pub fn new(machine: Machine) -> Self {
        Self { machine, open: HashMap::new(), held: 0 }
    }

    pub fn set_clock(&mut self, clock: Clock) {
        self.machine.clock = clock;
    }

    pub fn exec(&mut self, exec: &Exec<'_>, environ: Environ, placement: Placement) -> Refused {
        if let Some(open) = self.open.get_mut(&exec.process) {
            if open.was_taken_from(exec) {
                open.told_after_all(exec, environ, placement);
            } else {
                open.exec_again(exec, environ, placement);
            }
        } else if self.open.len() < MAX_OPEN {
            self.open.insert(exec.process, Open::new(exec, environ, placement));
        } else {
            return Refused(exec.records);
        }
        self.held += u64::from(exec.records);
        Refused(0)
    }

    pub fn knows(&self, process: TaskId) -> bool {
        self.open.contains_key(&process)
    }

    /// The span that ended; `None` for a fork that never executed anything and belongs to an owner
    /// that still runs. Such a fork that outlived its owner has a span of its own, so that nothing
    /// that happened is left out; so has a process whose exec never arrived.
    pub fn exit(&mut self, exit: &Exit, placement: Placement) -> Option<Span> {
        if exit.owner != exit.process {
            if let Some(owner) = self.open.get_mut(&exit.owner) {
                owner.fork_ended(exit);
                self.held += 1;
                return None;
            }
            return Some(process::forked(exit, placement, &self.machine));
        }
        let Some(open) = self.open.remove(&exit.process) else {
            return Some(process::without_exec(exit, placement, &self.machine));
        };
        self.held = self.held.saturating_sub(u64::from(open.records()));
        Some(open.ended(exit, &self.machine))
    }

    /// Requests of a process of this owner have no span.
    pub fn beyond(&mut self, owner: TaskId, beyond: &Beyond) {
        if let Some(open) = self.open.get_mut(&owner) {
            open.beyond(beyond);
        }
    }

    /// The span of a fork that still runs at the end; `None` if it belongs to an owner that does.
    pub fn fork(&self, fork: &Fork, placement: Placement, now: BootNanos) -> Option<Span> {
        let is_owned = self.open.contains_key(&fork.owner);
        (!is_owned).then(|| process::unfinished_fork(fork, placement, now, &self.machine))
    }

    /// The span of an exchange.
    pub fn exchange(&self, exchange: Exchange, placement: Placement) -> Span {
        exchange::span(exchange, placement, &self.machine)
    }

    /// The span of a connection that could not be opened.
    pub fn refused(&self, connection: &Connection, placement: Placement) -> Span {
        exchange::refused(connection, placement, &self.machine)
    }

    /// The container with this control group is gone: what of its processes was not seen to end.
    pub fn close(&mut self, cgroup_id: u64, now: BootNanos) -> Vec<(Placement, Span)> {
        self.take_open(cgroup_id, now, key::END_LOST)
    }

    /// The container with this control group is not wanted any more: its processes still run.
    pub fn stop(&mut self, cgroup_id: u64, now: BootNanos) -> Vec<(Placement, Span)> {
        self.take_open(cgroup_id, now, key::STILL_RUNNING)
    }

    fn take_open(
        &mut self,
        cgroup_id: u64,
        now: BootNanos,
        why: &'static str,
    ) -> Vec<(Placement, Span)> {
        let taken = self.open.extract_if(|_, open| open.is_of(cgroup_id));
        let mut taken: Vec<Open> = taken.map(|(_, open)| open).collect();
        taken.sort_by_key(Open::start);
        let records: u64 = taken.iter().map(|open| u64::from(open.records())).sum();
        self.held = self.held.saturating_sub(records);
        let told =
            |open: Open| (open.placement().clone(), open.unfinished(now, why, &self.machine));
        taken.into_iter().map(told).collect()
    }

    /// Somebody else goes on with what runs.
    pub fn leave(&mut self) {
        self.open.clear();
        self.held = 0;
    }

    /// Nothing comes any more: what still runs gets a span that says so, and so does what does not
    /// and of which the end was lost.
    pub fn finish(&mut self, now: BootNanos, running: &HashSet<TaskId>) -> Vec<Span> {
        self.held = 0;
        let mut left: Vec<(TaskId, Open)> = self.open.drain().collect();
        left.sort_by_key(|(_, open)| open.start());
        let told = |(process, open): (TaskId, Open)| {
            let runs = running.contains(&process);
            let why = if runs { key::STILL_RUNNING } else { key::END_LOST };
            open.unfinished(now, why, &self.machine)
        };
        left.into_iter().map(told).collect()
    }

    pub fn held(&self) -> u64 {
        self.held
    }

    /// Processes that run.
    pub fn running(&self) -> usize {
        self.open.len()
    }
}
