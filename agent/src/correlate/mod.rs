//! Event -> the trace and the parent that it belongs to.

pub mod context;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    environ::Environ,
    event::{BootNanos, Connection, ConnectionId, Exec, Exit, Fork, Role, TaskId},
    exchange::{Cause, Exchange, Peer},
    id::{SpanId, TraceId},
    propagation::{Context, Upstream},
};

/// Ended processes that are remembered, for what they left running.
const MAX_ENDED: usize = 8 * 1024;

/// Processes that are remembered in all. Beyond it a process's children find its id, but not its
/// trace: they are in the root's.
const MAX_KNOWN: usize = 128 * 1024;

/// Where in which trace a span stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent: Option<SpanId>,
    /// The parent is a span of another program, met in the environment.
    pub parent_is_remote: bool,
    pub upstream: Upstream,
    pub trace_state: Arc<str>,
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
        }
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

#[derive(Debug)]
pub struct Correlator {
    boot_id: String,
    root: Root,
    known: HashMap<TaskId, Known>,
    /// Oldest first; all of them are in `known`.
    ended: VecDeque<TaskId>,
}

impl Correlator {
    pub fn new(boot_id: String, root: Root) -> Self {
        Self { boot_id, root, known: HashMap::new(), ended: VecDeque::new() }
    }

    /// Where the span of a process stands that executed something; asked anew at every exec.
    pub fn exec(&mut self, exec: &Exec<'_>, environ: &mut Environ) -> Placement {
        let span_id = self.span_id(exec.process, exec.parent);
        let own = environ.context.take();
        let inherited = match self.known.get(&exec.parent) {
            Some(parent) => parent.environment.as_ref(),
            None => self.root.above.as_ref().filter(|_| exec.parent == TaskId::ROOT),
        };
        let placement = match context::chosen(own.as_ref(), inherited, span_id) {
            Some(context) => Placement::below_context(context, span_id),
            None => self.below(exec.parent, span_id),
        };
        if self.known.len() < MAX_KNOWN || self.known.contains_key(&exec.process) {
            let known = Known {
                placement: placement.clone(),
                environment: own,
                deliveries: Deliveries::None,
            };
            self.known.insert(exec.process, known);
        }
        placement
    }

    /// Where the span of a process stands that ended, whether it ever executed anything or not.
    pub fn exit(&mut self, exit: &Exit) -> Placement {
        if exit.owner != exit.process {
            return self.below(exit.owner, process_span_id(&self.boot_id, exit.process));
        }
        let Some(known) = self.known.get(&exit.process) else {
            return self.below(exit.parent, process_span_id(&self.boot_id, exit.process));
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

    /// Where the span of an exchange stands: a server's below the span that its head names, else
    /// below that of the same exchange at its client; a client's below the server's that it was made
    /// for; else below its process.
    pub fn exchange(&self, exchange: &Exchange) -> Placement {
        let Exchange { owner, connection, ordinal, .. } = *exchange;
        let span_id = self.exchange_span_id(owner, connection, ordinal);
        match (&exchange.role, &exchange.cause) {
            (Role::Server, _) => {
                let context = exchange.request.context.as_ref();
                self.served(owner, context, exchange.peer, ordinal, span_id, exchange.request_first)
            }
            (Role::Client, Some(cause)) => {
                let Cause { owner, connection, ordinal, peer, request_first, .. } = *cause;
                let context = cause.context.as_ref();
                let parent = self.exchange_span_id(owner, connection, ordinal);
                let above = self.served(owner, context, peer, ordinal, parent, request_first);
                let parent = Some(parent);
                Placement { span_id, parent, parent_is_remote: false, ..above }
            }
            (Role::Client, None) => self.below(owner, span_id),
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

    /// Where the span of a server's exchange stands.
    fn served(
        &self,
        owner: TaskId,
        context: Option<&Context>,
        peer: Option<Peer>,
        ordinal: u64,
        span_id: SpanId,
        at: BootNanos,
    ) -> Placement {
        if let Some(context) = context {
            return Placement::below_context(context, span_id);
        }
        let Some(peer) = peer else { return self.below(owner, span_id) };
        if self.is_instrumented(peer.owner, at) {
            // The client's exchange has no span.
            return self.below(peer.owner, span_id);
        }
        let parent = Some(self.exchange_span_id(peer.owner, peer.connection, ordinal));
        Placement { parent, ..self.below(peer.owner, span_id) }
    }

    /// Where the span of a connection stands that could not be opened.
    pub fn refused(&self, connection: &Connection) -> Placement {
        let span_id = self.exchange_span_id(connection.owner, connection.connection, 0);
        self.below(connection.owner, span_id)
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
        let top = Placement {
            trace_id: self.root.trace_id,
            span_id,
            parent: None,
            parent_is_remote: false,
            upstream: Upstream::Open,
            trace_state: Arc::default(),
        };
        if owner == TaskId::ROOT {
            let above = self.root.above.as_ref();
            return above.map_or(top, |above| Placement::below_context(above, span_id));
        }
        match self.known.get(&owner) {
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

/// The id of the trace of one `lynceus run`: it is told by the process that runs it.
pub fn run_trace_id(boot_id: &str, pid: u32, start_ticks: u64) -> TraceId {
    let (pid, start) = (pid.to_string(), start_ticks.to_string());
    TraceId::derive("run", &[boot_id.as_bytes(), pid.as_bytes(), start.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::decode,
        environ::{self, AllowList},
        event::Event,
        record::tests::{exec_record, exit_of, exit_record, task},
    };

    const ABOVE: &str = "TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER: &str = "TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b8-00";

    fn correlator(span_id: Option<SpanId>) -> Correlator {
        let trace_id = run_trace_id("boot", 1, 2);
        Correlator::new("boot".to_owned(), Root { trace_id, span_id, above: None })
    }

    fn exec(correlator: &mut Correlator, pid: u32, parent: u32, env: &[&str]) -> Placement {
        let record = exec_record(pid, parent, &["x"], env);
        let Ok(Event::Exec(exec)) = decode(&record) else { panic!("no exec") };
        correlator.exec(&exec, &mut environ::read(&exec.env, &AllowList::default()))
    }

    fn exit(correlator: &mut Correlator, record: &[u8]) -> Placement {
        let Ok(Event::Exit(exit)) = decode(record) else { panic!("no exit") };
        correlator.exit(&exit)
    }

    #[test]
    fn a_child_stands_below_its_owner_in_the_root_s_trace() {
        let mut correlator = correlator(None);
        let root = exec(&mut correlator, 10, 0, &[]);
        assert_eq!((root.parent, root.trace_id), (None, run_trace_id("boot", 1, 2)));
        let child = exec(&mut correlator, 11, 10, &[]);
        assert_eq!((child.parent, child.trace_id), (Some(root.span_id), root.trace_id));
    }

    #[test]
    fn a_context_counts_where_it_differs_from_the_parent_s() {
        let mut correlator = correlator(None);
        let root = exec(&mut correlator, 10, 0, &[ABOVE]);
        assert_eq!(root.parent.unwrap().to_string(), "00f067aa0ba902b7");
        assert!(root.parent_is_remote);
        let same = exec(&mut correlator, 11, 10, &[ABOVE]);
        assert_eq!((same.parent, same.trace_id), (Some(root.span_id), root.trace_id));
        assert_eq!(same.upstream, Upstream::Sampled);
        let other = exec(&mut correlator, 12, 10, &[OTHER]);
        assert_eq!(other.parent.unwrap().to_string(), "00f067aa0ba902b8");
        assert_eq!(other.upstream, Upstream::NotSampled);
        let below = exec(&mut correlator, 13, 12, &[OTHER]);
        assert_eq!((below.parent, below.trace_id), (Some(other.span_id), other.trace_id));
        let dropped = exec(&mut correlator, 14, 12, &[]);
        assert_eq!(dropped.parent, Some(other.span_id));
    }

    #[test]
    fn the_context_of_the_span_itself_is_not_its_parent() {
        let given = SpanId::new([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        let mut correlator = correlator(given);
        let root = exec(&mut correlator, 10, 0, &[ABOVE]);
        assert_eq!((Some(root.span_id), root.parent), (given, None));
        let child = exec(&mut correlator, 11, 10, &[ABOVE]);
        assert_eq!(child.parent, given);
        assert_eq!(exec(&mut correlator, 10, 0, &[ABOVE]).span_id, root.span_id);
    }

    #[test]
    fn what_a_process_left_running_still_stands_below_it() {
        let mut correlator = correlator(None);
        let root = exec(&mut correlator, 10, 0, &[ABOVE]);
        assert_eq!(exit(&mut correlator, &exit_record(10, 0, 0)), root);
        let orphan = exec(&mut correlator, 11, 10, &[ABOVE]);
        assert_eq!((orphan.parent, orphan.trace_id), (Some(root.span_id), root.trace_id));
        let forked = exit(&mut correlator, &exit_of(12, 10, 10, 0));
        assert_eq!(forked.parent, Some(root.span_id));
        let forgotten = exec(&mut correlator, 14, 13, &[]);
        assert_eq!(forgotten.parent, Some(process_span_id("boot", task(13))));
    }
}
