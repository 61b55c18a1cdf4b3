//! Any bytes are frames of HTTP/2 or refused, the same in whatever calls they come; of DATA nothing is
//! shown.
#![no_main]

use abi::http1::{Bytes, Phase, Step, Stream};

const HEADERS: u8 = 1;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for first in [Phase::FIRST_FRAME, Phase::PREFACE] {
        if first == Phase::FIRST_FRAME && bytes.get(3) == Some(&HEADERS) {
            // Where a connection is met half-way does matter.
            continue;
        }
        let whole = follow(bytes, first, bytes.len(), 0);
        for (split, behind) in [(1, 4), (3, 0), (8, 0xff), (41, b' ')] {
            assert_eq!(follow(bytes, first, split, behind), whole, "in calls of {split} bytes");
        }
    }
});

/// What the probe does to one direction, with `split` bytes a call: which bytes are shown, and at the
/// end what comes next.
fn follow(bytes: &[u8], first: Phase, split: usize, behind: u8) -> (Vec<usize>, Phase, u64) {
    let mut stream = Stream::NEW;
    if first == Phase::PREFACE {
        stream.begin_http2();
    }
    stream.phase = first;
    let (mut shown, mut at) = (Vec::new(), 0);
    for call in bytes.chunks(split.max(1)) {
        let mut rest = call;
        while !rest.is_empty() {
            let taken = if stream.phase.is_passed_over() {
                stream.pass_frame(rest.len() as u64)
            } else {
                let (piece, mut scan) = Bytes::of(&stream, rest, behind);
                if stream.take(&mut scan, &piece) == Step::Refused {
                    // Told as soon as a piece shows it.
                    return (Vec::new(), stream.phase, 0);
                }
                shown.extend(at..at + length(scan.taken()));
                scan.taken()
            };
            assert!(taken > 0, "something is taken in each turn");
            at += length(taken);
            rest = &rest[length(taken)..];
        }
    }
    (shown, stream.phase, stream.left)
}

fn length(taken: u64) -> usize {
    usize::try_from(taken).expect("no more than there is")
}
