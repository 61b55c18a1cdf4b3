//! Any runs of bytes, with any holes, are a connection: each exchange that begins comes out once, and
//! where nothing is missing it does not matter how the bytes are cut.
#![no_main]

use agent::{
    event::BootNanos,
    protocol::{
        Direction, Exchange,
        http2::{Connection, Counts, limit},
    },
};

/// A run: flags, bytes that are left out before it, its length, its bytes.
struct Run<'a> {
    direction: Direction,
    time: BootNanos,
    offset: u64,
    bytes: &'a [u8],
}

fn runs(mut input: &[u8]) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    let (mut request, mut response, mut time) = (0, 0, 0_u64);
    while let [flags, gap, gap_high, len, len_high, rest @ ..] = input {
        let len = usize::from(u16::from_le_bytes([*len, *len_high])).min(rest.len());
        let (bytes, rest) = rest.split_at(len);
        let direction = if flags & 1 == 0 { Direction::Request } else { Direction::Response };
        let at = if flags & 1 == 0 { &mut request } else { &mut response };
        let gap = u64::from(u16::from_le_bytes([*gap, *gap_high]));
        // Some come again.
        let offset = if flags & 2 == 0 { *at + gap } else { gap.min(*at) };
        *at = offset + len as u64;
        time = u64::saturating_add(time, (1 << (flags >> 2)) - 1);
        runs.push(Run { direction, time: BootNanos(time), offset, bytes });
        input = rest;
    }
    runs
}

fn seen(runs: &[Run<'_>], step: usize) -> (Vec<Exchange>, Counts) {
    let (mut connection, mut out, mut counts) = (Connection::new(), Vec::new(), Counts::default());
    let mut check = |connection: &mut Connection, out: &Vec<Exchange>| {
        counts += connection.take_counts();
        assert_eq!(counts.exchanges, (out.len() + connection.open()) as u64);
        assert!(connection.open() <= limit::MAX_STREAMS);
        counts
    };
    for run in runs {
        let parts = run.bytes.chunks(step).zip((run.offset..).step_by(step));
        for (part, offset) in parts {
            connection.bytes(run.direction, run.time, offset, part, &mut out);
        }
        check(&mut connection, &out);
    }
    connection.closed(BootNanos(u64::MAX), &mut out);
    let counts = check(&mut connection, &out);
    assert_eq!(connection.open(), 0);
    (out, counts)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let runs = runs(input);
    let (out, counts) = seen(&runs, usize::MAX);
    for exchange in &out {
        assert!(exchange.request_first <= exchange.request_last);
        assert!(exchange.response_first <= exchange.response_last);
        assert!(exchange.request_first <= exchange.end);
        assert!(exchange.request.target.len() <= 3 * limit::MAX_TARGET_BYTES + 3);
    }
    let mut ordinals: Vec<u64> = out.iter().map(|exchange| exchange.ordinal).collect();
    ordinals.sort_unstable();
    assert!(ordinals.into_iter().eq(0..counts.exchanges));
    if counts.out_of_step == 0 && counts.overlap_bytes == 0 {
        assert_eq!(seen(&runs, 1).0, out);
    }
});
