//! Ring -> pipeline -> batches of spans, until the command ended and the ring is empty.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

use aya_log::EbpfLogger;

use super::signals::Forwarder;
use crate::{
    event::Left,
    host::{
        cli::RunOptions,
        clocks::{self, Deadline, Every},
        load::{LoadError, Probes},
        ring::Ring,
        say,
        state::Counts,
        sweep::SWEEP,
    },
    loss::Ledger,
    pipeline::Pipeline,
    record,
    redact::CleanSpan,
};

/// How long a record may wait in a ring that does not fill up.
const TICK: Duration = Duration::from_millis(20);
/// How long what was emitted at the very end may take to arrive.
const LAST: Duration = Duration::from_secs(1);
/// Spans of one batch.
const BATCH: usize = 256;
/// What of a recording is kept in memory before it is written.
const RECORDING_BYTES: usize = 1 << 20;

/// How far the command is.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicBool);

impl Progress {
    pub(super) fn command_ended(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

pub(super) struct Collector {
    probes: Probes,
    pipeline: Pipeline,
    wait: bool,
    recording: Option<PathBuf>,
    probe_log: bool,
}

/// What there is to say at the end.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) ledger: Ledger,
    pub(super) held: u64,
    /// What the kernel side counted; its losses are in the ledger too.
    pub(super) counts: Counts,
}

impl Collector {
    pub(super) fn new(probes: Probes, pipeline: Pipeline, options: &RunOptions) -> Self {
        Self {
            probes,
            pipeline,
            wait: options.wait,
            recording: options.record.clone(),
            probe_log: options.probe_log,
        }
    }

    pub(super) fn run(
        mut self,
        progress: &Progress,
        forwarder: &Forwarder,
        batches: SyncSender<Vec<CleanSpan>>,
    ) -> Result<Collected, LoadError> {
        let mut ring = Ring::new(self.probes.take_ring()?);
        let mut log = self.probe_log.then(|| ProbeLogger::new(&mut self.probes)).flatten();
        let mut recording = self.recording.take().and_then(Recording::create);
        let mut out = Vec::with_capacity(BATCH);
        let send = |out: &mut Vec<CleanSpan>, at_least: usize| {
            if out.len() >= at_least {
                // It fails only if `deliver` panicked, which is reported when it is joined.
                let _gone = batches.send(std::mem::replace(out, Vec::with_capacity(BATCH)));
            }
        };
        let (mut missed, mut received) = (0, 0);
        // When the probes are detached: what they emitted, and how long to wait for it.
        let mut last: Option<(u64, Deadline)> = None;
        let mut sweep = Every::seconds(SWEEP);
        loop {
            if last.is_none()
                && progress.has_ended()
                && (!self.wait || forwarder.is_interrupted() || self.probes.tracked()? == 0)
            {
                // A probe that still runs may emit one more, and then it counts it.
                missed = self.probes.detach()?;
                ring.wait(TICK / 10);
                last = Some((self.probes.counts()?.emitted, Deadline::after(LAST)));
            }
            ring.drain(|record| {
                received += 1;
                if let Some(recording) = &mut recording {
                    recording.append(record);
                }
                self.pipeline.record(record, &mut out);
                send(&mut out, BATCH);
            });
            let now = clocks::boot();
            self.pipeline.tick(now, &mut out);
            if sweep.is_due(now) {
                self.pipeline.abandon(&self.probes.sweep(now)?, now, &mut out);
            }
            if let Some(log) = &mut log {
                log.0.flush();
            }
            send(&mut out, 1);
            match last {
                Some((emitted, deadline)) if received >= emitted || deadline.left().is_zero() => {
                    break;
                }
                Some(_) => ring.wait(TICK / 10),
                None => ring.wait(TICK),
            }
        }
        let left = self.probes.left().unwrap_or_else(|error| {
            say::line(format_args!("what still runs is not known: {}", say::chain(&error)));
            Left::default()
        });
        self.pipeline.finish(clocks::boot(), &left, &mut out);
        send(&mut out, 1);
        let counts = self.probes.counts()?;
        if let Some(recording) = recording {
            recording.finish();
        }
        let ledger = self.pipeline.ledger_mut();
        counts.enter(missed, ledger);
        Ok(Collected { ledger: *ledger, held: self.pipeline.held(), counts })
    }
}

/// `--probe-log`: what the probes say, on stderr.
struct ProbeLogger(EbpfLogger<&'static dyn log::Log>);

struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        say::line(format_args!("probe: {}", record.args()));
    }

    fn flush(&self) {}
}

impl ProbeLogger {
    fn new(probes: &mut Probes) -> Option<Self> {
        static STDERR: Stderr = Stderr;
        let logger: &'static dyn log::Log = &STDERR;
        EbpfLogger::init_with_logger(probes.ebpf_mut(), logger)
            .inspect_err(|error| say::line(format_args!("no probe log: {}", say::chain(error))))
            .map(Self)
            .ok()
    }
}

/// `--record`: the kernel's records in a file.
struct Recording {
    file: File,
    bytes: Vec<u8>,
}

impl Recording {
    fn create(path: PathBuf) -> Option<Self> {
        // It holds secrets: for nobody else.
        OpenOptions::new()
            .mode(0o600)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .inspect_err(|error| say::line(format_args!("creating {}: {error}", path.display())))
            .map(|file| Self { file, bytes: Vec::new() })
            .ok()
    }

    fn append(&mut self, record: &[u8]) {
        record::append(&mut self.bytes, record);
        if self.bytes.len() >= RECORDING_BYTES {
            self.write();
        }
    }

    fn write(&mut self) {
        if let Err(error) = self.file.write_all(&self.bytes) {
            say::line(format_args!("writing the recording: {error}"));
        }
        self.bytes.clear();
    }

    fn finish(mut self) {
        self.write();
    }
}
