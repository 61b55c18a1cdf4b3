//! The parts of pods and namespaces that spans need; what else there is is not kept.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::name::{ContainerId, Uid};

pub type Map = BTreeMap<String, String>;

/// Of `metadata`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meta {
    pub uid: Uid,
    pub name: String,
    pub namespace: String,
    pub labels: Map,
    pub annotations: Map,
    /// The one that controls it.
    pub owner: Option<Owner>,
    pub created: Option<jiff::Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub kind: String,
    pub name: String,
    pub uid: Uid,
}

/// A pod of this node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pod {
    pub meta: Meta,
    pub spec: PodSpec,
    pub status: PodStatus,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub restart_policy: String,
    pub node_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    pub phase: String,
    pub reason: Option<String>,
    pub start_time: Option<jiff::Timestamp>,
    pub init_container_statuses: Vec<ContainerStatus>,
    pub container_statuses: Vec<ContainerStatus>,
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    pub name: String,
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
    pub image: String,
    pub restart_count: u32,
    pub state: State,
    pub last_state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    pub terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    pub exit_code: i32,
    pub signal: Option<i32>,
    pub reason: Option<String>,
    pub started_at: Option<jiff::Timestamp>,
    pub finished_at: Option<jiff::Timestamp>,
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
}

/// A namespace: what it says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Namespace {
    pub labels: Map,
}

impl PodStatus {
    /// Of all kinds of containers.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        let init = self.init_container_statuses.iter();
        init.chain(&self.container_statuses).chain(&self.ephemeral_container_statuses)
    }

    /// Nothing of it runs any more, and nothing will.
    pub fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }
}

impl ContainerStatus {
    /// Its containers that are known: the one that it is, and the one before, where they ended how; the
    /// earlier has the lower number of restarts.
    pub fn instances(&self) -> impl Iterator<Item = Instance<'_>> {
        let id = |text: Option<&String>| text.and_then(|text| ContainerId::of_status(text));
        let now = id(self.container_id.as_ref()).map(|id| {
            let ended = self.state.terminated.as_ref();
            // While it waits for its next start the id is that of the one before.
            let last = self.last_state.terminated.as_ref();
            let last = last.filter(|last| same(last, &id));
            Instance { id, restarts: self.restart_count, ended: ended.or(last) }
        });
        let last = self.last_state.terminated.as_ref();
        let before = last.and_then(|ended| {
            let id = id(ended.container_id.as_ref())?;
            let is_another = self.container_id.as_deref().and_then(ContainerId::of_status)?;
            let restarts = self.restart_count.saturating_sub(1);
            (is_another != id).then_some(Instance { id, restarts, ended: Some(ended) })
        });
        before.into_iter().chain(now)
    }
}

fn same(ended: &Terminated, id: &ContainerId) -> bool {
    ended.container_id.as_deref().and_then(ContainerId::of_status).as_ref() == Some(id)
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance<'a> {
    pub id: ContainerId,
    pub restarts: u32,
    pub ended: Option<&'a Terminated>,
}
