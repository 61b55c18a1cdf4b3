//! What ended -> spans of containers and pods.

use std::sync::Arc;

use super::{
    Node,
    cgroup::{Cgroup, Kind},
};
use crate::{
    id::TraceId,
    kube::{
        identity::Life, name::Uid, resource::resource, scope::Place, select::Selection, story,
        story::Seen,
    },
    redact::CleanSpan,
};

impl Node {
    /// The spans of a pod and of its containers, of work, when they ended.
    pub(super) fn tell(&mut self, uid: &Uid, out: &mut Vec<CleanSpan>) {
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
                    let given = &self.config.given;
                    let run = story::Run {
                        pod: &pod.meta.uid,
                        container: &instance.id,
                        name: &status.name,
                        resource: Arc::new(resource(pod, Some((status, &instance)), given)),
                        seen,
                        ended: instance.ended,
                    };
                    self.pipeline.tell(story::container(run, trace_id), out);
                }
            }
        }
        let is_over = pod.status.is_over() && !waits;
        let is_deleted = known.deleted.is_some() && !runs;
        if is_deleted {
            // The API says no more of them.
            let is_its = |(_, cgroup): &(&u64, &Cgroup)| cgroup.is_of(uid);
            let its: Vec<u64> = self.cgroups.iter().filter(is_its).map(|(id, _)| *id).collect();
            its.into_iter().for_each(|cgroup_id| self.tell_unsaid(cgroup_id, out));
        }
        if is_over || is_deleted {
            self.tell_pod(uid, trace_id, out);
        }
    }

    fn tell_pod(&mut self, uid: &Uid, trace_id: TraceId, out: &mut Vec<CleanSpan>) {
        let Some(known) = self.pods.get_mut(uid) else { return };
        let Some(pod) = &known.pod else { return };
        if !std::mem::replace(&mut known.pod_told, true) {
            let span = story::pod(pod, known.seen, trace_id, &self.config.given);
            self.pipeline.tell(span, out);
        }
    }

    /// The span of a container that is gone, and of which the API never said how it ended.
    pub(super) fn tell_unsaid(&mut self, cgroup_id: u64, out: &mut Vec<CleanSpan>) {
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
                ended: None,
            };
            self.pipeline.tell(story::container(run, trace_id), out);
        }
    }
}
