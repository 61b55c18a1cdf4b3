//! Any records, in any order: the ledger balances after each, and nothing is held at the end.
#![no_main]

use agent::{
    assemble::Machine,
    clock::Clock,
    correlate::{Root, run_trace_id},
    environ::AllowList,
    event::{BootNanos, Left},
    exchange::Limits,
    otlp,
    pipeline::{Config, Instrumented, Pipeline},
    record,
    sample::Sampler,
    span::UnixNanos,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut pipeline = Pipeline::new(Config {
        boot_id: "boot".to_owned(),
        root: Root { trace_id: run_trace_id("boot", 1, 2), span_id: None, above: None },
        machine: Machine { clock: Clock::new(BootNanos(0), UnixNanos(1)), page_bytes: 4096 },
        sampler: Sampler::default(),
        allow: AllowList(vec!["STAGE".to_owned()]),
        instrumented: Instrumented::Keep,
        limits: Limits { requests_per_second: 3, ..Limits::default() },
    });
    let mut out = Vec::new();
    for each in record::records(bytes) {
        pipeline.record(each, &mut out);
        assert!(pipeline.ledger().balances(pipeline.held()), "{:?}", pipeline.ledger());
    }
    pipeline.finish(BootNanos(u64::MAX), &Left::default(), &mut out);
    assert_eq!(pipeline.held(), 0);
    assert!(pipeline.ledger().balances(0), "{:?}", pipeline.ledger());
    assert!(out.iter().all(|span| span.span().start <= span.span().end));
    let request = otlp::request(&agent::span::Resource::default(), out);
    assert!(otlp::json_line(&request).is_ok());
});
