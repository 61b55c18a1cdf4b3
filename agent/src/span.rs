//! What is assembled and exported: spans and their attributes, in OpenTelemetry's terms.
//!
//! A [`Span`] may hold secrets; only [`redact`](crate::redact) makes one that may leave the host.

use std::{borrow::Cow, sync::Arc};

use crate::{
    id::{SpanId, TraceId},
    propagation::Upstream,
};

/// Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct UnixNanos(pub u64);

/// The attribute keys: semantic conventions 1.43 where they have a name, else our namespace.
pub mod key {
    pub use opentelemetry_semantic_conventions::attribute::{
        CLIENT_ADDRESS, CLIENT_PORT, CONTAINER_ID, ERROR_TYPE, HTTP_REQUEST_BODY_SIZE,
        HTTP_REQUEST_METHOD, HTTP_REQUEST_METHOD_ORIGINAL, HTTP_RESPONSE_BODY_SIZE,
        HTTP_RESPONSE_STATUS_CODE, NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT,
        NETWORK_PROTOCOL_VERSION, NETWORK_TRANSPORT, PROCESS_COMMAND_ARGS, PROCESS_EXECUTABLE_NAME,
        PROCESS_EXECUTABLE_PATH, PROCESS_EXIT_CODE, PROCESS_PARENT_PID, PROCESS_PID,
        PROCESS_USER_ID, PROCESS_VPID, PROCESS_WORKING_DIRECTORY, RPC_METHOD,
        RPC_RESPONSE_STATUS_CODE, RPC_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT, URL_FULL, URL_PATH,
        URL_QUERY, URL_SCHEME, USER_AGENT_ORIGINAL,
    };
    /// Followed by the variable's name.
    pub const ENVIRONMENT_PREFIX: &str = "process.environment_variable.";

    /// Number of the signal that ended the process.
    pub const SIGNAL: &str = "lynceus.process.signal";
    pub const CORE_DUMPED: &str = "lynceus.process.core_dumped";
    pub const OOM_KILLED: &str = "lynceus.process.oom_killed";
    pub const CPU_USER_NS: &str = "lynceus.process.cpu.user_ns";
    pub const CPU_SYSTEM_NS: &str = "lynceus.process.cpu.system_ns";
    pub const RUN_QUEUE_NS: &str = "lynceus.process.run_queue_ns";
    pub const PEAK_RSS_BYTES: &str = "lynceus.process.memory.peak_rss_bytes";
    pub const READ_BYTES: &str = "lynceus.process.io.read_bytes";
    pub const WRITE_BYTES: &str = "lynceus.process.io.write_bytes";
    pub const DISK_READ_BYTES: &str = "lynceus.process.disk.read_bytes";
    pub const DISK_WRITE_BYTES: &str = "lynceus.process.disk.write_bytes";
    pub const MAJOR_FAULTS: &str = "lynceus.process.faults.major";
    pub const MINOR_FAULTS: &str = "lynceus.process.faults.minor";
    pub const VOLUNTARY_SWITCHES: &str = "lynceus.process.context_switches.voluntary";
    pub const INVOLUNTARY_SWITCHES: &str = "lynceus.process.context_switches.involuntary";
    /// Forks of this process that ended without an exec: they have no span of their own.
    pub const FORKS: &str = "lynceus.process.forks";
    /// CPU time of those forks.
    pub const FORKS_CPU_NS: &str = "lynceus.process.forks.cpu_ns";
    /// The process forked and never executed; it outlived the span it belonged to.
    pub const FORKED: &str = "lynceus.process.forked";
    /// Bytes of arguments, environment or path that the kernel side left out.
    pub const CUT_BYTES: &str = "lynceus.process.cut_bytes";
    /// Why the end of the span is not the end of the process.
    pub const UNFINISHED: &str = "lynceus.process.unfinished";
    /// Its values.
    pub const STILL_RUNNING: &str = "still running when tracing ended";
    pub const END_LOST: &str = "its end was lost";

    /// How long `connect(2)` took, on the first exchange of a connection.
    pub const CONNECT_NS: &str = "lynceus.network.connect_ns";
    /// From the first byte of the request to that of the response.
    pub const FIRST_BYTE_NS: &str = "lynceus.http.time_to_first_byte_ns";
    /// The process ran before it was traced.
    pub const TAKEN_UP: &str = "lynceus.process.taken_up";
    /// Of the span of a container; a reason as `k8s.container.status.reason`, but of this container.
    pub const CONTAINER_EXIT_CODE: &str = "lynceus.container.exit_code";
    /// Why the end of the span is not the end of the container or pod: [`STILL_RUNNING`].
    pub const CONTAINER_UNFINISHED: &str = "lynceus.container.unfinished";
    pub const POD_UNFINISHED: &str = "lynceus.pod.unfinished";
    pub const CONTAINER_REASON: &str =
        opentelemetry_semantic_conventions::attribute::K8S_CONTAINER_STATUS_REASON;
    pub const POD_PHASE: &str = opentelemetry_semantic_conventions::attribute::K8S_POD_STATUS_PHASE;
    pub const POD_REASON: &str =
        opentelemetry_semantic_conventions::attribute::K8S_POD_STATUS_REASON;
    /// The response was not seen: it may have been there or not.
    pub const RESPONSE_UNSEEN: &str = "lynceus.http.response_unseen";
    /// Fields of the request's head were not read: there were too many, or a part of it was lost.
    pub const HEAD_CUT: &str = "lynceus.http.head_cut";

    /// Parts of the heads could not be read: tracing met the connection half-way.
    pub const JOINED_LATE: &str = "lynceus.http.joined_late";
    /// Whole messages of a call of gRPC, each way.
    pub const RPC_REQUESTS: &str = "lynceus.rpc.request_messages";
    pub const RPC_RESPONSES: &str = "lynceus.rpc.response_messages";

    /// Span event: the process executed a program. There only where it executed several.
    pub const EVENT_EXEC: &str = "process.exec";
    /// Span event: more requests in one second than get a span; how many, each way, by status.
    pub const EVENT_BEYOND: &str = "lynceus.requests.over_budget";
    /// Span event on a container's: more programs executed in one second than are told; how many.
    pub const EVENT_LIMITED: &str = "lynceus.processes.over_limit";
    pub const LIMITED_EXECS: &str = "lynceus.processes.execs";
    pub const LIMITED_FORKS: &str = "lynceus.processes.forks";
    /// Span event on a pod's: it has as many spans as a pod gets, and gets none of processes and requests
    /// from then on.
    pub const EVENT_SPENT: &str = "lynceus.spans.over_budget";
    pub const SPENT_SPANS: &str = "lynceus.spans.told";
    /// Followed by `client` or `server`, and what is counted.
    pub const REQUESTS_PREFIX: &str = "lynceus.requests.";
    /// Span event: a fork without an exec did not end well.
    pub const EVENT_FORK_EXIT: &str = "process.fork.exit";
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Str(String),
    Int(i64),
    Bool(bool),
    StrList(Vec<String>),
}

/// As tests write them; a list by commas.
#[cfg(test)]
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Str(text) => f.write_str(text),
            Self::Int(number) => number.fmt(f),
            Self::Bool(truth) => truth.fmt(f),
            Self::StrList(texts) => f.write_str(&texts.join(",")),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    pub key: Cow<'static, str>,
    pub value: Value,
}

impl Attribute {
    pub fn new(key: &'static str, value: impl Into<Value>) -> Self {
        Self { key: Cow::Borrowed(key), value: value.into() }
    }
}

/// What spans are of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resource {
    pub attributes: Vec<Attribute>,
}

/// Something that happened at one time within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    pub name: &'static str,
    pub time: UnixNanos,
    pub attributes: Vec<Attribute>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    Internal,
    Client,
    Server,
}

/// The convention leaves success unset: an instrumentation never says `Ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Unset,
    Error,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent: Option<SpanId>,
    /// The parent is a span of another program, met in the environment.
    pub parent_is_remote: bool,
    /// What the program above decided about recording.
    pub upstream: Upstream,
    /// W3C `tracestate`, as it came.
    pub trace_state: Arc<str>,
    pub name: String,
    pub kind: SpanKind,
    pub start: UnixNanos,
    /// `start <= end`.
    pub end: UnixNanos,
    pub attributes: Vec<Attribute>,
    pub events: Vec<SpanEvent>,
    /// Events that happened and are not in `events`.
    pub dropped_events: u32,
    pub status: Status,
    /// How many kernel records the span carries: its weight in the ledger.
    pub records: u32,
    /// What it is of, where that is not what all spans of this program are of.
    pub resource: Option<Arc<Resource>>,
}

impl Span {
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|attribute| attribute.key == key).map(|found| &found.value)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// OTLP has no unsigned integer: a value past `i64::MAX` is held at it.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<Vec<String>> for Value {
    fn from(list: Vec<String>) -> Self {
        Self::StrList(list)
    }
}
