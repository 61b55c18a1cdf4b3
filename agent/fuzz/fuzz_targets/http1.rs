//! Any bytes are heads and bodies or refused, the same in whatever calls they come; and any bytes
//! are a head or none.
#![no_main]

use abi::http1::{Step, Stream};
use agent::protocol::http1;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _read = http1::head(bytes);
    let whole = follow(bytes, bytes.len());
    for split in [1, 3, 8] {
        assert_eq!(follow(bytes, split), whole, "in calls of {split} bytes");
    }
});

/// What the probe does to one direction, with `split` bytes a call: where what ended.
fn follow(bytes: &[u8], split: usize) -> Vec<(usize, Step)> {
    let mut stream = Stream::NEW;
    let mut ends = Vec::new();
    let mut at = 0;
    for call in bytes.chunks(split.max(1)) {
        let mut rest = call;
        while let Some((byte, others)) = rest.split_first() {
            let step = if stream.phase.is_counted() {
                let (passed, step) = stream.pass_over(rest.len() as u64);
                let passed = usize::try_from(passed).expect("no more than there is");
                at += passed;
                rest = &rest[passed..];
                step
            } else if stream.phase.is_head() || stream.phase.is_framing() {
                at += 1;
                rest = others;
                stream.take(*byte)
            } else {
                return ends;
            };
            match step {
                Step::More | Step::ChunkFollows => {}
                Step::HeadEnded => ends.push((at, stream.begin_body(false, false))),
                Step::MessageEnded | Step::Refused => ends.push((at, step)),
            }
        }
    }
    ends
}
