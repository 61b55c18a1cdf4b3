//! A control group of the node, and what is decided of it.

use std::sync::Arc;

use abi::cgroup::Policy;

use crate::{
    event::BootNanos,
    kube::{
        name::{ContainerId, Uid},
        scope::Scope,
        story::Seen,
    },
    loss::Loss,
};

#[derive(Debug)]
pub(super) struct Cgroup {
    pub(super) kind: Kind,
    pub(super) policy: Policy,
    pub(super) gone: Option<BootNanos>,
    /// Nothing more comes of it.
    pub(super) closed: bool,
    /// Processes may run in it that ran before it was traced.
    pub(super) has_old: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Of a class of pods.
    Class,
    Pod(Uid),
    Container {
        pod: Uid,
        id: ContainerId,
        seen: Seen,
        state: State,
        scope: Option<Arc<Scope>>,
    },
    /// Made in a container, by the container.
    Inner(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Undecided,
    Told,
    LeftOut(Loss),
}

impl Cgroup {
    pub(super) fn pod(&self) -> Option<&Uid> {
        match &self.kind {
            Kind::Container { pod, .. } | Kind::Pod(pod) => Some(pod),
            Kind::Class | Kind::Inner(_) => None,
        }
    }

    pub(super) fn is_of(&self, uid: &Uid) -> bool {
        matches!(&self.kind, Kind::Container { pod, .. } if pod == uid)
    }

    /// It is there, and what runs in it is told as the pod's.
    pub(super) fn is_told_of(&self, uid: &Uid) -> bool {
        let is_told =
            matches!(&self.kind, Kind::Container { pod, state: State::Told, .. } if pod == uid);
        is_told && self.gone.is_none()
    }

    /// What was seen of the container, and whether it is gone.
    pub(super) fn of(&self, container: &ContainerId) -> Option<(Seen, bool)> {
        match &self.kind {
            Kind::Container { id, seen, .. } if id == container => {
                Some((*seen, self.gone.is_some()))
            }
            Kind::Container { .. } | Kind::Class | Kind::Pod(_) | Kind::Inner(_) => None,
        }
    }

    /// Something was executed in it.
    pub(super) fn has_run(&self) -> bool {
        matches!(self.kind, Kind::Container { seen: Seen { first: Some(_), .. }, .. })
    }

    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.kind, Kind::Container { state: State::LeftOut(Loss::Unplaced), .. })
    }

    /// `true` once, when nothing is held of it.
    pub(super) fn is_to_close(&mut self) -> bool {
        let is_held = matches!(self.kind, Kind::Container { state: State::Undecided, .. });
        !is_held && !std::mem::replace(&mut self.closed, true)
    }
}
