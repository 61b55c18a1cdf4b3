//! Pods, namespaces and control groups -> whether a container is traced, and as what.

use std::sync::Arc;

use abi::cgroup::Policy;

use super::{
    Action, Node,
    cgroup::{Cgroup, Kind, State},
};
use crate::{
    kube::{
        hold,
        identity::{Life, container_span_id},
        name::{ContainerId, Uid},
        object::{ContainerStatus, Instance, Pod},
        resource::resource,
        scope::{Place, Scope},
        select::{Detail, Selection, selection},
    },
    loss::Loss,
    redact::CleanSpan,
};

impl Node {
    /// Decides what can be decided of a pod, and tells what can be told.
    pub(super) fn decide(&mut self, uid: &Uid, out: &mut Vec<CleanSpan>) {
        let Some(known) = self.pods.get_mut(uid) else { return };
        let Some(pod) = &known.pod else { return };
        let Some(namespace) = self.namespaces.get(&pod.meta.namespace) else {
            // It may be gone before its last pod is.
            return self.tell(uid, out);
        };
        let mut selected = selection(pod, namespace, self.config.unsaid);
        if known.spent.is_some() {
            selected.detail = Detail::Steps;
        }
        let before = known.selection.replace(selected);
        let is_left = !selected.traced && before.is_some_and(|before| before.traced);
        let is_followed = selected.traced && selected.detail != Detail::Steps;
        let policy = if is_followed { Policy::TRACED } else { Policy::IGNORED };
        let pod_cgroup = known.cgroup_id;
        let cgroups = self.cgroups_of(uid, pod_cgroup);
        let mut held = Vec::new();
        for cgroup_id in cgroups {
            self.set_policy(cgroup_id, policy);
            held.extend(self.decide_container(cgroup_id, uid, selected, out));
        }
        // In the order in which they came: containers of a pod talk with each other.
        held.sort_unstable_by_key(|(place, _)| *place);
        for (_, record) in held {
            self.pipeline.take(&record, out);
        }
        if is_left {
            self.leave(uid, out);
        }
        self.tell(uid, out);
    }

    pub(super) fn set_policy(&mut self, cgroup_id: u64, policy: Policy) {
        let Some(cgroup) = self.cgroups.get_mut(&cgroup_id) else { return };
        // A container that nobody knows stays what it is: see `give_up`.
        if cgroup.gone.is_some() || cgroup.policy == policy || cgroup.is_given_up() {
            return;
        }
        let before = std::mem::replace(&mut cgroup.policy, policy);
        self.actions.push(Action::Policy(cgroup_id, policy));
        if policy == Policy::TRACED && (before == Policy::IGNORED || cgroup.has_old) {
            cgroup.has_old = true;
            self.actions.push(Action::TakeUp);
        } else if policy == Policy::IGNORED {
            self.actions.push(Action::Disown(cgroup_id));
        }
    }

    /// The pod's own, those of its containers, and what those made for themselves.
    fn cgroups_of(&self, uid: &Uid, pod: Option<u64>) -> Vec<u64> {
        let is_container = |id: &u64| self.cgroups.get(id).is_some_and(|cgroup| cgroup.is_of(uid));
        let is_its = |(id, cgroup): &(&u64, &Cgroup)| match &cgroup.kind {
            Kind::Container { .. } => is_container(id),
            Kind::Inner(container) => is_container(container),
            Kind::Class | Kind::Pod(_) => false,
        };
        let within = self.cgroups.iter().filter(is_its).map(|(id, _)| *id);
        pod.into_iter().chain(within).collect()
    }

    /// Gives what was held of the container and is to be told now.
    pub(super) fn decide_container(
        &mut self,
        cgroup_id: u64,
        uid: &Uid,
        selected: Selection,
        out: &mut Vec<CleanSpan>,
    ) -> Vec<hold::Record> {
        let pod = self.pods.get(uid).and_then(|known| known.pod.as_ref());
        let cgroup = self.cgroups.get_mut(&cgroup_id);
        let (
            Some(pod),
            Some(Cgroup {
                kind: Kind::Container { id, state, scope, .. }, policy, has_old, ..
            }),
        ) = (pod, cgroup)
        else {
            return Vec::new();
        };
        if !selected.traced || selected.detail == Detail::Steps {
            if *state == State::Told {
                self.pipeline.stop(cgroup_id, self.now, out);
            }
            *state = State::LeftOut(Loss::NotSelected);
            self.lose_held(cgroup_id, Loss::NotSelected);
            return Vec::new();
        }
        let Some((status, instance)) = find(pod, id) else { return Vec::new() };
        if *state == State::LeftOut(Loss::Unplaced) {
            // The API names it after all, and it was ignored meanwhile.
            (*policy, *has_old) = (Policy::TRACED, true);
            self.actions.push(Action::Policy(cgroup_id, Policy::TRACED));
        }
        let place = match Life::of(pod) {
            Life::Work(trace_id) => {
                Place::Work { trace_id, container: container_span_id(&pod.meta.uid, id) }
            }
            Life::Service => Place::Service,
        };
        let found = Arc::new(Scope {
            cgroup_id,
            container: id.clone(),
            name: status.name.clone(),
            place,
            detail: selected.detail,
            resource: Arc::new(resource(pod, Some((status, &instance)), &self.config.wanted)),
        });
        // Spans that are under way keep what they have.
        if scope.as_ref() != Some(&found) || *state != State::Told {
            *scope = Some(Arc::clone(&found));
            self.pipeline.scope(found);
        }
        if std::mem::replace(state, State::Told) != State::Told && *has_old {
            self.actions.push(Action::TakeUp);
        }
        self.hold.take(cgroup_id)
    }
}

/// The container with this id, among those that the pod has or had.
fn find<'a>(pod: &'a Pod, id: &ContainerId) -> Option<(&'a ContainerStatus, Instance<'a>)> {
    pod.status.containers().find_map(|status| {
        let instance = status.instances().find(|instance| instance.id == *id)?;
        Some((status, instance))
    })
}
