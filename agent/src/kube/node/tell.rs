//! What ended -> spans of containers and pods.

use std::{collections::HashMap, sync::Arc};

use super::{
    Action, Config, Node,
    cgroup::{Cgroup, Kind},
};
use crate::{
    id::TraceId,
    kube::{
        identity::Life,
        name::{ContainerId, Uid},
        resource::resource,
        scope::Place,
        select::Selection,
        story::{self, Limited, Seen},
    },
    pipeline::Pipeline,
    redact::CleanSpan,
    span::{Span, UnixNanos},
};

impl Node {
    /// The spans of a pod and of its containers, of work, when they ended.
    pub(super) fn tell(&mut self, uid: &Uid, out: &mut Vec<CleanSpan>) {
        if !self.has_begun {
            return;
        }
        let Some(known) = self.pods.get_mut(uid) else { return };
        let Some(pod) = &known.pod else { return };
        let Some(Selection { traced: true, .. }) = known.selection else { return };
        let Life::Work(trace_id) = Life::of(pod) else { return };
        let runs = self.cgroups.values().any(|cgroup| cgroup.is_of(uid) && cgroup.gone.is_none());
        let mut waits = false;
        for status in pod.status.containers() {
            for instance in status.instances().filter(|instance| instance.ended.is_some()) {
                let cgroup = self.cgroups.values().find_map(|cgroup| cgroup.of(&instance.id));
                let (seen, is_gone) = cgroup.unwrap_or_else(|| (Seen::default(), true));
                if !is_gone {
                    waits = true;
                } else if known.told.insert(instance.id.clone()) {
                    known.seen.take(seen);
                    let wanted = &self.config.wanted;
                    let run = story::Run {
                        pod: &pod.meta.uid,
                        container: &instance.id,
                        name: &status.name,
                        resource: Arc::new(resource(pod, Some((status, &instance)), wanted)),
                        seen,
                        end: instance.ended.map_or(story::End::Unsaid, story::End::Said),
                        limited: limited(&self.cgroups, &self.config, &instance.id),
                    };
                    let span = story::container(run, trace_id);
                    told(&mut self.actions, &mut self.pipeline, span, out);
                }
            }
        }
        // One that ran while nobody heard the API may be named by none of its states.
        let runs_unnamed = self.cgroups.values().any(|cgroup| cgroup.is_told_of(uid));
        let is_over = pod.status.is_over() && !waits && !runs_unnamed;
        let is_deleted = known.deleted.is_some() && !runs;
        if is_over || is_deleted {
            // The API says no more of them.
            let is_its = |(_, cgroup): &(&u64, &Cgroup)| cgroup.is_of(uid);
            let its: Vec<u64> = self.cgroups.iter().filter(is_its).map(|(id, _)| *id).collect();
            its.into_iter().for_each(|cgroup_id| self.tell_unsaid(cgroup_id, out));
            self.tell_pod(uid, trace_id, None, out);
        }
    }

    /// Unless it was. `left` is when, where it runs on.
    fn tell_pod(
        &mut self,
        uid: &Uid,
        trace_id: TraceId,
        left: Option<UnixNanos>,
        out: &mut Vec<CleanSpan>,
    ) {
        let Some(known) = self.pods.get_mut(uid) else { return };
        let Some(pod) = &known.pod else { return };
        if !std::mem::replace(&mut known.pod_told, true) {
            let run = story::PodRun { pod, seen: known.seen, left, spent: known.spent };
            let span = story::pod(run, trace_id, &self.config.wanted);
            told(&mut self.actions, &mut self.pipeline, span, out);
        }
    }

    /// The pod is not traced any more: spans of it and of its containers, which those that were told are
    /// below.
    pub(super) fn leave(&mut self, uid: &Uid, out: &mut Vec<CleanSpan>) {
        let now = self.config.clock.unix(self.now);
        let its = self.cgroups.iter().filter(|(_, cgroup)| cgroup.is_of(uid) && cgroup.has_run());
        let its: Vec<_> = its.map(|(id, cgroup)| (*id, cgroup.gone.is_some())).collect();
        for (cgroup_id, is_gone) in its {
            let end = if is_gone { story::End::Unsaid } else { story::End::Left(now) };
            self.tell_run(cgroup_id, end, out);
        }
        let Some(known) = self.pods.get(uid) else { return };
        let life = known.pod.as_ref().map(Life::of);
        if let Some(Life::Work(trace_id)) = life
            && !known.told.is_empty()
        {
            self.tell_pod(uid, trace_id, Some(now), out);
        }
    }

    /// The span of a container that is gone, and of which the API never said how it ended.
    pub(super) fn tell_unsaid(&mut self, cgroup_id: u64, out: &mut Vec<CleanSpan>) {
        self.tell_run(cgroup_id, story::End::Unsaid, out);
    }

    fn tell_run(&mut self, cgroup_id: u64, end: story::End<'_>, out: &mut Vec<CleanSpan>) {
        let Some(Cgroup {
            kind: Kind::Container { pod: uid, scope: Some(scope), seen, .. }, ..
        }) = self.cgroups.get(&cgroup_id)
        else {
            return;
        };
        let Place::Work { trace_id, .. } = scope.place else { return };
        let Some(known) = self.pods.get_mut(uid) else { return };
        let Some(pod) = &known.pod else { return };
        if known.told.insert(scope.container.clone()) {
            known.seen.take(*seen);
            let run = story::Run {
                pod: &pod.meta.uid,
                container: &scope.container,
                name: &scope.name,
                resource: Arc::clone(&scope.resource),
                seen: *seen,
                end,
                limited: limited(&self.cgroups, &self.config, &scope.container),
            };
            let span = story::container(run, trace_id);
            told(&mut self.actions, &mut self.pipeline, span, out);
        }
    }
}

fn told(actions: &mut Vec<Action>, pipeline: &mut Pipeline, span: Span, out: &mut Vec<CleanSpan>) {
    actions.push(Action::Told(span.span_id));
    pipeline.tell(span, out);
}

/// Of the container's own control group, and of those within.
fn limited(cgroups: &HashMap<u64, Cgroup>, config: &Config, container: &ContainerId) -> Limited {
    let is_its = |cgroup: &Cgroup| cgroup.of(container).is_some();
    let of = |(id, cgroup): (&u64, &Cgroup)| match cgroup.kind {
        Kind::Inner(outer) if cgroups.get(&outer).is_some_and(is_its) => (config.limited)(*id),
        Kind::Container { .. } if is_its(cgroup) => (config.limited)(*id),
        Kind::Class | Kind::Pod(_) | Kind::Inner(_) | Kind::Container { .. } => Limited::default(),
    };
    cgroups.iter().map(of).fold(Limited::default(), Limited::and)
}
