//! The ledger: received = exported + held + lost(reason), in records of the kernel.

use crate::{
    decode::DecodeError,
    event::{Beyond, CloseReason, Closed, Head},
    protocol::http2,
};

/// Every way in which a record can fail to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Kernel: the ring had no room.
    RingFull,
    /// Kernel: a fork found no room among the traced processes; the child is not traced.
    TasksFull,
    /// Kernel: a probe did not run, because it already ran on that CPU.
    Missed,
    /// The record's version is not this build's.
    Version,
    /// The record's kind or a field of it is unknown.
    Unknown,
    /// The record's length is not what its fields say.
    Length,
    /// Parts of an exec whose exec never came, or that did not follow each other.
    ChunkOrphaned,
    /// More processes run than are kept track of.
    TableFull,
    /// Kernel: a connection found no room; what was said on it was not seen.
    ConnectionsFull,
    /// Kernel: programs that were executed beyond what their pod gets in a second, and ends of forks.
    Limited,
    /// Kernel: programs that were executed in containers while no agent had read the ring for a minute.
    Unread,
    /// Heads and ends of messages that go with no exchange: what they belong to was not seen.
    Unpaired,
    /// A request that carried a trace context: the program that made it reports it itself.
    Instrumented,
    /// The sampler said no.
    SampledOut,
    /// A request beyond those that a process, or its pod, gets spans for in one second.
    OverBudget,
    /// Of a container that is not selected, or is no longer.
    NotSelected,
    /// Of a container of which nobody said in time whose it is: a pod's sandbox, mostly.
    Unplaced,
    /// Of a container of which nobody had said yet whose it is, when there was no room for more.
    HoldFull,
    /// Of what is not wanted in such detail.
    LeftOut,
    /// Of what was not over when the agent ended: the next one takes it up, and tells all but this.
    HandedOver,
}

impl Loss {
    pub const ALL: [Self; 20] = [
        Self::RingFull,
        Self::TasksFull,
        Self::Missed,
        Self::Version,
        Self::Unknown,
        Self::Length,
        Self::ChunkOrphaned,
        Self::TableFull,
        Self::ConnectionsFull,
        Self::Limited,
        Self::Unread,
        Self::Unpaired,
        Self::Instrumented,
        Self::SampledOut,
        Self::OverBudget,
        Self::NotSelected,
        Self::Unplaced,
        Self::HoldFull,
        Self::LeftOut,
        Self::HandedOver,
    ];

    /// As metrics and the last line of `run` name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::TasksFull => "tasks_full",
            Self::Missed => "missed",
            Self::Version => "version",
            Self::Unknown => "unknown",
            Self::Length => "length",
            Self::ChunkOrphaned => "chunk_orphaned",
            Self::TableFull => "table_full",
            Self::ConnectionsFull => "connections_full",
            Self::Limited => "limited",
            Self::Unread => "unread",
            Self::Unpaired => "unpaired",
            Self::Instrumented => "instrumented",
            Self::SampledOut => "sampled_out",
            Self::OverBudget => "over_budget",
            Self::NotSelected => "not_selected",
            Self::Unplaced => "unplaced",
            Self::HoldFull => "hold_full",
            Self::LeftOut => "left_out",
            Self::HandedOver => "handed_over",
        }
    }
}

/// Counts of records. `received == exported + held + lost()`, where `held` is asked of the pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    pub received: u64,
    /// In spans, or of a connection that is over and whose spans were told or that had none.
    pub exported: u64,
    lost: [u64; Loss::ALL.len()],
    /// Trace contexts in an environment that were no valid context: ignored, and no record lost.
    pub malformed_contexts: u64,
    /// Requests without a span, because their process made or served more in one second than get one.
    /// Of most the kernel side made no record.
    pub requests_beyond: u64,
    /// Of the frames in records that arrived: what could not be used, and why.
    pub http2: http2::Counts,
    /// Of connections: what the kernel side did not follow, and no record lost.
    pub unfollowed: Unfollowed,
}

/// What the kernel side did not follow, and said so in a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unfollowed {
    /// Heads of HTTP/1 of which only the beginning reaches user space.
    pub heads_cut: u64,
    /// Connections whose bytes stopped being what they should be, or could not be looked at.
    pub connections_out_of_step: u64,
}

impl Unfollowed {
    pub fn head(&mut self, head: &Head<'_>) {
        self.heads_cut += u64::from(head.is_cut);
    }

    /// Of one that spoke HTTP: what began alike, and was something else, has nothing to follow.
    pub fn closed(&mut self, closed: &Closed) {
        let is_out_of_step = closed.reason == CloseReason::OutOfStep;
        self.connections_out_of_step += u64::from(is_out_of_step);
    }

    /// By the name that it is told under.
    pub fn reasons(&self) -> [(&'static str, u64); 2] {
        [("heads_cut", self.heads_cut), ("connections_out_of_step", self.connections_out_of_step)]
    }
}

impl Ledger {
    pub fn lose(&mut self, reason: Loss, records: u64) {
        if let Some(count) = self.lost.get_mut(reason as usize) {
            *count = count.saturating_add(records);
        }
    }

    /// Adds records that were lost before they were received, as the kernel counted them.
    pub fn lose_in_kernel(&mut self, reason: Loss, records: u64) {
        self.received = self.received.saturating_add(records);
        self.lose(reason, records);
    }

    /// Requests of a process that have no span.
    pub fn go_beyond(&mut self, beyond: &Beyond) {
        let requests = beyond.ways.iter().map(|way| u64::from(way.requests)).sum();
        self.requests_beyond = self.requests_beyond.saturating_add(requests);
    }

    pub fn lost(&self, reason: Loss) -> u64 {
        self.lost.get(reason as usize).copied().unwrap_or_default()
    }

    pub fn lost_in_all(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// The reasons for which something was lost.
    pub fn losses(&self) -> impl Iterator<Item = (Loss, u64)> {
        Loss::ALL.into_iter().map(|loss| (loss, self.lost(loss))).filter(|(_, count)| *count > 0)
    }

    /// The equation.
    pub fn balances(&self, held: u64) -> bool {
        self.received == self.exported + held + self.lost_in_all()
    }
}

impl From<DecodeError> for Loss {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Short | DecodeError::Long => Self::Length,
            DecodeError::Version(_) => Self::Version,
            DecodeError::Kind(_)
            | DecodeError::Part(_)
            | DecodeError::Role(_)
            | DecodeError::Family(_)
            | DecodeError::Path(_)
            | DecodeError::Way(_)
            | DecodeError::Counted(_)
            | DecodeError::Reason(_) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count() {
        let mut ledger = Ledger::default();
        for (index, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, index);
            ledger.lose_in_kernel(loss, 1);
        }
        assert_eq!(ledger.losses().count(), Loss::ALL.len());
        assert!(ledger.balances(0));
        assert!(!ledger.balances(1));
    }
}
