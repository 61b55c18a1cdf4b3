//! Exec to exit -> the span of a process, in the terms of the semantic conventions for CLI programs.

use std::{borrow::Cow, sync::Arc};

use super::{Machine, beyond};
use crate::{
    correlate::Placement,
    environ::Environ,
    event::{Beyond, BootNanos, Exec, Exit, Fork, TaskId, Usage},
    signal,
    span::{Attribute, Span, SpanEvent, SpanKind, Status, UnixNanos, key},
};

/// Events on one span, after which they are only counted.
const MAX_EVENTS: usize = 64;
/// Programs that are many: what ran is the name that they were called by.
const MULTI_CALL: [&str; 3] = ["busybox", "toybox", "coreutils"];

/// A process that runs.
#[derive(Debug)]
pub(super) struct Open {
    process: TaskId,
    placement: Placement,
    start: BootNanos,
    program: Program,
    moments: Vec<Moment>,
    dropped_moments: u32,
    forks: u64,
    forks_cpu_ns: u64,
    beyond: Beyond,
    records: u32,
    /// The exec that /proc told of.
    taken_up: Option<u32>,
}

/// What a process executes.
#[derive(Debug)]
struct Program {
    name: String,
    attributes: Vec<Attribute>,
    cut_bytes: u64,
}

#[derive(Debug)]
struct Moment {
    name: &'static str,
    time: BootNanos,
    attributes: Vec<Attribute>,
}

impl Open {
    pub(super) fn new(exec: &Exec<'_>, environ: Environ, placement: Placement) -> Self {
        Self {
            process: exec.process,
            placement,
            start: exec.time,
            program: Program::new(exec, environ),
            moments: Vec::new(),
            dropped_moments: 0,
            forks: 0,
            forks_cpu_ns: 0,
            beyond: Beyond::default(),
            records: exec.records,
            taken_up: exec.taken_up.then_some(exec.exec_id),
        }
    }

    pub(super) fn start(&self) -> BootNanos {
        self.start
    }

    /// Whether it is of the container with this control group.
    pub(super) fn is_of(&self, cgroup_id: u64) -> bool {
        self.placement.scope.as_ref().is_some_and(|scope| scope.cgroup_id == cgroup_id)
    }

    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// Whether this is the record of what /proc told of, or of what was before it.
    pub(super) fn was_taken_from(&self, exec: &Exec<'_>) -> bool {
        self.taken_up.is_some_and(|taken_up| exec.exec_id <= taken_up)
    }

    /// What /proc told is replaced by the record.
    pub(super) fn told_after_all(
        &mut self,
        exec: &Exec<'_>,
        environ: Environ,
        placement: Placement,
    ) {
        self.program = Program::new(exec, environ);
        self.placement = placement;
        self.records = self.records.saturating_add(exec.records);
        self.taken_up = None;
    }

    /// The span is named by the last program; all of them, the first too, become events.
    pub(super) fn exec_again(&mut self, exec: &Exec<'_>, environ: Environ, placement: Placement) {
        if self.moments.iter().all(|moment| moment.name != key::EVENT_EXEC) {
            let first = self.program.event(self.start);
            self.moments.insert(0, first);
        }
        self.program = Program::new(exec, environ);
        self.placement = placement;
        self.records = self.records.saturating_add(exec.records);
        let again = self.program.event(exec.time);
        self.happened(again);
    }

    /// A child that never executed anything ended: it belongs here.
    pub(super) fn fork_ended(&mut self, exit: &Exit) {
        self.forks += 1;
        self.forks_cpu_ns = self.forks_cpu_ns.saturating_add(exit.usage.runtime_ns);
        self.records = self.records.saturating_add(1);
        self.beyond(&exit.beyond);
        if exit.wait_status.shell_code() != 0 {
            let mut attributes = vec![Attribute::new(key::PROCESS_PID, exit.process.pid)];
            attributes.extend(ending(exit));
            self.happened(Moment { name: key::EVENT_FORK_EXIT, time: exit.time, attributes });
        }
    }

    pub(super) fn beyond(&mut self, more: &Beyond) {
        self.beyond.add(more);
    }

    fn happened(&mut self, moment: Moment) {
        if self.moments.len() < MAX_EVENTS {
            self.moments.push(moment);
        } else {
            self.dropped_moments = self.dropped_moments.saturating_add(1);
        }
    }

    pub(super) fn ended(mut self, exit: &Exit, machine: &Machine) -> Span {
        let status = status(exit);
        self.beyond(&exit.beyond);
        let mut span = self.span(exit.time, machine);
        span.status = status;
        span.attributes.extend(ending(exit));
        span.attributes.extend(used(exit, machine));
        span.records = span.records.saturating_add(1);
        span
    }

    pub(super) fn unfinished(self, now: BootNanos, why: &'static str, machine: &Machine) -> Span {
        let mut span = self.span(now, machine);
        span.attributes.push(Attribute::new(key::UNFINISHED, why));
        span
    }

    fn span(self, end: BootNanos, machine: &Machine) -> Span {
        let mut attributes = self.program.attributes;
        attributes.push(Attribute::new(key::PROCESS_PID, self.process.pid));
        if self.forks > 0 {
            attributes.push(Attribute::new(key::FORKS, self.forks));
            attributes.push(Attribute::new(key::FORKS_CPU_NS, self.forks_cpu_ns));
        }
        if self.program.cut_bytes > 0 {
            attributes.push(Attribute::new(key::CUT_BYTES, self.program.cut_bytes));
        }
        let event = |moment: Moment| SpanEvent {
            name: moment.name,
            time: machine.clock.unix(moment.time),
            attributes: moment.attributes,
        };
        let beyond = beyond::event(&self.beyond, machine);
        Span {
            attributes,
            events: self.moments.into_iter().map(event).chain(beyond).collect(),
            dropped_events: self.dropped_moments,
            records: self.records,
            ..bare(self.program.name, self.placement, self.start, end, machine)
        }
    }
}

impl Program {
    fn new(exec: &Exec<'_>, environ: Environ) -> Self {
        let path = exec.executable.to_text();
        let executable = exec.executable.name();
        let args: Vec<String> =
            exec.args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        let name = if executable.is_empty() {
            exec.comm.to_text()
        } else if MULTI_CALL.contains(&executable.as_ref()) {
            let called = args.first().and_then(|called| called.rsplit('/').next());
            called.unwrap_or_default().to_owned()
        } else {
            executable.into_owned()
        };
        let mut attributes = Vec::with_capacity(24);
        attributes.push(Attribute::new(key::PROCESS_EXECUTABLE_NAME, name.as_str()));
        if !path.is_empty() {
            attributes.push(Attribute::new(key::PROCESS_EXECUTABLE_PATH, path));
        }
        attributes.push(Attribute::new(key::PROCESS_COMMAND_ARGS, args));
        let directory = exec.working_directory.to_text();
        let directory = if directory.is_empty() { "/".to_owned() } else { directory };
        attributes.push(Attribute::new(key::PROCESS_WORKING_DIRECTORY, directory));
        attributes.push(Attribute::new(key::PROCESS_PARENT_PID, exec.parent_pid));
        attributes.push(Attribute::new(key::PROCESS_USER_ID, exec.uid));
        if exec.vpid != exec.process.pid && exec.vpid != 0 {
            attributes.push(Attribute::new(key::PROCESS_VPID, exec.vpid));
        }
        if exec.taken_up {
            attributes.push(Attribute::new(key::TAKEN_UP, true));
        }
        attributes.extend(environ.allowed.into_iter().map(|(name, value)| Attribute {
            key: Cow::Owned(format!("{}{name}", key::ENVIRONMENT_PREFIX)),
            value: value.into(),
        }));
        Self { name, attributes, cut_bytes: exec.args.cut_bytes.saturating_add(exec.env.cut_bytes) }
    }

    fn event(&self, time: BootNanos) -> Moment {
        let wanted = [key::PROCESS_EXECUTABLE_PATH, key::PROCESS_COMMAND_ARGS];
        let attributes = self.attributes.iter();
        let attributes =
            attributes.filter(|attribute| wanted.contains(&attribute.key.as_ref())).cloned();
        Moment { name: key::EVENT_EXEC, time, attributes: attributes.collect() }
    }
}

/// A fork that never executed anything and outlived its owner.
pub(super) fn forked(exit: &Exit, placement: Placement, machine: &Machine) -> Span {
    let mut span = without_exec(exit, placement, machine);
    span.attributes.push(Attribute::new(key::FORKED, true));
    span
}

/// A fork that outlived its owner and still runs when tracing ends. No record told of it.
pub(super) fn unfinished_fork(
    fork: &Fork,
    placement: Placement,
    now: BootNanos,
    machine: &Machine,
) -> Span {
    let name = fork.comm.to_text();
    let attributes = vec![
        Attribute::new(key::PROCESS_EXECUTABLE_NAME, name.as_str()),
        Attribute::new(key::PROCESS_PID, fork.process.pid),
        Attribute::new(key::FORKED, true),
        Attribute::new(key::UNFINISHED, key::STILL_RUNNING),
    ];
    let start = BootNanos(fork.process.start_ns);
    let events = beyond::event(&fork.beyond, machine).into_iter().collect();
    Span { attributes, events, records: 0, ..bare(name, placement, start, now, machine) }
}

/// All that is known of it is its end. It began when it was forked.
pub(super) fn without_exec(exit: &Exit, placement: Placement, machine: &Machine) -> Span {
    let name = exit.comm.to_text();
    let mut attributes = vec![
        Attribute::new(key::PROCESS_EXECUTABLE_NAME, name.as_str()),
        Attribute::new(key::PROCESS_PID, exit.process.pid),
    ];
    attributes.extend(ending(exit));
    attributes.extend(used(exit, machine));
    let start = BootNanos(exit.process.start_ns);
    let events = beyond::event(&exit.beyond, machine).into_iter().collect();
    Span {
        attributes,
        events,
        status: status(exit),
        ..bare(name, placement, start, exit.time, machine)
    }
}

pub(super) fn bare(
    name: String,
    placement: Placement,
    start: BootNanos,
    end: BootNanos,
    machine: &Machine,
) -> Span {
    let start: UnixNanos = machine.clock.unix(start);
    Span {
        trace_id: placement.trace_id,
        span_id: placement.span_id,
        parent: placement.parent,
        parent_is_remote: placement.parent_is_remote,
        upstream: placement.upstream,
        resource: placement.scope.map(|scope| Arc::clone(&scope.resource)),
        trace_state: placement.trace_state,
        name,
        kind: SpanKind::Internal,
        start,
        end: machine.clock.unix(end).max(start),
        attributes: Vec::new(),
        events: Vec::new(),
        dropped_events: 0,
        status: Status::Unset,
        records: 1,
    }
}

fn status(exit: &Exit) -> Status {
    if exit.wait_status.shell_code() == 0 { Status::Unset } else { Status::Error }
}

/// How it ended.
fn ending(exit: &Exit) -> Vec<Attribute> {
    let code = exit.wait_status.shell_code();
    let mut attributes = vec![Attribute::new(key::PROCESS_EXIT_CODE, code)];
    if code == 0 {
        return attributes;
    }
    let signal = exit.wait_status.signal();
    let oom = exit.oom_victim != 0 && signal == Some(signal::KILL);
    let error = match signal {
        Some(_) if oom => "OOMKilled".to_owned(),
        Some(number) => signal::name(number),
        None => code.to_string(),
    };
    attributes.push(Attribute::new(key::ERROR_TYPE, error));
    if let Some(number) = signal {
        attributes.push(Attribute::new(key::SIGNAL, number));
    }
    if exit.wait_status.core_dumped() {
        attributes.push(Attribute::new(key::CORE_DUMPED, true));
    }
    if oom {
        attributes.push(Attribute::new(key::OOM_KILLED, true));
    }
    attributes
}

/// What it used; zeroes are left out.
fn used(exit: &Exit, machine: &Machine) -> impl Iterator<Item = Attribute> {
    let usage = &exit.usage;
    let (user_ns, system_ns) = cpu_split(usage);
    [
        (key::CPU_USER_NS, user_ns),
        (key::CPU_SYSTEM_NS, system_ns),
        (key::RUN_QUEUE_NS, usage.run_queue_ns),
        (key::PEAK_RSS_BYTES, exit.peak_rss_pages.saturating_mul(machine.page_bytes)),
        (key::READ_BYTES, usage.read_bytes),
        (key::WRITE_BYTES, usage.write_bytes),
        (key::DISK_READ_BYTES, usage.disk_read_bytes),
        (key::DISK_WRITE_BYTES, usage.disk_write_bytes),
        (key::MAJOR_FAULTS, usage.major_faults),
        (key::MINOR_FAULTS, usage.minor_faults),
        (key::VOLUNTARY_SWITCHES, usage.voluntary_switches),
        (key::INVOLUNTARY_SWITCHES, usage.involuntary_switches),
    ]
    .into_iter()
    .filter(|(_, value)| *value > 0)
    .map(|(key, value)| Attribute::new(key, value))
}

/// The scheduler's exact time, split as the ticks saw it: `cputime_adjust` of
/// kernel/sched/cputime.c. A process that no tick met counts as in user mode.
fn cpu_split(usage: &Usage) -> (u64, u64) {
    let (runtime, ticks) = (usage.runtime_ns, usage.utime_ns.saturating_add(usage.stime_ns));
    if ticks == 0 {
        return (runtime, 0);
    }
    let system = u128::from(runtime) * u128::from(usage.stime_ns) / u128::from(ticks);
    let system = u64::try_from(system).unwrap_or(runtime).min(runtime);
    (runtime - system, system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_split_as_the_ticks_saw_it_and_never_more_than_it_was() {
        let check = |utime_ns, stime_ns, runtime_ns, expected| {
            let usage = Usage { utime_ns, stime_ns, runtime_ns, ..Usage::default() };
            assert_eq!(cpu_split(&usage), expected);
        };
        check(0, 0, 70, (70, 0));
        check(30, 10, 80, (60, 20));
        check(0, 4_000_000, 70, (0, 70));
        check(u64::MAX, u64::MAX, u64::MAX, (0, u64::MAX));
    }
}
