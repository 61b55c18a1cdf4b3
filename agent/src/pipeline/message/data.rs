//! What the probe does with the payload of DATA frames.

use abi::{
    http1::Phase,
    http2::{Open, Position},
};

use super::{Following, Walk};

/// What is to be told of.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) offset: u64,
    pub(super) frames: Vec<u8>,
    pub(super) is_counted: bool,
}

impl Held {
    pub(super) fn hold(&mut self, offset: u64, frames: &[u8]) {
        self.offset = offset;
        self.frames = frames.to_vec();
    }
}

impl Following {
    /// Gives how many bytes were passed over.
    pub(super) fn data(&mut self, walk: &mut Walk, rest: &[u8]) -> u64 {
        let run = rest.len() as u64;
        if walk.stream.phase == Phase::PREFACE {
            return walk.stream.pass_frame(run);
        }
        if walk.stream.awaits_open() {
            let key = (walk.stream.data_stream(), walk.direction as u32);
            let open = self.open_messages.get(&key).copied();
            walk.stream.reopen(open.unwrap_or(Open::NONE));
            return 0;
        }
        let mut passed = walk.stream.prefix_bytes(run);
        if passed > 0 {
            let prefix = rest.iter().zip(0..passed);
            let word = prefix.fold(0, |word, (byte, at)| word | (u64::from(*byte) << (8 * at)));
            walk.stream.take_prefix(word, passed);
        } else {
            passed = walk.stream.pass_message(run);
        }
        walk.stream.body_bytes += passed;
        if walk.stream.left == 0 {
            self.payload(walk);
            self.emit_held(walk);
        }
        passed
    }

    fn payload(&mut self, walk: &mut Walk) {
        let Some(open) = walk.stream.open() else { return };
        let key = (walk.stream.data_stream(), walk.direction as u32);
        if open.position == Position::BETWEEN {
            self.open_messages.remove(&key);
        } else {
            walk.stream.keeps_messages();
            self.open_messages.insert(key, open);
        }
        walk.held.is_counted = walk.stream.has_begun();
    }
}
