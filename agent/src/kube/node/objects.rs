//! What the API tells: pods and namespaces.

use super::{Node, SECOND, known::Known};
use crate::{
    event::BootNanos,
    kube::{
        identity::{container_span_id, pod_span_id},
        name::Uid,
        object::{ContainerStatus, Namespace, Pod},
        story,
    },
    redact::CleanSpan,
    span::UnixNanos,
};

/// What ended longer before the agent began is not told: an agent before this one did.
const OLD: u64 = 60 * SECOND;
/// A static pod's control group is named by the hash of its file.
const STATIC: &str = "kubernetes.io/config.hash";

impl Node {
    /// A pod of this node is there, or changed.
    pub fn pod(&mut self, pod: Pod, out: &mut Vec<CleanSpan>) {
        let uid = cgroup_uid(&pod);
        let known = self.pods.entry(uid.clone()).or_default();
        let is_new = known.pod.is_none();
        known.pod = Some(pod);
        known.deleted = None;
        if is_new {
            self.skip_old(&uid);
        }
        self.decide(&uid, out);
    }

    /// What an agent before this one told is not told again; nor is what ended long before this one began.
    fn skip_old(&mut self, uid: &Uid) {
        let since = self.config.clock.unix(BootNanos(self.config.began.0.saturating_sub(OLD)));
        let Some(known) = self.pods.get_mut(uid) else { return };
        let Some(pod) = &known.pod else { return };
        let mut last = UnixNanos::default();
        for instance in pod.status.containers().flat_map(ContainerStatus::instances) {
            let finished = instance.ended.and_then(|ended| story::unix(ended.finished_at));
            last = last.max(finished.unwrap_or(last));
            let span_id = container_span_id(&pod.meta.uid, &instance.id);
            if finished.is_some_and(|finished| finished < since) || (self.config.was_told)(span_id)
            {
                known.told.insert(instance.id);
            }
        }
        let is_old = pod.status.is_over() && last < since;
        known.pod_told = is_old || (self.config.was_told)(pod_span_id(&pod.meta.uid));
    }

    pub fn pod_deleted(&mut self, pod: &Pod, now: BootNanos, out: &mut Vec<CleanSpan>) {
        let uid = cgroup_uid(pod);
        let known = self.pods.entry(uid.clone()).or_default();
        known.pod = Some(pod.clone());
        known.deleted = Some(now);
        self.decide(&uid, out);
    }

    pub fn namespace(&mut self, name: &str, namespace: Namespace, out: &mut Vec<CleanSpan>) {
        let before = self.namespaces.insert(name.to_owned(), namespace.clone());
        if before.as_ref() == Some(&namespace) {
            return;
        }
        let in_it =
            |known: &&Known| known.pod.as_ref().is_some_and(|pod| pod.meta.namespace == name);
        let uids: Vec<Uid> = self
            .pods
            .iter()
            .filter(|(_, known)| in_it(known))
            .map(|(uid, _)| uid.clone())
            .collect();
        uids.iter().for_each(|uid| self.decide(uid, out));
    }

    /// Its pods are gone before it is.
    pub fn namespace_deleted(&mut self, name: &str) {
        self.namespaces.remove(name);
    }
}

fn cgroup_uid(pod: &Pod) -> Uid {
    pod.meta.annotations.get(STATIC).map_or_else(|| pod.meta.uid.clone(), |hash| Uid(hash.clone()))
}
