//! What is told, and when, and the account of what is held.

use std::collections::HashSet;

use super::{Ending, Exchanges, Released, Told, conversation::Conversation};
use crate::event::{BootNanos, CloseReason, Closed, ConnectionId, TaskId};

/// Later than everything.
const END: BootNanos = BootNanos(u64::MAX);

impl Exchanges {
    /// Time passed. Tells what waited for what did not come.
    pub fn tick(&mut self, now: BootNanos, out: &mut Vec<Told>) -> Released {
        self.overdue(now, out);
        self.release(out, Released::default(), now)
    }

    /// Nothing comes any more.
    pub fn finish(&mut self, now: BootNanos, out: &mut Vec<Told>) -> Released {
        let left = self.conversations.drain().collect();
        let mut released = self.end_all(left, now, out);
        self.unjoined.all();
        released.over_budget = self.place(out, END);
        self.held = 0;
        released
    }

    /// Nothing more of these processes is wanted: what is open of them is told as it is.
    pub fn stop(
        &mut self,
        owners: &HashSet<TaskId>,
        now: BootNanos,
        out: &mut Vec<Told>,
    ) -> Released {
        let is_theirs = |conversation: &Conversation| {
            conversation.announced.is_some_and(|connection| owners.contains(&connection.owner))
        };
        let theirs = self.conversations.extract_if(|_, conversation| is_theirs(conversation));
        let theirs = theirs.collect();
        let released = self.end_all(theirs, now, out);
        self.unjoined.stop(owners);
        let released = self.release(out, released, END);
        self.clients.forget(owners);
        released
    }

    /// Nobody has these connections any more, and no record says so.
    pub fn abandon(
        &mut self,
        connections: &HashSet<ConnectionId>,
        now: BootNanos,
        out: &mut Vec<Told>,
    ) -> Released {
        let theirs = self.conversations.extract_if(|id, _| connections.contains(id)).collect();
        let released = self.end_all(theirs, now, out);
        self.release(out, released, now)
    }

    fn end_all(
        &mut self,
        mut open: Vec<(ConnectionId, Conversation)>,
        now: BootNanos,
        out: &mut Vec<Told>,
    ) -> Released {
        let mut released = Released::default();
        open.sort_unstable_by_key(|(connection, _)| (connection.since_ns, connection.sock));
        for (connection, mut conversation) in open {
            let closed = Closed {
                connection,
                reason: CloseReason::OutOfStep,
                error: 0,
                sent_body_bytes: 0,
                received_body_bytes: 0,
                last: now,
                sent_cut: false,
                received_cut: false,
            };
            if let Some(announced) = &conversation.announced {
                self.clients.closed(announced, now);
                self.unjoined.asked(connection, u64::MAX);
            }
            let one = self.close(&mut conversation, &closed, Ending::Unseen, out);
            released.settled += one.settled;
            released.unpaired += one.unpaired;
        }
        released
    }

    /// Tells those whose request does not end, or whose client does not come.
    pub(super) fn overdue(&mut self, now: BootNanos, out: &mut Vec<Told>) {
        while let Some((connection, ordinal)) = self.late.due(now) {
            if let Some(conversation) = self.conversations.get_mut(&connection) {
                conversation.overdue(ordinal, out);
            }
        }
        self.unjoined.due(now);
    }

    /// Keeps the account of what is held. `told` is what came with the one record at hand.
    pub(super) fn release(
        &mut self,
        told: &mut Vec<Told>,
        mut released: Released,
        now: BootNanos,
    ) -> Released {
        released.over_budget = self.place(told, now);
        let told: u64 = told.iter().map(|told| u64::from(told.records())).sum();
        let Released { settled, unpaired, refused, over_budget } = released;
        let others = settled + unpaired + refused + over_budget;
        self.held = self.held.saturating_sub(told + u64::from(others));
        released
    }

    /// Says what each was part of, and leaves out what is to wait, and what is beyond the budget: of how
    /// many records.
    fn place(&mut self, told: &mut Vec<Told>, now: BootNanos) -> u32 {
        for one in told.iter_mut() {
            if let Told::Exchange(exchange) = one {
                self.threads.over(exchange);
            }
        }
        // Of those that waited that was said before.
        told.append(self.unjoined.given());
        self.unjoined.join(told, &self.clients, now);
        let mut over_budget = 0;
        told.retain_mut(|told| {
            let is_told = self.budgets.tells(told);
            if !is_told {
                over_budget += told.records();
            }
            is_told
        });
        over_budget
    }
}
