//! What is known of pods, for people who ask why one is traced or not.

use serde::Serialize;

use super::{
    Node,
    cgroup::{Cgroup, Kind, State},
    known::Known,
};
use crate::kube::{name::Uid, select::Detail};

/// A pod of the node.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodState<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    /// `None` as long as it is not decided.
    pub traced: Option<bool>,
    /// Who said it.
    pub by: Option<&'static str>,
    pub detail: Option<&'static str>,
    /// Of its processes and requests, that were told.
    pub spans: u64,
    /// It had as many as it gets.
    pub spent: bool,
    pub containers: Vec<ContainerState<'a>>,
}

/// A container of which the control group is there, or was a short while ago.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState<'a> {
    /// `None` as long as the API did not name it.
    pub name: Option<&'a str>,
    pub id: &'a str,
    pub cgroup_id: u64,
    /// `undecided`, `told`, or the reason for which it is not, as the loss is called.
    pub state: &'static str,
    pub runs: bool,
}

impl Node {
    /// All pods, in the order of their namespaces and names.
    pub fn describe(&self) -> Vec<PodState<'_>> {
        let mut all: Vec<_> =
            self.pods.iter().map(|(uid, known)| self.pod_state(uid, known)).collect();
        all.sort_unstable_by_key(|pod| (pod.namespace, pod.name, pod.uid));
        all
    }

    fn pod_state<'a>(&'a self, uid: &'a Uid, known: &'a Known) -> PodState<'a> {
        let meta = known.pod.as_ref().map(|pod| &pod.meta);
        let mut containers: Vec<_> = (self.cgroups.iter())
            .filter(|(_, cgroup)| cgroup.is_of(uid))
            .filter_map(|(id, cgroup)| container_state(*id, cgroup))
            .collect();
        containers.sort_unstable_by_key(|container| container.cgroup_id);
        PodState {
            namespace: meta.map_or("", |meta| &meta.namespace),
            name: meta.map_or("", |meta| &meta.name),
            uid: &uid.0,
            traced: known.selection.map(|selection| selection.traced),
            by: known.selection.map(|selection| selection.by),
            detail: known.selection.map(|selection| detail(selection.detail)),
            spans: known.spans,
            spent: known.spent.is_some(),
            containers,
        }
    }
}

fn container_state(cgroup_id: u64, cgroup: &Cgroup) -> Option<ContainerState<'_>> {
    let Kind::Container { id, state, scope, .. } = &cgroup.kind else { return None };
    let state = match state {
        State::Undecided => "undecided",
        State::Told => "told",
        State::LeftOut(why) => why.name(),
    };
    let name = scope.as_ref().map(|scope| scope.name.as_str());
    Some(ContainerState { name, id: &id.0, cgroup_id, state, runs: cgroup.gone.is_none() })
}

fn detail(detail: Detail) -> &'static str {
    match detail {
        Detail::Steps => "steps",
        Detail::Processes => "processes",
        Detail::Requests => "requests",
        Detail::All => "all",
    }
}

#[cfg(test)]
mod tests {
    use crate::kube::node::tests::{CONTAINER, ID, Labelled, Made, Step, play, pod};

    #[test]
    fn a_pod_says_why_it_is_traced() {
        let played = play(vec![Labelled("enabled"), Step::Pod(pod(Some(ID), None)), Made]);
        let [pod] = &played.node.describe()[..] else { panic!("not one pod") };
        assert_eq!((pod.namespace, pod.name, pod.traced), ("jobs", "one-x", Some(true)));
        assert_eq!((pod.by, pod.detail), (Some("label of the namespace"), Some("all")));
        let [container] = &pod.containers[..] else { panic!("not one container") };
        let found = (container.name, container.cgroup_id, container.state, container.runs);
        assert_eq!(found, (Some("main"), CONTAINER, "told", true));
        assert_eq!(serde_json::to_value(pod).unwrap()["containers"][0]["cgroupId"], 7);
    }

    #[test]
    fn what_is_not_known_yet_is_not_said() {
        let played = play(vec![Made]);
        let [pod] = &played.node.describe()[..] else { panic!("not one pod") };
        assert_eq!((pod.name, pod.traced, pod.by), ("", None, None));
        assert_eq!(pod.containers[0].state, "undecided");
    }
}
