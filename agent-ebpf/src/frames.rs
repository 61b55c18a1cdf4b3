//! HTTP/2: all frames go to user space, but for the payload of those that carry bodies.
#![expect(unsafe_code, reason = "map values are shared with other CPUs")]

use abi::{
    header::Kind,
    http1::{Phase, Step},
    socket::{Frames, Head, Role, state},
};
use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use crate::{
    emit::{Emitted, emit_draft, header_at},
    message::{Direction, FIXED, Following, Next},
};

/// Both kinds of records begin at the same place of a draft.
const _: () = assert!(size_of::<Frames>() == size_of::<Head>());

impl Following {
    /// The client's preface began.
    #[inline(always)]
    pub(crate) fn begin_http2(&self) {
        let walk = self.walk();
        walk.stream.begin_http2();
        walk.stream.body_bytes = 0;
        let is_sent = walk.direction == Direction::Sent as u32;
        self.known.set_role(if is_sent { Role::CLIENT } else { Role::SERVER });
        let other = if is_sent { Direction::Received } else { Direction::Sent };
        // SAFETY: it points into an entry that a look-up in this run of the program gave.
        unsafe { (*self.known.way(other)).stream.expect_frames() };
        self.announce_http2();
    }

    #[inline(always)]
    fn announce_http2(&self) {
        if self.known.state() == state::NEW && self.known.announce(0) == Emitted::Yes {
            self.known.set_state(state::HTTP2);
        }
    }

    #[inline(always)]
    pub(crate) fn frames(&self, len: u64) -> Next {
        let walk = self.walk();
        if walk.step == Step::Refused as u32 {
            self.known.set_state(state::NEITHER);
            return Next::Stop;
        }
        if self.known.role() == Role::UNKNOWN && walk.stream.phase != Phase::FIRST_FRAME {
            // Who sends frames before the client's preface is the server.
            let is_sent = walk.direction == Direction::Sent as u32;
            self.known.set_role(if is_sent { Role::SERVER } else { Role::CLIENT });
        }
        if self.known.role() != Role::UNKNOWN {
            self.announce_http2();
        }
        self.draft.restart(FIXED + len);
        let record: &mut Frames = self.draft.fixed();
        record.header = header_at(Kind::FRAMES, FIXED + len, walk.now_ns);
        record.process.set(self.task.process());
        record.owner.set(self.task.owner());
        record.connection = self.known.id();
        record.offset = walk.stream.body_bytes;
        record.sent = walk.direction;
        record.frames_len = len as u32;
        record.tid = bpf_get_current_pid_tgid() as u32;
        record._pad = 0;
        emit_draft(&self.task, &self.draft);
        walk.stream.body_bytes += len;
        Next::More
    }
}
