//! Any bytes are heads and bodies or refused, the same in whatever calls they come; and any bytes
//! are a head or none.
#![no_main]

use abi::http1::{Bytes, Step, Stream};
use agent::protocol::http1;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _read = http1::head(bytes);
    let whole = follow(bytes, bytes.len(), 0);
    for (split, behind) in [(1, b'\n'), (3, b'A'), (8, b'0'), (41, b' ')] {
        assert_eq!(follow(bytes, split, behind), whole, "in calls of {split} bytes");
    }
});

/// What the probe does to one direction, with `split` bytes a call: where what ended.
fn follow(bytes: &[u8], split: usize, behind: u8) -> Vec<(usize, Step)> {
    let mut stream = Stream::NEW;
    let mut ends = Vec::new();
    let mut at = 0;
    for call in bytes.chunks(split.max(1)) {
        let mut rest = call;
        while !rest.is_empty() {
            let (taken, step) = if stream.phase.is_counted() {
                stream.pass_over(rest.len() as u64)
            } else if stream.phase.is_head() || stream.phase.is_framing() {
                let (piece, mut scan) = Bytes::of(&stream, rest, behind);
                let step = stream.take(&mut scan, &piece);
                (scan.taken(), step)
            } else {
                return ends;
            };
            let taken = usize::try_from(taken).expect("no more than there is");
            at += taken;
            rest = &rest[taken..];
            match step {
                Step::More | Step::ChunkFollows => {}
                Step::HeadEnded => ends.push((at, stream.begin_body(false, false))),
                Step::MessageEnded => ends.push((at, step)),
                // Told as soon as a piece shows it.
                Step::Refused => ends.push((0, step)),
            }
        }
    }
    ends
}
