//! Any bytes are frames of HTTP/2, with the same messages in them in whatever calls they come.
#![no_main]

use std::collections::HashMap;

use abi::{
    http1::{Bytes, Phase, Stream},
    http2::{Open, Position},
};

/// Of a frame: where it begins and ends, its stream and how many messages end in it.
type Told = [u64; 3];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let whole = follow(bytes, bytes.len());
    for split in [1, 3, 8, 41] {
        assert_eq!(follow(bytes, split), whole, "in calls of {split} bytes");
    }
    for [before, after, last] in whole {
        for place in [before, after].map(Position) {
            assert!(place.left().is_some() != place.came().is_some(), "{place:?}");
        }
        assert!(last >> 32 <= bytes.len() as u64);
    }
});

/// What the probe does to one direction, with `split` bytes a call.
fn follow(bytes: &[u8], split: usize) -> Vec<Told> {
    let mut stream = Stream::NEW;
    stream.expect_frames();
    let (mut kept, mut told) = (HashMap::new(), Vec::new());
    for call in bytes.chunks(split.max(1)) {
        let mut rest = call;
        while !rest.is_empty() {
            let passed = if stream.phase != Phase::DATA {
                let (piece, mut scan) = Bytes::of(&stream, rest, 0);
                stream.take(&mut scan, &piece);
                scan.taken()
            } else if stream.awaits_open() {
                let open = kept.get(&stream.data_stream()).copied();
                stream.reopen(open.unwrap_or(Open::NONE));
                0
            } else {
                let passed = data(&mut stream, rest);
                if stream.phase != Phase::DATA {
                    over(&mut stream, &mut kept, &mut told);
                }
                passed
            };
            rest = &rest[usize::try_from(passed).expect("no more than there is")..];
        }
    }
    told
}

fn data(stream: &mut Stream, rest: &[u8]) -> u64 {
    let count = stream.prefix_bytes(rest.len() as u64);
    if count == 0 {
        return stream.pass_message(rest.len() as u64);
    }
    let prefix = rest.iter().take(count as usize).rev();
    stream.take_prefix(prefix.fold(0, |word, byte| (word << 8) | u64::from(*byte)), count);
    count
}

fn over(stream: &mut Stream, kept: &mut HashMap<u32, Open>, told: &mut Vec<Told>) {
    let Some(open) = stream.open() else { return };
    let number = stream.data_stream();
    if open.position == Position::BETWEEN {
        kept.remove(&number);
    } else {
        stream.keeps_messages();
        kept.insert(number, open);
    }
    if stream.has_begun() {
        told.push(stream.counted());
    }
}
