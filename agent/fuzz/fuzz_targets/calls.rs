//! Any calls on a connection, some moved where nobody sees: the account holds after each record, and it
//! does not matter whether a call comes in pieces.
#![no_main]

#[path = "../../src/pipeline/message/mod.rs"]
#[expect(unused_imports, reason = "others make connections and headers of their own with it")]
mod message;

use abi::{socket::ConnectionId, task::TaskId};
use agent::{
    assemble::Machine,
    clock::Clock,
    correlate::{Root, run_trace_id},
    environ::AllowList,
    event::{BootNanos, Left},
    exchange::Limits,
    pipeline::{Config, Instrumented, Pipeline},
    sample::Sampler,
    span::{Span, UnixNanos},
};
use message::{Direction, Following, Moved};

/// A call: when, which way, and what it moved.
struct Call<'a> {
    now_ns: u64,
    direction: Direction,
    moved: Moved<'a>,
}

/// Of each its flags and its length, and the bytes that are seen.
fn calls(mut input: &[u8]) -> Vec<Call<'_>> {
    let (mut calls, mut now_ns) = (Vec::new(), 100_u64);
    while let [flags, len, len_high, rest @ ..] = input {
        let len = u16::from_le_bytes([*len, *len_high]);
        let (bytes, behind) = rest.split_at(usize::from(len).min(rest.len()));
        now_ns = now_ns.saturating_add((1 << (flags >> 2)) - 1);
        let direction = if flags & 1 == 0 { Direction::Received } else { Direction::Sent };
        let is_seen = flags & 2 == 0;
        let moved = if is_seen { Moved::Seen(bytes) } else { Moved::Hidden(u64::from(len)) };
        calls.push(Call { now_ns, direction, moved });
        input = if is_seen { behind } else { rest };
    }
    calls
}

/// The spans, and how often bytes were no frame.
fn spans(calls: &[Call<'_>], step: usize, behind: u8) -> (Vec<Span>, u64) {
    let mut pipeline = Pipeline::new(Config {
        boot_id: "boot".to_owned(),
        root: Root { trace_id: run_trace_id("boot", 1, 2), span_id: None, above: None },
        machine: Machine { clock: Clock::new(BootNanos(0), UnixNanos(1)), page_bytes: 4096 },
        sampler: Sampler::default(),
        allow: AllowList::default(),
        instrumented: Instrumented::Keep,
        limits: Limits::default(),
    });
    let process = TaskId { pid: 10, _pad: 0, start_ns: 50 };
    let id = ConnectionId { sock: 7, since_ns: 90 };
    let mut following = Following::new(process, id, (5000, 80), behind);
    let mut out = Vec::new();
    let mut take = |following: &mut Following, pipeline: &mut Pipeline| {
        for record in following.take_records() {
            pipeline.record(&record, &mut out);
            assert!(pipeline.ledger().balances(pipeline.held()), "{:?}", pipeline.ledger());
        }
    };
    let mut now_ns = 0;
    for call in calls {
        now_ns = call.now_ns;
        match call.moved {
            Moved::Seen(bytes) => {
                for piece in bytes.chunks(step) {
                    following.moved(call.direction, Moved::Seen(piece), now_ns);
                }
            }
            hidden @ Moved::Hidden(_) => following.moved(call.direction, hidden, now_ns),
        }
        take(&mut following, &mut pipeline);
    }
    following.over(now_ns);
    take(&mut following, &mut pipeline);
    pipeline.finish(BootNanos(now_ns), &Left::default(), &mut out);
    assert!(pipeline.ledger().balances(0), "{:?}", pipeline.ledger());
    // Of how many records each was made is another matter, and so is when a connection that is given
    // up in the middle of a call was last followed: that is by calls.
    let timeless = |span: &Span| Span { records: 0, end: UnixNanos(0), ..span.clone() };
    let spans = out.iter().map(|span| timeless(span.span())).collect();
    (spans, pipeline.ledger().http2.out_of_step)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let calls = calls(input);
    let (whole, out_of_step) = spans(&calls, usize::MAX, 0);
    for (step, behind) in [(1, b'\n'), (7, b'A')] {
        let (pieces, _) = spans(&calls, step, behind);
        // Behind what is no frame frames are sought where a record begins.
        assert!(out_of_step > 0 || pieces == whole, "{step} bytes: {pieces:#?}, not {whole:#?}");
    }
});
