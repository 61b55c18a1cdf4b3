//! What is known of a pod.

use std::collections::{HashMap, HashSet};

use super::cgroup::Cgroup;
use crate::{
    event::BootNanos,
    kube::{
        name::ContainerId,
        object::{ContainerStatus, Pod},
        select::Selection,
        story::{Seen, Spent},
    },
};

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) pod: Option<Pod>,
    pub(super) cgroup_id: Option<u64>,
    pub(super) selection: Option<Selection>,
    /// Those whose spans were told.
    pub(super) told: HashSet<ContainerId>,
    pub(super) pod_told: bool,
    pub(super) seen: Seen,
    pub(super) deleted: Option<BootNanos>,
    /// Of its processes and requests.
    pub(super) spans: u64,
    /// It had as many as it gets.
    pub(super) spent: Option<Spent>,
}

impl Known {
    /// Of a container that restarts for ever only the last runs can be named again.
    pub(super) fn forget_told(&mut self, cgroups: &HashMap<u64, Cgroup>) {
        let Some(pod) = &self.pod else { return };
        if self.told.len() <= pod.status.containers().count() {
            return;
        }
        let named: HashSet<ContainerId> = pod
            .status
            .containers()
            .flat_map(ContainerStatus::instances)
            .map(|one| one.id)
            .collect();
        let is_there = |id: &ContainerId| cgroups.values().any(|cgroup| cgroup.of(id).is_some());
        self.told.retain(|id| named.contains(id) || is_there(id));
    }
}
