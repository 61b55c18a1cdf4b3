//! Event -> the trace and the parent that it belongs to.

pub mod context;
mod scoped;
#[cfg(test)]
mod tests;

pub use self::scoped::Of;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    environ::Environ,
    event::{BootNanos, Connection, ConnectionId, Exec, Exit, Fork, Role, TaskId},
    exchange::{Cause, Exchange, Peer},
    id::{SpanId, TraceId},
    kube::scope::{Place, Scope},
    propagation::{Context, Upstream},
};

/// Ended processes that are remembered, for what they left running.
const MAX_ENDED: usize = 8 * 1024;

/// Processes that are remembered in all. Beyond it a process's children find its id, but not its
/// trace: they are in the root's.
const MAX_KNOWN: usize = 128 * 1024;

/// Where in which trace a span stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent: Option<SpanId>,
    /// The parent is a span of another program, met in the environment.
    pub parent_is_remote: bool,
    pub upstream: Upstream,
    pub trace_state: Arc<str>,
    /// The container that it is of.
    pub scope: Option<Arc<Scope>>,
}

impl Placement {
    fn below_context(context: &Context, span_id: SpanId) -> Self {
        Self {
            trace_id: context.trace_id,
            span_id,
            parent: Some(context.span_id),
            parent_is_remote: true,
            upstream: context.upstream,
            trace_state: Arc::clone(&context.trace_state),
            scope: None,
        }
    }

    /// What nothing is above.
    fn top(trace_id: TraceId, span_id: SpanId) -> Self {
        Self {
            trace_id,
            span_id,
            parent: None,
            parent_is_remote: false,
            upstream: Upstream::Open,
            trace_state: Arc::default(),
            scope: None,
        }
    }

    /// What no other span of the container is above.
    fn top_of(scope: &Arc<Scope>, span_id: SpanId) -> Self {
        let placement = match scope.place {
            Place::Work { trace_id, container } => {
                Self { parent: Some(container), ..Self::top(trace_id, span_id) }
            }
            Place::Service => Self::top(alone_trace_id(span_id), span_id),
        };
        Self { scope: Some(Arc::clone(scope)), ..placement }
    }
}

/// The trace of what has no traced ancestor and no context of its own.
#[derive(Debug, Clone)]
pub struct Root {
    pub trace_id: TraceId,
    /// The id of the first such span, where it had to be known before its process began.
    pub span_id: Option<SpanId>,
    /// The context that whoever started the tracing runs in: such spans stand below it.
    pub above: Option<Context>,
}

/// What is remembered of a process that has a span.
#[derive(Debug)]
struct Known {
    placement: Placement,
    /// The context in its own environment.
    environment: Option<Context>,
    deliveries: Deliveries,
    since: BootNanos,
    /// The first process of a service's container: it ends when the service does.
    is_resident: bool,
    /// Somebody connected to it and spoke HTTP.
    serves: bool,
}

/// Whose spans a program was seen to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deliveries {
    None,
    /// Its own, since then.
    Own(BootNanos),
    /// Others deliver theirs to it: what it passes on says nothing of itself.
    Others,
}

/// A container.
#[derive(Debug)]
struct Entered {
    scope: Arc<Scope>,
    /// Its first process was there.
    is_entered: bool,
    /// Spans, since somebody asked.
    told: u64,
}

#[derive(Debug)]
pub struct Correlator {
    boot_id: String,
    root: Root,
    known: HashMap<TaskId, Known>,
    /// By their control groups.
    scopes: HashMap<u64, Entered>,
    /// Control groups that containers made for themselves: whose they are.
    inner: HashMap<u64, u64>,
    /// What is of no container is not told.
    containers_only: bool,
    /// Oldest first; all of them are in `known`.
    ended: VecDeque<TaskId>,
    /// What happened before, another agent may have been told of.
    since: BootNanos,
}

impl Correlator {
    pub fn new(boot_id: String, root: Root) -> Self {
        Self {
            boot_id,
            root,
            known: HashMap::new(),
            scopes: HashMap::new(),
            inner: HashMap::new(),
            containers_only: false,
            ended: VecDeque::new(),
            since: BootNanos::default(),
        }
    }

    /// Where the span of a process stands that executed something; asked anew at every exec.
    pub fn exec(&mut self, exec: &Exec<'_>, environ: &mut Environ) -> Placement {
        let span_id = self.span_id(exec.process, exec.parent);
        let own = environ.context.take();
        let inherited = match self.known.get(&exec.parent) {
            Some(parent) => parent.environment.as_ref(),
            None => self.root.above.as_ref().filter(|_| exec.parent == TaskId::ROOT),
        };
        let cgroup_id = self.inner.get(&exec.cgroup_id).copied().unwrap_or(exec.cgroup_id);
        let above = self.known.get(&exec.parent);
        let is_first = above.is_none();
        let inherits = above.and_then(|above| above.placement.scope.clone());
        let entered = self.scopes.get_mut(&cgroup_id);
        let was_entered = entered.map(|one| {
            let was_entered = one.is_entered;
            one.is_entered |= is_first;
            was_entered
        });
        let scope = self.scope_at(cgroup_id).or(inherits);
        let is_service = scope.as_ref().is_some_and(|scope| scope.place == Place::Service);
        let is_resident = match self.known.get(&exec.process) {
            Some(before) => before.is_resident,
            None => is_service && is_first && was_entered == Some(false),
        };
        let placement = match context::chosen(own.as_ref(), inherited, span_id) {
            Some(context) => Placement { scope, ..Placement::below_context(context, span_id) },
            None => self.started(exec, scope, span_id),
        };
        if self.known.len() < MAX_KNOWN || self.known.contains_key(&exec.process) {
            let known = Known {
                placement: placement.clone(),
                environment: own,
                deliveries: Deliveries::None,
                since: exec.time,
                is_resident,
                serves: false,
            };
            self.known.insert(exec.process, known);
        }
        placement
    }

    /// Where the span of a process stands that ended, whether it ever executed anything or not.
    pub fn exit(&mut self, exit: &Exit) -> Placement {
        if exit.owner != exit.process {
            return self.without_exec(exit, exit.owner);
        }
        let Some(known) = self.known.get(&exit.process) else {
            return self.without_exec(exit, exit.parent);
        };
        let placement = known.placement.clone();
        self.ended.push_back(exit.process);
        if self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.known.remove(&oldest);
        }
        placement
    }

    /// Where the span of a process stands that runs and never executed anything.
    pub fn fork(&self, fork: &Fork) -> Placement {
        self.below(fork.owner, process_span_id(&self.boot_id, fork.process))
    }

    /// Where the span of an exchange stands: below the span that its head names; else a server's below
    /// that of the same exchange at its client, a client's below the server's that it was made for; else
    /// below its process.
    pub fn exchange(&self, exchange: &Exchange) -> Placement {
        let Exchange { owner, connection, ordinal, .. } = *exchange;
        let span_id = self.exchange_span_id(owner, connection, ordinal);
        if let Some(context) = &exchange.request.context {
            // Of a client's the program itself has a span, and wrote down which.
            return self.named(owner, context, span_id);
        }
        match (&exchange.role, &exchange.cause) {
            (Role::Server, _) => {
                self.served(owner, exchange.peer, ordinal, span_id, exchange.request_first)
            }
            (Role::Client, Some(cause)) => {
                let Cause { owner, connection, ordinal, peer, request_first, .. } = *cause;
                let parent = self.exchange_span_id(owner, connection, ordinal);
                let above = match &cause.context {
                    Some(context) => self.named(owner, context, parent),
                    None => self.served(owner, peer, ordinal, parent, request_first),
                };
                let parent = Some(parent);
                let scope = self.scope_of(exchange.owner);
                Placement { span_id, parent, parent_is_remote: false, scope, ..above }
            }
            (Role::Client, None) => self.asked(owner, span_id, exchange.request_first),
        }
    }

    /// Spans were delivered, by a program or to it.
    pub fn delivered(&mut self, owner: TaskId, role: Role, at: BootNanos) {
        let Some(known) = self.known.get_mut(&owner) else { return };
        known.deliveries = match (role, known.deliveries) {
            (Role::Client, Deliveries::None) => Deliveries::Own(at),
            (Role::Client, Deliveries::Own(since)) => Deliveries::Own(since.min(at)),
            (Role::Client, Deliveries::Others) => Deliveries::Others,
            (Role::Server, _) => Deliveries::Others,
        };
    }

    /// Whether a program is known to tell itself what it does at that time.
    pub fn is_instrumented(&self, owner: TaskId, at: BootNanos) -> bool {
        match self.known.get(&owner).map(|known| known.deliveries) {
            Some(Deliveries::Own(since)) => since <= at,
            Some(Deliveries::None | Deliveries::Others) | None => false,
        }
    }

    /// Below the span that the head of a request names.
    fn named(&self, owner: TaskId, context: &Context, span_id: SpanId) -> Placement {
        let scope = self.scope_of(owner);
        Placement { scope, ..Placement::below_context(context, span_id) }
    }

    /// Where the span of a server's exchange stands whose head names no other.
    fn served(
        &self,
        owner: TaskId,
        peer: Option<Peer>,
        ordinal: u64,
        span_id: SpanId,
        at: BootNanos,
    ) -> Placement {
        // What a service asks may be for something that it serves: only the exchange itself will tell.
        let peer = peer.filter(|peer| {
            self.tells_requests(peer.owner)
                && self.service(peer.owner).is_none_or(|(client, _)| !client.serves)
        });
        let Some(peer) = peer else {
            return match self.service(owner) {
                Some((_, scope)) => Placement::top_of(scope, span_id),
                None => self.below(owner, span_id),
            };
        };
        if self.is_instrumented(peer.owner, at) {
            // The client's exchange has no span.
            let scope = self.scope_of(owner);
            return Placement { scope, ..self.below(peer.owner, span_id) };
        }
        let client = self.exchange_span_id(peer.owner, peer.connection, ordinal);
        let scope = self.scope_of(owner);
        let above = self.asked(peer.owner, client, at);
        Placement { span_id, parent: Some(client), parent_is_remote: false, scope, ..above }
    }

    /// Where the span of a connection stands that could not be opened.
    pub fn refused(&self, connection: &Connection) -> Placement {
        let span_id = self.exchange_span_id(connection.owner, connection.connection, 0);
        self.asked(connection.owner, span_id, connection.time)
    }

    fn exchange_span_id(&self, owner: TaskId, connection: ConnectionId, ordinal: u64) -> SpanId {
        let numbers =
            [u64::from(owner.pid), owner.start_ns, connection.sock, connection.since_ns, ordinal];
        let texts = numbers.map(|number| number.to_string());
        let [pid, start, sock, since, ordinal] = &texts;
        let parts = [&self.boot_id, pid, start, sock, since, ordinal];
        SpanId::derive("exchange", &parts.map(|part| part.as_bytes()))
    }

    /// A span right below that of `owner`.
    fn below(&self, owner: TaskId, span_id: SpanId) -> Placement {
        let top = Placement::top(self.root.trace_id, span_id);
        if owner == TaskId::ROOT {
            let above = self.root.above.as_ref();
            return above.map_or(top, |above| Placement::below_context(above, span_id));
        }
        match self.known.get(&owner) {
            Some(Known { placement: Placement { scope: Some(scope), .. }, .. })
                if !scope.detail.has_processes() =>
            {
                Placement::top_of(scope, span_id)
            }
            Some(known) => Placement {
                span_id,
                parent: Some(known.placement.span_id),
                parent_is_remote: false,
                ..known.placement.clone()
            },
            // Forgotten, but its id is what it was.
            None => Placement { parent: Some(process_span_id(&self.boot_id, owner)), ..top },
        }
    }

    fn span_id(&mut self, process: TaskId, parent: TaskId) -> SpanId {
        if let Some(known) = self.known.get(&process) {
            return known.placement.span_id;
        }
        let given = if parent == TaskId::ROOT { self.root.span_id.take() } else { None };
        given.unwrap_or_else(|| process_span_id(&self.boot_id, process))
    }
}

/// The id of a process's span: the same wherever and whenever it is derived.
pub fn process_span_id(boot_id: &str, process: TaskId) -> SpanId {
    let (pid, start) = (process.pid.to_string(), process.start_ns.to_string());
    SpanId::derive("process", &[boot_id.as_bytes(), pid.as_bytes(), start.as_bytes()])
}

/// The id of the trace of what is in no other: a request to a service, or a process started in one.
fn alone_trace_id(span_id: SpanId) -> TraceId {
    TraceId::derive("alone", &[span_id.as_bytes()])
}

/// The id of the trace of one `lynceus run`: it is told by the process that runs it.
pub fn run_trace_id(boot_id: &str, pid: u32, start_ticks: u64) -> TraceId {
    let (pid, start) = (pid.to_string(), start_ticks.to_string());
    TraceId::derive("run", &[boot_id.as_bytes(), pid.as_bytes(), start.as_bytes()])
}
