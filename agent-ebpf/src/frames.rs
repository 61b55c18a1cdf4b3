//! HTTP/2: all frames go to user space, but for the payload of those that carry bodies.
#![expect(unsafe_code, reason = "map values are shared with other CPUs")]

use abi::{
    header::Kind,
    http1::{Phase, Step, Stream},
    socket::{Counted, Frames, Head, Role, state},
};
use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use crate::{
    emit::{Emitted, emit_draft, header_at},
    message::{Direction, FIXED, Following, Next, Piece},
};

/// Both kinds of records begin at the same place of a draft.
const _: () = assert!(size_of::<Frames>() == size_of::<Head>());
const COUNTED: u64 = size_of::<Counted>() as u64;

/// What is to be told of, and lies in the draft behind the fixed part of its record.
#[repr(C)]
pub(crate) struct Held {
    offset: u64,
    frames_len: u32,
    /// 1 if what was counted in a payload is told as well, else 0.
    pub(crate) counted: u32,
    /// Messages of gRPC that may still be looked at in this call.
    pub(crate) messages_left: u32,
}

impl Held {
    #[inline(always)]
    pub(crate) fn nothing(messages_left: u32) -> Self {
        Self { offset: 0, frames_len: 0, counted: 0, messages_left }
    }
}

impl Following {
    /// The client's preface began.
    #[inline(always)]
    pub(crate) fn begin_http2(&self) {
        let walk = self.walk();
        walk.stream.begin_http2();
        walk.stream.body_bytes = 0;
        let is_sent = walk.direction == Direction::Sent as u32;
        self.known.set_role(if is_sent { Role::CLIENT } else { Role::SERVER });
        self.other_way().expect_frames();
        self.announce_http2();
    }

    #[inline(always)]
    fn other_way<'entry>(&self) -> &'entry mut Stream {
        let is_sent = self.walk().direction == Direction::Sent as u32;
        let other = self.known.way(if is_sent { Direction::Received } else { Direction::Sent });
        // SAFETY: it points into an entry that a look-up in this run of the program gave.
        unsafe { &mut (*other).stream }
    }

    #[inline(always)]
    fn announce_http2(&self) {
        if self.known.state() == state::NEW && self.known.announce(0) == Emitted::Yes {
            self.known.set_state(state::HTTP2);
        }
    }

    /// Frames were taken, or the last of a payload was passed over.
    #[inline(always)]
    pub(crate) fn frames(&self, taken: u64) -> Next {
        let walk = self.walk();
        if walk.piece == Piece::Payload {
            self.payload();
        } else if walk.step == Step::Refused as u32 {
            self.out_of_step();
            return Next::Stop;
        } else {
            self.hold(taken);
            if walk.stream.phase == Phase::DATA {
                // Told with what is found in the payload, if that comes in the same call.
                return Next::More;
            }
        }
        self.emit_held();
        Next::More
    }

    /// Frames are to be told of.
    #[inline(always)]
    fn hold(&self, len: u64) {
        let walk = self.walk();
        if self.known.role() == Role::UNKNOWN && walk.stream.phase != Phase::FIRST_FRAME {
            // There was no client's preface: the first frame tells who the server is.
            let is_sent = walk.direction == Direction::Sent as u32;
            let is_server = is_sent == walk.stream.is_response();
            self.known.set_role(if is_server { Role::SERVER } else { Role::CLIENT });
            if walk.stream.is_met_half_way() {
                self.other_way().expect_frames_half_way();
            }
        }
        if self.known.role() != Role::UNKNOWN {
            self.announce_http2();
        }
        walk.held.frames_len = len as u32;
        walk.held.offset = walk.stream.body_bytes;
        walk.stream.body_bytes += len;
    }

    /// Tells of what is held, if anything is.
    #[inline(always)]
    pub(crate) fn emit_held(&self) {
        let walk = self.walk();
        let held = &mut walk.held;
        if held.frames_len == 0 && held.counted == 0 {
            return;
        }
        let mut end = FIXED + u64::from(held.frames_len);
        let len = end + COUNTED * u64::from(held.counted);
        for word in walk.stream.counted() {
            self.draft.put_word(end, word);
            end += 8;
        }
        self.draft.restart(len);
        let record: &mut Frames = self.draft.fixed();
        record.header = header_at(Kind::FRAMES, len, walk.now_ns);
        record.process.set(self.task.process());
        record.owner.set(self.task.owner());
        record.connection = self.known.id();
        record.offset = if held.frames_len > 0 { held.offset } else { walk.stream.body_bytes };
        record.sent = walk.direction;
        record.frames_len = held.frames_len;
        record.tid = bpf_get_current_pid_tgid() as u32;
        record.counted = held.counted;
        self.known.set_told();
        emit_draft(&self.task, &self.draft);
        held.frames_len = 0;
        held.counted = 0;
    }
}
