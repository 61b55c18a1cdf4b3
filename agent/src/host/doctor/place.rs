//! Whether an agent is meant to run where this runs: what it lacks is a failure there, and news elsewhere.

use std::path::Path;

use super::Verdict;
use crate::host::{cgroups, config};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// As the chart makes it: it is told its node, or has the host's control groups.
    PodOfAgent,
    Elsewhere,
}

impl Place {
    pub(super) fn find() -> Self {
        let is_told = node_name().is_some() || Path::new(cgroups::ROOT_IN_POD).exists();
        if is_told { Self::PodOfAgent } else { Self::Elsewhere }
    }

    /// What it means that something is not there, if it means `verdict` to an agent.
    pub(super) fn lack(self, verdict: Verdict) -> Verdict {
        match self {
            Self::PodOfAgent => verdict,
            Self::Elsewhere => Verdict::Information,
        }
    }
}

/// As the agent is told it by variables.
pub(super) fn node_name() -> Option<String> {
    variable("LYNCEUS_NODE_NAME").or_else(|| variable("NODE_NAME"))
}

pub(super) fn variable(name: &str) -> Option<String> {
    config::process_environment(name).filter(|value| !value.is_empty())
}
