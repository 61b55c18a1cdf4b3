//! What is of a container: where it stands where no other span is above it, and whether it is wanted.

use std::{collections::HashSet, mem, sync::Arc};

use super::{Correlator, Entered, Known, Placement, process_span_id};
use crate::{
    event::{BootNanos, Connection, Exec, Exit, Role, TaskId},
    id::SpanId,
    kube::scope::{Place, Scope},
    loss::Loss,
};

/// A process of a service that runs for longer is taken for one that does not end by itself: what it asks
/// is not shown below it, nanoseconds.
const LONG: u64 = 60_000_000_000;

/// What a span tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Process,
    Request,
}

impl Correlator {
    /// Where the span of a process stands that was started by another, or by nobody who is known.
    pub(super) fn started(
        &self,
        exec: &Exec<'_>,
        scope: Option<Arc<Scope>>,
        span_id: SpanId,
    ) -> Placement {
        let parent = exec.parent;
        let Some(scope) = scope else { return self.below(parent, span_id) };
        match self.known.get(&parent) {
            // It will not end before the service does: nobody could wait for its span.
            Some(known) if known.is_resident => Placement::top_of(&scope, span_id),
            Some(_) => Placement { scope: Some(scope), ..self.below(parent, span_id) },
            None if exec.time < self.since => self.below_unknown(parent, &scope, span_id),
            None => Placement::top_of(&scope, span_id),
        }
    }

    /// Below a process whose exec another agent was told of. Whoever is told of its end tells it.
    fn below_unknown(&self, above: TaskId, scope: &Arc<Scope>, span_id: SpanId) -> Placement {
        let top = Placement::top_of(scope, span_id);
        match scope.place {
            Place::Work { .. } if above != TaskId::ROOT => {
                Placement { parent: Some(process_span_id(&self.boot_id, above)), ..top }
            }
            Place::Work { .. } | Place::Service => top,
        }
    }

    /// Another agent was told of what happened before.
    pub fn goes_on(&mut self, since: BootNanos) {
        self.since = since;
    }

    /// Where the span of a process stands of which only its end is known, below `above`.
    pub(super) fn without_exec(&self, exit: &Exit, above: TaskId) -> Placement {
        let span_id = process_span_id(&self.boot_id, exit.process);
        let cgroup_id = self.inner.get(&exit.cgroup_id).copied().unwrap_or(exit.cgroup_id);
        match (self.known.get(&above), self.scope_at(cgroup_id)) {
            (Some(known), Some(scope)) if known.is_resident && exit.owner == exit.process => {
                Placement::top_of(&scope, span_id)
            }
            (None, Some(scope)) => self.below_unknown(above, &scope, span_id),
            (Some(_), _) | (None, None) => self.below(above, span_id),
        }
    }

    pub(super) fn scope_at(&self, cgroup_id: u64) -> Option<Arc<Scope>> {
        self.scopes.get(&cgroup_id).map(|one| Arc::clone(&one.scope))
    }

    /// A container is there, or what is known of it changed.
    pub fn scope(&mut self, scope: Arc<Scope>) {
        match self.scopes.get_mut(&scope.cgroup_id) {
            Some(known) => known.scope = scope,
            None => {
                self.scopes.insert(scope.cgroup_id, Entered { scope, is_entered: false, told: 0 });
            }
        }
    }

    /// From here on what is of no container is not told.
    pub fn tell_containers_only(&mut self) {
        self.containers_only = true;
    }

    /// A container made a control group for itself.
    pub fn within(&mut self, inner: u64, container: u64) {
        self.inner.insert(inner, container);
    }

    /// A container is gone, or no longer wanted. Nothing of it is told from here on.
    pub fn close(&mut self, cgroup_id: u64) {
        self.scopes.remove(&cgroup_id);
        self.inner.retain(|_, container| *container != cgroup_id);
        self.known.retain(|_, known| !known.is_of(cgroup_id));
        let known = &self.known;
        self.ended.retain(|ended| known.contains_key(ended));
    }

    /// The processes of a container that are known.
    pub fn owners(&self, cgroup_id: u64) -> HashSet<TaskId> {
        let its = self.known.iter().filter(|(_, known)| known.is_of(cgroup_id));
        its.map(|(process, _)| *process).collect()
    }

    /// Why a span is not wanted. One that is is counted for its container.
    pub fn left_out(&mut self, placement: &Placement, of: Of) -> Option<Loss> {
        let Some(scope) = placement.scope.as_ref() else {
            return self.containers_only.then_some(Loss::Unplaced);
        };
        let Some(current) = self.scopes.get_mut(&scope.cgroup_id) else {
            return Some(Loss::NotSelected);
        };
        let is_wanted = match of {
            // As it was when the process began: by now it may be above others.
            Of::Process => scope.detail.has_processes(),
            Of::Request => current.scope.detail.has_requests(),
        };
        current.told += u64::from(is_wanted);
        (!is_wanted).then_some(Loss::LeftOut)
    }

    /// The spans that were wanted since this was asked last, of each container.
    pub fn take_told(&mut self) -> impl Iterator<Item = (u64, u64)> {
        let told = |(cgroup_id, one): (&u64, &mut Entered)| (*cgroup_id, mem::take(&mut one.told));
        self.scopes.iter_mut().map(told).filter(|(_, told)| *told > 0)
    }

    /// Where the span of what a process asks by itself stands.
    pub(super) fn asked(&self, owner: TaskId, span_id: SpanId, at: BootNanos) -> Placement {
        let Some((known, scope)) = self.service(owner) else { return self.below(owner, span_id) };
        let is_old = at.0.saturating_sub(known.since.0) > LONG;
        if known.is_resident || is_old || !scope.detail.has_processes() {
            Placement::top_of(scope, span_id)
        } else {
            self.below(owner, span_id)
        }
    }

    /// Whether a client's exchanges have spans.
    pub(super) fn tells_requests(&self, owner: TaskId) -> bool {
        let scope = self.known.get(&owner).and_then(|known| known.placement.scope.as_ref());
        match scope.and_then(|scope| self.scopes.get(&scope.cgroup_id)) {
            Some(current) => current.scope.detail.has_requests(),
            None => !self.containers_only,
        }
    }

    /// The process is one of a service.
    pub(super) fn service(&self, owner: TaskId) -> Option<(&Known, &Arc<Scope>)> {
        let known = self.known.get(&owner)?;
        let scope = known.placement.scope.as_ref()?;
        (scope.place == Place::Service).then_some((known, scope))
    }

    /// A process has a connection over which HTTP is spoken.
    pub fn connected(&mut self, connection: &Connection) {
        if connection.role == Role::Server
            && let Some(known) = self.known.get_mut(&connection.owner)
        {
            known.serves = true;
        }
    }

    pub(super) fn scope_of(&self, owner: TaskId) -> Option<Arc<Scope>> {
        self.known.get(&owner)?.placement.scope.clone()
    }
}

impl Known {
    fn is_of(&self, cgroup_id: u64) -> bool {
        self.placement.scope.as_ref().is_some_and(|scope| scope.cgroup_id == cgroup_id)
    }
}
