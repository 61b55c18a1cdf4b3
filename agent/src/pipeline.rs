//! The whole line on one screen: a record goes in, spans that may leave the host come out.
//!
//! Takes no lock, reads no clock, spawns nothing. `received == exported + held + lost` holds after
//! every step.

mod containers;
mod exchanges;

use std::collections::HashSet;

use crate::{
    assemble::{Assembler, Machine},
    correlate::{Correlator, Of, Root},
    decode::decode,
    environ::{self, AllowList},
    event::{BootNanos, ConnectionId, Event, Exec, Exit, Left},
    exchange::{Exchanges, Limits, Told},
    gather::Gather,
    loss::{Ledger, Loss},
    redact::{CleanSpan, Redactor},
    sample::Sampler,
    span::Span,
};

/// What a pipeline is made with.
pub struct Config {
    pub boot_id: String,
    pub root: Root,
    pub machine: Machine,
    pub sampler: Sampler,
    pub allow: AllowList,
    pub instrumented: Instrumented,
    pub limits: Limits,
}

/// What becomes of a client's request that already carries a trace context, and of all requests of a
/// program once it delivered spans: it has a tracer of its own, which reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instrumented {
    #[default]
    Leave,
    Keep,
}

pub struct Pipeline {
    gather: Gather,
    exchanges: Exchanges,
    /// What one record told; empty between records.
    told: Vec<Told>,
    instrumented: Instrumented,
    correlator: Correlator,
    assembler: Assembler,
    sampler: Sampler,
    redactor: Redactor,
    allow: AllowList,
    ledger: Ledger,
}

impl Pipeline {
    pub fn new(config: Config) -> Self {
        Self {
            gather: Gather::default(),
            exchanges: Exchanges::new(config.limits),
            told: Vec::new(),
            instrumented: config.instrumented,
            correlator: Correlator::new(config.boot_id, config.root),
            assembler: Assembler::new(config.machine),
            sampler: config.sampler,
            redactor: Redactor::default(),
            allow: config.allow,
            ledger: Ledger::default(),
        }
    }

    /// Takes one record of the ring. Spans that it completes are appended to `out`.
    pub fn record(&mut self, record: &[u8], out: &mut Vec<CleanSpan>) {
        self.ledger.received += 1;
        self.take(record, out);
    }

    /// A record that was received, perhaps a while ago.
    pub fn take(&mut self, record: &[u8], out: &mut Vec<CleanSpan>) {
        match decode(record) {
            Ok(event) => self.event(event, out),
            Err(error) => self.ledger.lose(Loss::from(error), 1),
        }
    }

    fn event(&mut self, event: Event<'_>, out: &mut Vec<CleanSpan>) {
        let released = match event {
            Event::Chunk(chunk) => {
                let orphaned = self.gather.chunk(chunk).0;
                return self.ledger.lose(Loss::ChunkOrphaned, u64::from(orphaned));
            }
            Event::Exec(exec) => return self.exec(exec),
            Event::Exit(exit) => return self.exit(exit, out),
            Event::Connection(connection) => {
                self.correlator.connected(&connection);
                self.exchanges.connection(&connection, &mut self.told)
            }
            Event::Head(head) => {
                self.ledger.unfollowed.head(&head);
                self.exchanges.head(&head, &mut self.told)
            }
            Event::Frames(frames) => self.exchanges.frames(&frames, &mut self.told),
            Event::End(end) => self.exchanges.end(&end, &mut self.told),
            Event::Closed(closed) => {
                if self.exchanges.speaks(closed.connection) {
                    self.ledger.unfollowed.closed(&closed);
                }
                self.exchanges.closed(&closed, &mut self.told)
            }
            // They are of no span.
            Event::CgroupMade(_) | Event::CgroupGone(_) => {
                self.ledger.exported += 1;
                return;
            }
        };
        self.told(released, out);
    }

    /// Of a process whose program was told, or that is taken up.
    pub fn exec(&mut self, exec: Exec<'_>) {
        let (exec, orphaned) = self.gather.exec(exec);
        self.ledger.lose(Loss::ChunkOrphaned, u64::from(orphaned.0));
        self.exchanges.exec(&exec);
        let mut environ = environ::read(&exec.env, &self.allow);
        self.ledger.malformed_contexts += u64::from(environ.malformed);
        let placement = self.correlator.exec(&exec, &mut environ);
        let refused = self.assembler.exec(&exec, environ, placement).0;
        self.ledger.lose(Loss::TableFull, u64::from(refused));
    }

    fn exit(&mut self, mut exit: Exit, out: &mut Vec<CleanSpan>) {
        let orphaned = self.gather.exit(exit.process).0;
        self.ledger.lose(Loss::ChunkOrphaned, u64::from(orphaned));
        exit.beyond.add(&self.exchanges.exit(&exit));
        self.ledger.go_beyond(&exit.beyond);
        let placement = self.correlator.exit(&exit);
        let left_out = self.correlator.left_out(&placement, Of::Process);
        if let Some(span) = self.assembler.exit(&exit, placement) {
            self.complete_unless(left_out, span, out);
        }
    }

    fn complete_unless(&mut self, left_out: Option<Loss>, span: Span, out: &mut Vec<CleanSpan>) {
        match left_out {
            Some(why) => self.ledger.lose(why, u64::from(span.records)),
            None => self.complete(span, out),
        }
    }

    /// Time passed, and perhaps no record came.
    pub fn tick(&mut self, now: BootNanos, out: &mut Vec<CleanSpan>) {
        let released = self.exchanges.tick(now, &mut self.told);
        self.told(released, out);
    }

    /// These connections ended, and no record said so.
    pub fn abandon(
        &mut self,
        connections: &HashSet<ConnectionId>,
        now: BootNanos,
        out: &mut Vec<CleanSpan>,
    ) {
        let released = self.exchanges.abandon(connections, now, &mut self.told);
        self.told(released, out);
    }

    fn complete(&mut self, span: Span, out: &mut Vec<CleanSpan>) {
        let records = u64::from(span.records);
        if self.sampler.keep(&span) {
            self.ledger.exported += records;
            out.push(self.redactor.clean(span));
        } else {
            self.ledger.lose(Loss::SampledOut, records);
        }
    }

    /// Nothing comes any more: spans of what is not over are appended to `out`. What is `left` still
    /// runs; of other processes the end was lost.
    pub fn finish(&mut self, now: BootNanos, left: &Left, out: &mut Vec<CleanSpan>) {
        let orphaned = self.gather.finish().0;
        self.ledger.lose(Loss::ChunkOrphaned, u64::from(orphaned));
        let released = self.exchanges.finish(now, &mut self.told);
        self.told(released, out);
        for (owner, beyond) in left.beyond.iter().copied().chain(self.exchanges.beyond()) {
            self.ledger.go_beyond(&beyond);
            self.assembler.beyond(owner, &beyond);
        }
        for fork in &left.forks {
            let placement = self.correlator.fork(fork);
            if let Some(span) = self.assembler.fork(fork, placement, now) {
                self.complete(span, out);
            }
        }
        for span in self.assembler.finish(now, &left.running) {
            self.complete(span, out);
        }
    }

    /// Records that wait for more.
    pub fn held(&self) -> u64 {
        self.assembler.held() + self.gather.held() + self.exchanges.held()
    }

    /// Traced processes that run.
    pub fn running(&self) -> usize {
        self.assembler.running()
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }
}

#[cfg(test)]
mod message;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod unfollowed;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        correlate::run_trace_id,
        event::{Beyond, Comm, Fork},
        record::tests::{exec_at, exec_record, exit_of, exit_record, task},
        span::{Status, UnixNanos, Value, key},
    };

    pub(super) fn pipeline(sampler: &str) -> Pipeline {
        Pipeline::new(Config {
            boot_id: "boot".to_owned(),
            root: Root { trace_id: run_trace_id("boot", 1, 2), span_id: None, above: None },
            machine: Machine {
                clock: Clock::new(BootNanos(0), UnixNanos(1_000_000)),
                page_bytes: 4096,
            },
            sampler: Sampler::parse(sampler, None).unwrap(),
            allow: AllowList::default(),
            instrumented: Instrumented::default(),
            limits: Limits::default(),
        })
    }

    /// Feeds the records, checks the equation after each, and gives what came out.
    fn check(pipeline: &mut Pipeline, records: &[Vec<u8>]) -> Vec<Span> {
        let mut out = Vec::new();
        for record in records {
            pipeline.record(record, &mut out);
            assert!(pipeline.ledger().balances(pipeline.held()), "{:?}", pipeline.ledger());
        }
        out.iter().map(|span| span.span().clone()).collect()
    }

    #[test]
    fn exec_and_exit_are_one_span() {
        let records = [exec_record(10, 0, &["sh", "-c", "x"], &[]), exit_record(10, 0, 7 << 8)];
        let spans = check(&mut pipeline("always_on"), &records);
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((span.name.as_str(), span.status, span.records), ("sh", Status::Error, 2));
        assert_eq!(span.attribute(key::PROCESS_EXIT_CODE), Some(&Value::Int(7)));
        assert_eq!(span.attribute(key::ERROR_TYPE), Some(&Value::from("7")));
        assert_eq!(span.attribute(key::PEAK_RSS_BYTES), Some(&Value::Int(40960)));
        assert_eq!((span.start, span.end), (UnixNanos(1_010_500), UnixNanos(1_010_900)));
    }

    #[test]
    fn a_chain_of_execs_is_one_span_named_by_the_last() {
        let records = [
            exec_record(10, 0, &["env", "sh"], &[]),
            exec_at(10, 0, &["sh"], &[], 10_600),
            exec_at(10, 0, &["cat"], &[], 10_700),
            exit_record(10, 0, 0),
        ];
        let spans = check(&mut pipeline("always_on"), &records);
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((span.name.as_str(), span.status, span.events.len()), ("cat", Status::Unset, 3));
        assert_eq!(span.records, 4);
    }

    #[test]
    fn a_fork_without_an_exec_belongs_to_its_owner() {
        let records = [
            exec_record(10, 0, &["python"], &[]),
            exit_of(11, 10, 10, 0),
            exit_of(12, 10, 10, 9),
            exit_record(10, 0, 0),
            exit_of(13, 10, 10, 0),
        ];
        let spans = check(&mut pipeline("always_on"), &records);
        let [owner, late] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(owner.attribute(key::FORKS), Some(&Value::Int(2)));
        assert_eq!(owner.events.len(), 1);
        assert_eq!(late.parent, Some(owner.span_id));
        assert_eq!(late.attribute(key::FORKED), Some(&Value::Bool(true)));
    }

    #[test]
    fn what_still_runs_at_the_end_says_so() {
        let mut pipeline = pipeline("always_on");
        check(&mut pipeline, &[exec_record(10, 0, &["sleep"], &[])]);
        assert_eq!(pipeline.held(), 1);
        let mut out = Vec::new();
        let fork = |pid, owner| Fork {
            process: task(pid),
            owner: task(owner),
            comm: Comm::from_text("left-behind\n"),
            beyond: Beyond::default(),
        };
        // The first belongs to what runs, the second outlived its owner.
        check(&mut pipeline, &[exec_record(13, 10, &["lost"], &[])]);
        let left = Left {
            running: [task(10), task(11), task(12)].into(),
            forks: vec![fork(11, 10), fork(12, 9)],
            beyond: Vec::new(),
        };
        pipeline.finish(BootNanos(99_000), &left, &mut out);
        let names: Vec<_> = out.iter().map(|span| span.span().name.as_str()).collect();
        assert_eq!(names, ["left-behind", "sleep", "lost"]);
        let why = |at: usize| out[at].span().attribute(key::UNFINISHED).cloned();
        assert_eq!(why(0), Some(Value::from(key::STILL_RUNNING)));
        assert_eq!(why(1), Some(Value::from(key::STILL_RUNNING)));
        assert_eq!(why(2), Some(Value::from(key::END_LOST)));
        assert!(pipeline.ledger().balances(0));
    }

    #[test]
    fn what_is_not_wanted_or_not_understood_is_counted() {
        let mut pipeline = pipeline("always_off");
        let records = [
            exec_record(10, 0, &["true"], &["TRACEPARENT=x"]),
            exit_record(10, 0, 0),
            vec![1, 2, 3],
            exit_record(11, 0, 0),
        ];
        assert_eq!(check(&mut pipeline, &records), []);
        assert_eq!(pipeline.ledger().lost(Loss::SampledOut), 3);
        assert_eq!(pipeline.ledger().lost(Loss::Length), 1);
        assert_eq!(pipeline.ledger().malformed_contexts, 1);
    }
}
