//! Which thread works for which request: the one on whose behalf a thread asks for something.
//!
//! A thread that read a request and has not begun to answer it works for it, if it is one of those that
//! do one thing after the other. Which those are no record says; which are not is seen: threads that
//! have two requests to answer, or two of their own under way, and programs in which one thread goes on
//! with what another began. From then on nothing is said of such a program any more, nor from the start
//! of one that is known to work so ([`programs`]).
//!
//! Where a table is full, nothing is said of the program either.

use std::collections::HashMap;

use super::{Exchange, Peer, programs, recent::Recent, translated::Likeness};
use crate::{
    event::{BootNanos, ConnectionId, Ends, Exec, Role, TaskId},
    propagation::Context,
};

/// Threads that serve or ask at one time.
const MAX_THREADS: usize = 16 * 1024;

/// The request that a process served when it made one of its own: what its span is derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub owner: TaskId,
    pub connection: ConnectionId,
    pub ordinal: u64,
    pub context: Option<Context>,
    pub ends: Option<Ends>,
    pub peer: Option<Peer>,
    pub request_first: BootNanos,
    pub likeness: Likeness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Thread {
    pub(super) process: TaskId,
    pub(super) tid: u32,
}

/// What a thread is at.
#[derive(Debug, Default)]
struct Work {
    /// Requests that it read and nobody began to answer.
    serves: Vec<Cause>,
    /// Requests that it made and of which nobody read an answer.
    asks: u32,
}

/// A program is the process that executed it, with its forks: they have the same owner.
#[derive(Debug, Default)]
pub(super) struct Threads {
    work: HashMap<Thread, Work>,
    /// Programs that interleave.
    interleaving: Recent<TaskId>,
}

impl Threads {
    /// A process begins another program.
    pub(super) fn exec(&mut self, exec: &Exec<'_>) {
        self.interleaving.remove(&exec.process);
        if programs::interleaves(exec) {
            self.interleaves(exec.process);
        }
    }

    /// From now on nothing is said of the program.
    pub(super) fn interleaves(&mut self, owner: TaskId) {
        self.interleaving.insert(owner);
    }

    /// The thread read a request.
    pub(super) fn serves(&mut self, thread: Thread, request: Cause) {
        let owner = request.owner;
        let Some(work) = self.room(thread, owner) else { return };
        let is_other = |one: &Cause| one.connection != request.connection;
        let has_other = work.serves.iter().any(is_other);
        work.serves.push(request);
        if has_other {
            self.interleaves(owner);
        }
    }

    /// `by` began to answer what the thread read.
    pub(super) fn answers(
        &mut self,
        thread: Thread,
        by: Thread,
        owner: TaskId,
        connection: ConnectionId,
        ordinal: u32,
    ) {
        if thread != by {
            self.interleaves(owner);
        }
        self.no_longer_serves(thread, connection, u64::from(ordinal));
    }

    /// The thread made a request: on behalf of which, where that is certain for now.
    pub(super) fn asks(
        &mut self,
        thread: Thread,
        owner: TaskId,
        user_agent: Option<&str>,
    ) -> Option<Cause> {
        if user_agent.is_some_and(programs::hands_on) {
            self.interleaves(owner);
        }
        let work = self.room(thread, owner)?;
        work.asks += 1;
        let is_one_of_several = work.asks > 1;
        let cause = match &work.serves[..] {
            [only] => Some(only.clone()),
            _ => None,
        };
        if is_one_of_several {
            self.interleaves(owner);
            return None;
        }
        cause
    }

    /// `by` read the answer to what the thread asked.
    pub(super) fn hears(&mut self, thread: Thread, by: Thread, owner: TaskId) {
        if thread != by {
            self.interleaves(owner);
        }
        self.no_longer_asks(thread);
    }

    /// An exchange is over. Its cause stands if its program still seems to do one thing after the other.
    pub(super) fn over(&mut self, exchange: &mut Exchange) {
        if exchange.response.is_none()
            && let Some(tid) = exchange.tid
        {
            let thread = Thread { process: exchange.process, tid };
            match exchange.role {
                Role::Client => self.no_longer_asks(thread),
                Role::Server => {
                    self.no_longer_serves(thread, exchange.connection, exchange.ordinal);
                }
            }
        }
        if self.interleaving.contains(&exchange.owner) {
            exchange.cause = None;
        }
    }

    /// The thread's work; `None` where nothing is said of its program.
    fn room(&mut self, thread: Thread, owner: TaskId) -> Option<&mut Work> {
        if self.interleaving.contains(&owner) {
            return None;
        }
        if self.work.len() >= MAX_THREADS && !self.work.contains_key(&thread) {
            self.interleaves(owner);
            return None;
        }
        Some(self.work.entry(thread).or_default())
    }

    fn no_longer_serves(&mut self, thread: Thread, connection: ConnectionId, ordinal: u64) {
        if let Some(work) = self.work.get_mut(&thread) {
            work.serves.retain(|one| one.connection != connection || one.ordinal != ordinal);
        }
        self.forget_if_idle(thread);
    }

    fn no_longer_asks(&mut self, thread: Thread) {
        if let Some(work) = self.work.get_mut(&thread) {
            work.asks = work.asks.saturating_sub(1);
        }
        self.forget_if_idle(thread);
    }

    fn forget_if_idle(&mut self, thread: Thread) {
        if self.work.get(&thread).is_some_and(|work| work.serves.is_empty() && work.asks == 0) {
            self.work.remove(&thread);
        }
    }
}
