//! Exchanges that were answered before their request ended: how long the end of it is awaited.
//!
//! What they are their conversations know. Time is that of records: where none comes, none is due.

use std::collections::VecDeque;

use crate::event::{BootNanos, ConnectionId};

/// From the end of the response on.
pub(super) const MAX_LATE_NS: u64 = 5_000_000_000;
/// That are awaited at one time; the oldest are due first.
const MAX_LATE: usize = 16 * 1024;

#[derive(Debug)]
struct Awaited {
    answered: BootNanos,
    connection: ConnectionId,
    ordinal: u32,
}

#[derive(Debug, Default)]
pub(super) struct Late {
    /// Oldest first. Of some of them the end came since.
    awaited: VecDeque<Awaited>,
}

impl Late {
    pub(super) fn awaits(&mut self, answered: BootNanos, connection: ConnectionId, ordinal: u32) {
        self.awaited.push_back(Awaited { answered, connection, ordinal });
    }

    /// The next of which the end is not awaited any longer.
    pub(super) fn due(&mut self, now: BootNanos) -> Option<(ConnectionId, u32)> {
        let oldest = self.awaited.front()?;
        let is_due = now.0.saturating_sub(oldest.answered.0) > MAX_LATE_NS;
        if !is_due && self.awaited.len() <= MAX_LATE {
            return None;
        }
        let Awaited { connection, ordinal, .. } = self.awaited.pop_front()?;
        Some((connection, ordinal))
    }
}
