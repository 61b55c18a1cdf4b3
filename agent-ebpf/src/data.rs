//! DATA frames of HTTP/2: where in their payload messages of gRPC begin. The five bytes in front of
//! each are looked at, and stay here.
#![expect(unsafe_code, reason = "map values are shared with other CPUs")]

use abi::{
    http1::Phase,
    http2::{Open, Position},
    socket::MessageKey,
};

use crate::{
    maps::OPEN_MESSAGES,
    message::{Following, Next, Piece},
};

impl Following {
    /// The next of the client's preface, or of a frame's payload: what is kept of its stream, a prefix, or what is behind it.
    #[inline(always)]
    pub(crate) fn data(&self, run: u64) -> Next {
        let walk = self.walk();
        if walk.stream.phase == Phase::PREFACE {
            walk.buffers.pass(walk.stream.pass_frame(run));
            return Next::More;
        }
        if walk.stream.awaits_open() {
            self.reopen();
            return Next::More;
        }
        let prefix = walk.stream.prefix_bytes(run);
        if prefix > 0 {
            match walk.buffers.bytes(prefix) {
                Some(bytes) if walk.held.messages_left > 0 => {
                    walk.held.messages_left -= 1;
                    walk.stream.take_prefix(bytes, prefix);
                    return self.passed(prefix);
                }
                _ => walk.stream.give_up_messages(),
            }
            return Next::More;
        }
        let passed = walk.stream.pass_message(run);
        self.passed(passed)
    }

    #[inline(always)]
    fn passed(&self, bytes: u64) -> Next {
        let walk = self.walk();
        // The offset counts from the first frame on.
        walk.stream.body_bytes += bytes;
        if walk.stream.left > 0 {
            walk.buffers.pass(bytes);
        } else {
            walk.piece = Piece::Payload;
            walk.taken = bytes;
        }
        Next::More
    }

    /// Which stream it is, at the front of the draft, where no record is yet.
    #[inline(always)]
    fn key(&self) -> &MessageKey {
        let walk = self.walk();
        let key: &mut MessageKey = self.draft.fixed();
        key.connection = self.known.id();
        key.stream = walk.stream.data_stream();
        key.sent = walk.direction;
        key
    }

    #[inline(always)]
    fn reopen(&self) {
        // SAFETY: an entry that is replaced meanwhile is one of another connection or of a stream that
        // two threads follow: user space finds that it does not fit.
        let open = unsafe { OPEN_MESSAGES.get(self.key()) };
        self.walk().stream.reopen(open.copied().unwrap_or(Open::NONE));
    }

    /// A frame's payload is over.
    #[inline(always)]
    pub(crate) fn payload(&self) {
        let walk = self.walk();
        let Some(open) = walk.stream.open() else { return };
        if open.position != Position::BETWEEN {
            walk.stream.keeps_messages();
            // Without it the next frame does not fit, which user space finds.
            let _full = OPEN_MESSAGES.insert(self.key(), open, 0);
        } else if walk.stream.before() != Position::BETWEEN {
            let _evicted = OPEN_MESSAGES.remove(self.key());
        }
        walk.held.counted = u32::from(walk.stream.has_begun());
    }
}
