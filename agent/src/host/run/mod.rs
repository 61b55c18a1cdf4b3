//! `lynceus run`: one command, traced.
//!
//! Four threads, each with one job: this one runs the command, `signals` passes signals on,
//! `collect` reads the ring, `deliver` writes what comes out (with one more for the network).
//! A failure of ours never changes what the command does or how it ends.

mod collect;
mod command;
mod report;
mod signals;
mod user;

use std::{process::ExitCode, sync::mpsc::sync_channel, thread};

use self::{
    collect::{Collector, Progress},
    command::{CommandLine, StartError},
    signals::Forwarder,
};
use super::{
    capture::Capture,
    cli::RunOptions,
    clocks,
    config::{self, Environment},
    deliver::Deliverer,
    endpoint,
    export::Exporter,
    load::{Options, ProbeLog, Probes, verifier_log},
    machine,
    outfile::OutFile,
    say,
};
use crate::{
    correlate::{Root, process_span_id, run_trace_id},
    environ::{self, AllowList},
    event::TaskId,
    exchange::Limits,
    pipeline::{self, Pipeline},
    redact::CleanSpan,
};

/// Batches of spans between `collect` and `deliver`. Full: `collect` waits, and then the ring fills
/// up, where the kernel side counts what is lost.
const BATCHES: usize = 64;
/// Exit status where the command was not run, as `env` and `nohup` have it.
const NOT_RUN: u8 = 125;

pub fn main(options: &RunOptions) -> ExitCode {
    let command = match CommandLine::new(options) {
        Ok(command) => command,
        Err(error) => {
            say::line(format_args!("cannot run the command: {}", say::chain(&error)));
            return ExitCode::from(NOT_RUN);
        }
    };
    match Session::prepare(options, &command) {
        Ok(session) => session.run(options, command),
        Err(error) => {
            say::line(format_args!("cannot trace: {}", say::chain(error.as_ref())));
            say::line("`lynceus doctor` says what is missing and what to do");
            untraced(options, command)
        }
    }
}

/// The command matters more than its trace, unless the user says otherwise.
fn untraced(options: &RunOptions, command: CommandLine) -> ExitCode {
    if options.strict {
        return ExitCode::from(NOT_RUN);
    }
    say::line("the command runs untraced; --strict would not run it");
    let forwarder = Forwarder::install();
    match command.start(&forwarder) {
        Ok(running) => thread::scope(|threads| {
            threads.spawn(|| forwarder.run());
            let ended = running.wait(&forwarder);
            forwarder.close();
            ended.exit_code()
        }),
        Err(error) => not_started(&error),
    }
}

fn not_started(error: &StartError) -> ExitCode {
    say::line(say::chain(error));
    error.exit_code()
}

/// All is in place for the command.
struct Session {
    probes: Probes,
    pipeline: Pipeline,
    deliverer: Deliverer,
    root: Root,
}

impl Session {
    /// Everything that can go wrong before the command runs.
    fn prepare(options: &RunOptions, command: &CommandLine) -> anyhow::Result<Self> {
        let environment = Environment(&config::process_environment);
        let ignored = config::OF_SPANS.unsupported(&environment);
        or_without(options, "the value is ignored", ignored.map_or(Ok(()), Err))?;
        let protocol = options.spans.otlp_protocol;
        let endpoint = endpoint::spans(options.spans.otlp.as_deref(), protocol, &environment);
        let endpoint = or_without(options, "spans are not exported", endpoint)?;
        let exporter = endpoint.as_ref().map(Exporter::new).transpose();
        let exporter = or_without(options, "spans are not exported", exporter)?;
        let name = options.service_name.as_deref();
        let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let (resource, wrong) = config::resource(name, &command.name(), host_name, &environment);
        or_without(options, "the variable is ignored", wrong.map_or(Ok(()), Err))?;
        let sampler = config::sampler(&environment);
        let sampler = or_without(options, "the default sampler is used", sampler)?;
        let out = options.spans.out.as_deref().map(OutFile::create).transpose();
        let out = or_without(options, "no file is written", out)?;
        let probes = attached(options)?;

        let boot_id = clocks::boot_id()?;
        let (pid, start_ticks) = (std::process::id(), clocks::own_start_ticks()?);
        // The command's process is not there yet: its span takes the id of this one.
        let first = TaskId { pid, _pad: 0, start_ns: start_ticks };
        let root = Root {
            trace_id: run_trace_id(&boot_id, pid, start_ticks),
            span_id: options.propagate.then(|| process_span_id(&boot_id, first)),
            above: environ::context_of(environment.0),
        };
        let pipeline = Pipeline::new(pipeline::Config {
            boot_id,
            root: root.clone(),
            machine: machine::machine(clocks::both())?,
            sampler,
            allow: AllowList(options.spans.env_attributes.clone()),
            limits: Limits {
                requests_per_second: options.spans.requests_per_second,
                spans_per_second: 0,
            },
            instrumented: options.spans.instrumented(),
        });
        let deliverer = Deliverer::new(resource, out, exporter, Some(report::waterfall(options)));
        Ok(Self { probes, pipeline, deliverer, root })
    }

    fn run(self, options: &RunOptions, mut command: CommandLine) -> ExitCode {
        let Self { mut probes, pipeline, deliverer, root } = self;
        command.propagate(&root);
        let forwarder = Forwarder::install();
        if let Err(error) = probes.adopt_self() {
            say::line(format_args!("cannot trace: {}", say::chain(&error)));
            return untraced(options, command);
        }
        let started = command.start(&forwarder);
        if let Err(error) = probes.release_self() {
            say::line(format_args!("tracing may include our own work: {}", say::chain(&error)));
        }
        let running = match started {
            Ok(running) => running,
            Err(error) => return not_started(&error),
        };
        let progress = Progress::default();
        let (batches, incoming) = sync_channel::<Vec<CleanSpan>>(BATCHES);
        let collector = Collector::new(probes, pipeline, options);
        let (ended, collected, delivered) = thread::scope(|threads| {
            threads.spawn(|| forwarder.run());
            let deliver = threads.spawn(|| deliverer.run(incoming));
            let collect = threads.spawn(|| collector.run(&progress, &forwarder, batches));
            let ended = running.wait(&forwarder);
            progress.command_ended();
            let (collected, delivered) = (collect.join(), deliver.join());
            forwarder.close();
            (ended, collected, delivered)
        });
        match (collected, delivered) {
            (Ok(Ok(collected)), Ok(delivered)) => report::print(options, &collected, delivered),
            (Ok(Err(error)), _) => {
                say::line(format_args!("tracing ended early: {}", say::chain(&error)));
            }
            // A thread that panicked has said so itself.
            (Err(_), _) | (_, Err(_)) => say::line("tracing ended early: this is a bug"),
        }
        ended.exit_code()
    }
}

/// What cannot be used is done without, and said; with `--strict` it is an error.
fn or_without<T: Default, E: std::error::Error + Send + Sync + 'static>(
    options: &RunOptions,
    consequence: &str,
    result: Result<T, E>,
) -> Result<T, E> {
    match result {
        Err(error) if !options.strict => {
            say::line(format_args!("{consequence}: {}", say::chain(&error)));
            Ok(T::default())
        }
        result => result,
    }
}

/// Probes that wait for their first process.
fn attached(options: &RunOptions) -> anyhow::Result<Probes> {
    let log = if options.probe_log { ProbeLog::On } else { ProbeLog::Off };
    let mut probes = Probes::load(Options {
        pins: None,
        ring_bytes: options.ring_bytes,
        max_tasks: options.spans.max_processes,
        requests_per_second: options.spans.requests_per_second,
        cgroups: None,
        log,
    })?;
    probes.attach(options.attach.into()).inspect_err(|error| {
        if let Some(log) = verifier_log(error) {
            say::line(format_args!("the kernel's verifier said:\n{log}"));
        }
    })?;
    let Some(wanted) = options.spans.capture.wanted() else { return Ok(probes) };
    if wanted == Capture::Auto {
        // `doctor` says why it cannot be.
        drop(probes.attach_requests(wanted));
        return Ok(probes);
    }
    probes.attach_requests(wanted).inspect_err(|error| {
        if let Some(log) = verifier_log(error) {
            say::line(format_args!("the kernel's verifier said:\n{log}"));
        }
    })?;
    Ok(probes)
}
