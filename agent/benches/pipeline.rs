//! Records a second, from a recording: `cargo xtask bench` makes one and hands it over.
#![expect(clippy::print_stdout, reason = "prints its figures")]

use std::time::{Duration, Instant};

use agent::{
    assemble::Machine,
    clock::Clock,
    correlate::{Root, run_trace_id},
    decode::decode,
    environ::AllowList,
    event::{BootNanos, Left},
    exchange::Limits,
    otlp,
    pipeline::{Config, Instrumented, Pipeline},
    record,
    redact::CleanSpan,
    sample::Sampler,
    span::UnixNanos,
};
use prost::Message as _;

fn main() {
    // Cargo adds `--bench` of its own.
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(recording) = file.and_then(|file| std::fs::read(file).ok()) else {
        println!("no recording given: run `cargo xtask bench`");
        return;
    };
    let records: Vec<&[u8]> = record::records(&recording).collect();
    let bytes = recording.len() / records.len().max(1);
    println!("{} records of {bytes} bytes on average", records.len());
    report("decode alone", &records, |records| {
        records.iter().filter(|record| decode(record).is_ok()).count()
    });
    report("record to clean span", &records, |records| line(records, |batch| batch.len()));
    let resource = agent::span::Resource::default();
    report("record to OTLP/protobuf", &records, |records| {
        line(records, |batch| otlp::request(&resource, batch).encode_to_vec().len())
    });
}

/// Runs the line, and hands its spans on in batches, as `lynceus run` does.
fn line(records: &[&[u8]], mut deliver: impl FnMut(Vec<CleanSpan>) -> usize) -> usize {
    let mut pipeline = Pipeline::new(Config {
        boot_id: "b7a2c1d0-0000-4000-8000-000000000000".to_owned(),
        root: Root { trace_id: run_trace_id("b", 1, 2), span_id: None, above: None },
        machine: Machine { clock: Clock::new(BootNanos(0), UnixNanos(1)), page_bytes: 4096 },
        sampler: Sampler::default(),
        allow: AllowList::default(),
        instrumented: Instrumented::default(),
        limits: Limits::default(),
    });
    let (mut spans, mut delivered) = (Vec::new(), 0);
    for record in records {
        pipeline.record(record, &mut spans);
        if spans.len() >= 256 {
            delivered += deliver(std::mem::take(&mut spans));
        }
    }
    pipeline.finish(BootNanos(u64::MAX), &Left::default(), &mut spans);
    delivered + deliver(spans)
}

/// The best of what fits into two seconds: other work on the machine only ever makes it slower.
fn report(name: &str, records: &[&[u8]], run: impl Fn(&[&[u8]]) -> usize) {
    let (mut best, mut spent) = (Duration::MAX, Duration::ZERO);
    while spent < Duration::from_secs(2) {
        let start = now();
        std::hint::black_box(run(records));
        let took = start.elapsed();
        best = best.min(took);
        spent += took;
    }
    let per_second = records.len() as f64 / best.as_secs_f64();
    println!("{name:24} {:.2} M records/s", per_second / 1e6);
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads a clock")]
fn now() -> Instant {
    Instant::now()
}
