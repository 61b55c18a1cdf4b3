//! What all spans of one container have in common.

use std::sync::Arc;

use super::{name::ContainerId, select::Detail};
use crate::{
    id::{SpanId, TraceId},
    span::Resource,
};

#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    pub cgroup_id: u64,
    pub container: ContainerId,
    pub name: String,
    pub place: Place,
    pub detail: Detail,
    pub resource: Arc<Resource>,
}

/// Where what nobody else is the parent of stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Below the container's span.
    Work { trace_id: TraceId, container: SpanId },
    /// In a trace of its own.
    Service,
}
