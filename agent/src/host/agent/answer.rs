//! What the thread that reads the ring answers.

use std::sync::{
    atomic::{AtomicU64, Ordering},
    mpsc::Receiver,
};

use super::{
    QUESTIONS,
    collect::{Collector, Lists},
    question::{Health, Question},
};
use crate::{
    event::BootNanos,
    host::{
        clocks,
        load::LoadError,
        memory::Now,
        metric::{Metric, Unit, Values, number},
        progress::Progress,
        say,
        state::Program,
    },
    kube::node::PodState,
    loss::{Ledger, Loss},
    span::SpanKind,
};

/// Spans that were made, by what they are of.
#[derive(Debug, Default)]
pub(super) struct Made {
    counts: [u64; KINDS.len()],
}

const KINDS: [&str; 5] = ["pod", "container", "process", "client", "server"];

impl Made {
    pub(super) fn add(&mut self, span: &crate::span::Span) {
        let has = |key| span.attribute(key).is_some();
        let kind = match span.kind {
            SpanKind::Client => "client",
            SpanKind::Server => "server",
            SpanKind::Internal if has(crate::span::key::PROCESS_PID) => "process",
            SpanKind::Internal if has(crate::span::key::POD_PHASE) => "pod",
            SpanKind::Internal => "container",
        };
        for (count, _) in self.counts.iter_mut().zip(KINDS).filter(|(_, name)| *name == kind) {
            *count += 1;
        }
    }

    fn metric(&self) -> Metric {
        let values = self.counts.iter().zip(KINDS);
        let values = values.map(|(count, kind)| (vec![("kind", kind.to_owned())], *count));
        Metric::counters("lynceus_spans", "Spans that were made", values.collect())
            .of(Unit::Count("span"))
    }
}

/// What was answered last. Whoever asks again soon gets it again: asking costs the agent little.
#[derive(Debug, Default)]
pub(super) struct Answers {
    metrics: Option<(BootNanos, Vec<Metric>)>,
    pods: Option<(BootNanos, String)>,
}

/// As long as an answer stands.
const FRESH: u64 = 500_000_000;

/// The kept answer, or a new one.
fn fresh<T: Clone, E>(
    kept: &mut Option<(BootNanos, T)>,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let now = clocks::boot();
    match kept {
        Some((at, answer)) if now.0.saturating_sub(at.0) < FRESH => Ok(answer.clone()),
        Some(_) | None => Ok(kept.insert((now, make()?)).1.clone()),
    }
}

impl Collector {
    /// Answers those that ask now.
    pub(super) fn answer(&mut self, questions: &Receiver<Question>) {
        let mut answers = std::mem::take(&mut self.answers);
        // Not those that come meanwhile: the ring is to be read.
        for question in questions.try_iter().take(QUESTIONS) {
            // Who asked may be gone by now.
            match question {
                Question::Health(to) => {
                    let _gone = to.send(Health { is_listed: self.lists == Lists::BOTH });
                }
                Question::Metrics(to) => match fresh(&mut answers.metrics, || self.metrics()) {
                    Ok(metrics) => drop(to.send(metrics)),
                    Err(error) => say::line(format_args!("metrics: {}", say::chain(&error))),
                },
                Question::Pods(to) => {
                    let json = || serde_json::to_string_pretty(&self.node.describe());
                    drop(fresh(&mut answers.pods, json).map(|json| to.send(json)));
                }
            }
        }
        self.answers = answers;
    }

    /// With what was lost in the kernel.
    pub(super) fn ledger(&self) -> Result<Ledger, LoadError> {
        let mut ledger = *self.node.pipeline().ledger();
        self.probes.counts()?.enter(self.probes.missed(), &mut ledger);
        Ok(ledger)
    }

    pub(super) fn metrics(&self) -> Result<Vec<Metric>, LoadError> {
        let mut metrics = records(&self.ledger()?, self.node.held());
        metrics.push(self.made.metric());
        metrics.extend(delivered(&self.progress));
        metrics.extend(self.node_metrics());
        metrics.extend(self.kernel_metrics()?);
        metrics.extend(Now::read().into_iter().flat_map(own));
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        metrics.push(Metric::gauges("lynceus_build", "The agent's version", vec![(version, 1)]));
        Ok(metrics)
    }

    fn node_metrics(&self) -> Vec<Metric> {
        let pods = self.node.describe();
        let count = |state: &str, of: fn(&PodState<'_>) -> bool| {
            let count = pods.iter().filter(|pod| of(pod)).count();
            (vec![("state", state.to_owned())], count as u64)
        };
        let states = vec![
            count("traced", |pod| pod.traced == Some(true)),
            count("not_selected", |pod| pod.traced == Some(false)),
            count("undecided", |pod| pod.traced.is_none()),
        ];
        let processes = self.node.pipeline().running() as u64;
        vec![
            Metric::gauges("lynceus_pods", "Pods of the node that are known", states)
                .of(Unit::Count("pod")),
            Metric::gauge("lynceus_processes", "Processes with a span that run", processes)
                .of(Unit::Count("process")),
        ]
    }

    fn kernel_metrics(&self) -> Result<Vec<Metric>, LoadError> {
        let [run_time, runs] = of_programs(&self.probes.programs());
        let ring = self.probes.ring_bytes().into();
        let memory = self.probes.memory_bytes();
        let tasks = self.probes.tracked()? as u64;
        Ok(vec![
            Metric::gauge("lynceus_ring_size", "Size of the ring", ring).of(Unit::Bytes),
            Metric::gauge(
                "lynceus_ring_peak",
                "Most that was found in the ring at once in the last half minute to minute",
                self.ring_peak.bytes(),
            )
            .of(Unit::Bytes),
            Metric::gauge("lynceus_bpf_memory", "Of maps and programs", memory).of(Unit::Bytes),
            Metric::gauge("lynceus_bpf_tasks", "Entries of the map of traced processes", tasks)
                .of(Unit::Count("process")),
            run_time,
            runs,
        ])
    }
}

/// received = exported + held + lost.
fn records(ledger: &Ledger, held: u64) -> Vec<Metric> {
    let lost = |loss: Loss| (vec![("reason", loss.name().to_owned())], ledger.lost(loss));
    let unfollowed = |(reason, count): (&str, u64)| (vec![("reason", reason.to_owned())], count);
    vec![
        Metric::counter("lynceus_records_received", "Records of the kernel", ledger.received)
            .of(Unit::Count("record")),
        Metric::counter("lynceus_records_exported", "Records in spans", ledger.exported)
            .of(Unit::Count("record")),
        Metric::gauge("lynceus_records_held", "Records that wait for more", held)
            .of(Unit::Count("record")),
        Metric::counters(
            "lynceus_records_lost",
            "Records that are in no span, and why",
            Loss::ALL.into_iter().map(lost).collect(),
        )
        .of(Unit::Count("record")),
        Metric::counter(
            "lynceus_requests_over_budget",
            "Requests beyond those that a process, or its pod, gets spans for in a second",
            ledger.requests_beyond,
        )
        .of(Unit::Count("request")),
        Metric::counter(
            "lynceus_trace_contexts_malformed",
            "Trace contexts that were none",
            ledger.malformed_contexts,
        )
        .of(Unit::Count("context")),
        Metric::counters(
            "lynceus_unfollowed",
            "Heads and connections that were not followed to their end, and why",
            ledger.unfollowed.reasons().map(unfollowed).to_vec(),
        )
        .of(Unit::Count("occurrence")),
    ]
}

fn of_programs(programs: &[Program]) -> [Metric; 2] {
    let of = |value: fn(&Program) -> f64| {
        let labelled =
            |program: &Program| (vec![("program", program.name.clone())], value(program));
        programs.iter().map(labelled).collect()
    };
    let run_time = Metric {
        name: "lynceus_bpf_run",
        help: "Time in the probes; 0 unless kernel.bpf_stats_enabled is 1",
        unit: Unit::Seconds,
        values: Values::Counter(of(|program| number(program.run_ns) / 1e9)),
    };
    let runs = Metric {
        name: "lynceus_bpf_runs",
        help: "Runs of the probes; 0 unless kernel.bpf_stats_enabled is 1",
        unit: Unit::Count("run"),
        values: Values::Counter(of(|program| number(program.runs))),
    };
    [run_time, runs]
}

fn delivered(progress: &Progress) -> Vec<Metric> {
    let of = |output: &str, count: &AtomicU64| {
        (vec![("output", output.to_owned())], count.load(Ordering::Relaxed))
    };
    let outcome = |outcome: &str, count: &AtomicU64| {
        (vec![("outcome", outcome.to_owned())], count.load(Ordering::Relaxed))
    };
    let full = progress.queue_full.load(Ordering::Relaxed);
    let lost = |output: &str, reason: &str, count: u64| {
        let labels = vec![("output", output.to_owned()), ("reason", reason.to_owned())];
        (labels, count)
    };
    vec![
        Metric::counters(
            "lynceus_spans_delivered",
            "Spans that arrived",
            vec![of("otlp", &progress.otlp_sent), of("file", &progress.file_written)],
        )
        .of(Unit::Count("span")),
        Metric::counters(
            "lynceus_spans_lost",
            "Spans that did not arrive",
            vec![
                lost("otlp", "refused", progress.otlp_lost.load(Ordering::Relaxed)),
                lost("otlp", "queue_full", full),
                lost("file", "write", progress.file_lost.load(Ordering::Relaxed)),
            ],
        )
        .of(Unit::Count("span")),
        Metric::gauge(
            "lynceus_spans_waiting",
            "Spans that wait for the network",
            progress.waiting.load(Ordering::Relaxed),
        )
        .of(Unit::Count("span")),
        Metric {
            name: "lynceus_export_latency",
            help: "From the end of a span to when it was taken",
            unit: Unit::Seconds,
            values: Values::Histogram(progress.latency.histogram()),
        },
        Metric::counters(
            "lynceus_metrics_pushes",
            "Times that all of these were sent by OTLP",
            vec![
                outcome("taken", &progress.pushes_taken),
                outcome("failed", &progress.pushes_failed),
            ],
        )
        .of(Unit::Count("push")),
    ]
}

/// As the Prometheus libraries name them.
fn own(now: Now) -> Vec<Metric> {
    vec![
        Metric {
            name: "process_cpu",
            help: "CPU time of the agent",
            unit: Unit::Seconds,
            values: Values::Counter(vec![(Vec::new(), now.cpu.as_secs_f64())]),
        },
        Metric::gauge("process_resident_memory", "Memory of the agent", now.resident_bytes)
            .of(Unit::Bytes),
        Metric::gauge("process_open_fds", "Open descriptors of the agent", now.descriptors)
            .of(Unit::Count("descriptor")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::metric::text::text;

    /// Dashboards and alerts know them by these names.
    #[test]
    fn metrics_have_the_names_that_dashboards_know() {
        let program = Program { name: "exec".to_owned(), run_ns: 1_500_000_000, runs: 3 };
        let mut metrics = records(&Ledger::default(), 7);
        metrics.push(Made::default().metric());
        metrics.extend(of_programs(&[program]));
        let text = text(metrics).unwrap();
        let mut expected: Vec<String> = [
            "lynceus_records_received_total 0.0",
            "lynceus_records_exported_total 0.0",
            "lynceus_records_held 7.0",
            "lynceus_requests_over_budget_total 0.0",
            "lynceus_trace_contexts_malformed_total 0.0",
            "lynceus_bpf_run_seconds_total{program=\"exec\"} 1.5",
            "lynceus_bpf_runs_total{program=\"exec\"} 3.0",
        ]
        .map(str::to_owned)
        .into();
        expected.extend(KINDS.map(|kind| format!("lynceus_spans_total{{kind=\"{kind}\"}} 0.0")));
        let lost =
            |loss: Loss| format!("lynceus_records_lost_total{{reason=\"{}\"}} 0.0", loss.name());
        expected.extend(Loss::ALL.map(lost));
        let unfollowed = Ledger::default().unfollowed.reasons();
        let unfollowed = unfollowed
            .map(|(reason, _)| format!("lynceus_unfollowed_total{{reason=\"{reason}\"}} 0.0"));
        expected.extend(unfollowed);
        for line in &expected {
            assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
        }
        let values = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(values, expected.len(), "{text}");
    }
}
