//! What the agent tells the pipeline of containers, beside their records.

use std::sync::Arc;

use super::Pipeline;
use crate::{
    clock::Clock,
    correlate::Of,
    event::{Beyond, BootNanos, Connection, Event, Role, TaskId},
    exchange::Exchanges,
    gather::Gather,
    kube::scope::Scope,
    loss::Loss,
    redact::CleanSpan,
    span::Span,
};

impl Pipeline {
    /// From here on what is of no container is not told.
    pub fn tell_containers_only(&mut self) {
        self.correlator.tell_containers_only();
    }

    /// A container made a control group for itself.
    pub fn within(&mut self, inner: u64, container: u64) {
        self.correlator.within(inner, container);
    }

    /// The record of a client is held: it is taken later, or [`Self::give_up`] says that it never is.
    pub fn hold(&mut self, event: &Event<'_>) {
        if let Event::Connection(client @ Connection { role: Role::Client, .. }) = event {
            self.exchanges.hold_client(client);
        }
    }

    pub fn give_up(&mut self, event: &Event<'_>) {
        if let Event::Connection(client) = event {
            self.exchanges.give_up_client(client);
        }
    }

    /// An exec of the process will not come: what came of it before is lost.
    pub fn forget_exec(&mut self, process: TaskId) {
        let orphaned = self.gather.exit(process).0;
        self.ledger.lose(Loss::ChunkOrphaned, u64::from(orphaned));
    }

    /// Another agent was told of what happened before.
    pub fn goes_on(&mut self, since: BootNanos) {
        self.correlator.goes_on(since);
    }

    /// Whether the process runs and has a span.
    pub fn knows(&self, process: TaskId) -> bool {
        self.assembler.knows(process)
    }

    /// What runs in a control group is of this container.
    pub fn scope(&mut self, scope: Arc<Scope>) {
        self.correlator.scope(scope);
    }

    /// The container with this control group is gone, and so are its processes.
    pub fn close(&mut self, cgroup_id: u64, now: BootNanos, out: &mut Vec<CleanSpan>) {
        let owners = self.correlator.owners(cgroup_id);
        for (owner, beyond) in self.exchanges.stop_beyond(&owners) {
            self.beyond(owner, &beyond);
        }
        for (placement, span) in self.assembler.close(cgroup_id, now) {
            let left_out = self.correlator.left_out(&placement, Of::Process);
            self.complete_unless(left_out, span, out);
        }
        self.correlator.close(cgroup_id);
    }

    /// Nothing more of the container with this control group is wanted. What is open is told as it is: it
    /// may be above what was told before.
    pub fn stop(&mut self, cgroup_id: u64, now: BootNanos, out: &mut Vec<CleanSpan>) {
        let owners = self.correlator.owners(cgroup_id);
        let released = self.exchanges.stop(&owners, now, &mut self.told);
        self.told(released, out);
        for (owner, beyond) in self.exchanges.stop_beyond(&owners) {
            self.beyond(owner, &beyond);
        }
        for (placement, span) in self.assembler.stop(cgroup_id, now) {
            let left_out = self.correlator.left_out(&placement, Of::Process);
            self.complete_unless(left_out, span, out);
        }
        self.correlator.close(cgroup_id);
    }

    /// Requests of a process that have no span, and of which no record will say so.
    pub fn beyond(&mut self, owner: TaskId, beyond: &Beyond) {
        self.ledger.go_beyond(beyond);
        self.assembler.beyond(owner, beyond);
    }

    /// The spans that were told since this was asked last, of each container by its control group.
    pub fn take_told(&mut self) -> impl Iterator<Item = (u64, u64)> {
        self.correlator.take_told()
    }

    /// The time of day was set, or crept away from the time since boot.
    pub fn set_clock(&mut self, clock: Clock) {
        self.assembler.set_clock(clock);
    }

    /// Nothing comes any more, and somebody else goes on with what is not over: it is not told.
    pub fn leave(&mut self) {
        let held = self.held();
        self.gather = Gather::default();
        self.exchanges = Exchanges::default();
        self.assembler.leave();
        self.ledger.lose(Loss::HandedOver, held);
    }

    /// A span that comes of no record.
    pub fn tell(&mut self, span: Span, out: &mut Vec<CleanSpan>) {
        self.complete(span, out);
    }
}
