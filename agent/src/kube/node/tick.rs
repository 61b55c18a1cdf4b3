//! What time alone brings: giving up, and forgetting.

use std::collections::HashSet;

use abi::cgroup::Policy;

use super::{
    Action, Node, SECOND,
    cgroup::{Cgroup, Kind, State},
};
use crate::{
    event::BootNanos,
    kube::{identity::Life, name::Uid, story::Spent},
    loss::Loss,
    redact::CleanSpan,
};

/// How long records of a container wait for the API to say whose they are: longer than it takes to replace an
/// API server, and until its kubelets have told it what happened meanwhile.
const UNDECIDED: u64 = 300 * SECOND;
/// How long what is gone is remembered: what is told of it may come later.
const REMEMBERED: u64 = 300 * SECOND;
/// How long the last records of a container may be under way when its control group is gone.
const LATE: u64 = 2 * SECOND;

impl Node {
    /// Once a second: gives up what nobody explained, and forgets what is long gone.
    pub fn tick(&mut self, now: BootNanos, out: &mut Vec<CleanSpan>) {
        self.now = self.now.max(now);
        self.pipeline.tick(now, out);
        self.spend(out);
        for cgroup_id in self.hold.since(BootNanos(now.0.saturating_sub(UNDECIDED))) {
            self.give_up(cgroup_id);
        }
        let is_past = |time: Option<BootNanos>, wait| {
            time.is_some_and(|time| time.0.saturating_add(wait) < now.0)
        };
        let mut late: Vec<(u64, Option<Uid>)> = Vec::new();
        for (cgroup_id, cgroup) in &mut self.cgroups {
            if is_past(cgroup.gone, LATE) && cgroup.is_to_close() {
                late.push((*cgroup_id, cgroup.pod().cloned()));
            }
        }
        for (cgroup_id, pod) in late {
            self.pipeline.close(cgroup_id, now, out);
            self.processes.retain(|_, container| *container != cgroup_id);
            let Some(pod) = pod else { continue };
            self.tell(&pod, out);
        }
        let forgotten: Vec<u64> = self
            .cgroups
            .iter()
            .filter(|(_, cgroup)| is_past(cgroup.gone, REMEMBERED))
            .map(|(id, _)| *id)
            .collect();
        for cgroup_id in forgotten {
            self.tell_unsaid(cgroup_id, out);
            self.actions.push(Action::ForgetName(cgroup_id));
        }
        self.cgroups.retain(|_, cgroup| !is_past(cgroup.gone, REMEMBERED));
        let remembered: HashSet<&Uid> = self.cgroups.values().filter_map(Cgroup::pod).collect();
        self.pods.retain(|uid, known| {
            remembered.contains(uid) || (known.pod.is_some() && !is_past(known.deleted, REMEMBERED))
        });
        for known in self.pods.values_mut() {
            known.forget_told(&self.cgroups);
        }
    }

    /// Counts the spans of pods that end, and leaves out those beyond what one gets.
    fn spend(&mut self, out: &mut Vec<CleanSpan>) {
        let mut spent: Vec<Uid> = Vec::new();
        for (cgroup_id, spans) in self.pipeline.take_told() {
            let pod = self.cgroups.get(&cgroup_id).and_then(Cgroup::pod);
            let Some((uid, known)) = pod.and_then(|uid| Some((uid, self.pods.get_mut(uid)?)))
            else {
                continue;
            };
            known.spans = known.spans.saturating_add(spans);
            let is_work =
                known.pod.as_ref().is_some_and(|pod| matches!(Life::of(pod), Life::Work(_)));
            let most = self.config.spans_per_pod;
            if is_work && most != 0 && known.spans >= most && known.spent.is_none() {
                let at = self.config.clock.unix(self.now);
                known.spent = Some(Spent { spans: known.spans, at });
                spent.push(uid.clone());
            }
        }
        spent.iter().for_each(|uid| self.decide(uid, out));
    }

    /// Nobody says whose this container is: that of a pod's sandbox, mostly.
    fn give_up(&mut self, cgroup_id: u64) {
        self.lose_held(cgroup_id, Loss::Unplaced);
        self.set_policy(cgroup_id, Policy::IGNORED);
        if let Some(Cgroup { kind: Kind::Container { state, .. }, .. }) =
            self.cgroups.get_mut(&cgroup_id)
        {
            *state = State::LeftOut(Loss::Unplaced);
        }
    }
}
