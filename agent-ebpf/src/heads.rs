//! HTTP/1: heads go to user space, those of requests that are beyond their process's budget are
//! counted.

use abi::{
    header::Kind,
    http1::{Phase, Step},
    socket::{HEAD_MAX, Head, Role, closed, flag, state},
};
use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use crate::{
    emit::{Emitted, emit_draft, header_at},
    message::{Direction, FIXED, Following, Next, Walk},
};

impl Following {
    #[inline(always)]
    pub(crate) fn head(&self, taken: u64) -> Next {
        let walk = self.walk();
        let offset = walk.stream.head_bytes.wrapping_sub(taken as u32);
        if walk.stream.phase == Phase::HTTP2 && self.known.state() != state::HTTP1 {
            self.begin_http2();
            return Next::More;
        }
        if walk.step == Step::Refused as u32 || !self.is_the_right_kind(walk) {
            self.out_of_step();
            return Next::Stop;
        }
        // Which exchange it is of; the number of a stream changes where a head ends.
        let ordinal = walk.stream.ordinal.wrapping_add(1);
        // A connection whose first call is too short to be told from a response has one for nothing.
        if offset == 0 && self.is_request(walk) {
            self.known.set_untold(ordinal, !self.task.allows(self.asked(), walk.now_ns));
        }
        let mut flags = 0;
        if walk.step == Step::HeadEnded as u32 {
            flags |= flag::HEAD_ENDED;
            if self.begin_body(walk) == Step::MessageEnded {
                flags |= flag::MESSAGE_ENDED;
            }
        }
        if self.known.is_untold(ordinal) {
            if walk.stream.is_response() && walk.stream.ordinal == ordinal {
                self.task.answered(self.asked(), walk.stream.status);
            }
        } else {
            self.tell_head(walk, taken, offset, flags);
        }
        if walk.stream.phase == Phase::NEITHER {
            self.tunnel();
            return Next::Stop;
        }
        if walk.stream.phase == Phase::FRAME_HEADER && self.known.state() == state::HTTP1 {
            // Upgraded: the client's preface is next in the other direction.
            self.known.set_state(state::HTTP2);
        }
        Next::More
    }

    #[inline(always)]
    fn tell_head(&self, walk: &Walk, taken: u64, offset: u32, flags: u32) {
        if self.known.state() == state::NEW
            && self.known.role() != Role::UNKNOWN
            && self.known.announce(0) == Emitted::Yes
        {
            self.known.set_state(state::HTTP1);
        }
        self.emit_head(walk, taken, offset, flags);
    }

    /// Another protocol follows.
    #[inline(always)]
    fn tunnel(&self) {
        if self.known.is_told() {
            self.known.end(closed::TUNNEL);
        } else {
            self.known.set_state(state::NEITHER);
        }
    }

    #[inline(always)]
    fn is_request(&self, walk: &Walk) -> bool {
        let asks =
            if walk.direction == Direction::Sent as u32 { Role::CLIENT } else { Role::SERVER };
        self.known.role() == asks
    }

    /// Which way the request of the exchange at hand goes.
    #[inline(always)]
    fn asked(&self) -> Direction {
        if self.known.role() == Role::CLIENT { Direction::Sent } else { Direction::Received }
    }

    /// Requests go one way and responses the other. Who sends the first is the client.
    #[inline(always)]
    fn is_the_right_kind(&self, walk: &Walk) -> bool {
        if walk.stream.phase == Phase::START && walk.step == Step::More as u32 {
            // Not known yet.
            return true;
        }
        let is_sent = walk.direction == Direction::Sent as u32;
        let role = if is_sent == walk.stream.is_response() { Role::SERVER } else { Role::CLIENT };
        if self.known.role() == Role::UNKNOWN {
            self.known.set_role(role);
        }
        self.known.role() == role
    }

    #[inline(always)]
    fn begin_body(&self, walk: &mut Walk) -> Step {
        let stream = &mut walk.stream;
        let (head, connect) = self.known.methods();
        // The final response that this is, or is in front of.
        let bit = 1u64 << (stream.ordinal.wrapping_add(1) & 63);
        if stream.is_response() {
            return stream.begin_body(head & bit != 0, connect & bit != 0);
        }
        let with = |set: u64, is_in: bool| if is_in { set | bit } else { set & !bit };
        self.known.set_methods(with(head, stream.is_head()), with(connect, stream.is_connect()));
        stream.begin_body(false, false)
    }

    /// What of the piece lies before [`HEAD_MAX`].
    #[inline(always)]
    fn emit_head(&self, walk: &Walk, taken: u64, offset: u32, flags: u32) {
        let is_cut = offset >= HEAD_MAX;
        if is_cut && flags & flag::HEAD_ENDED == 0 {
            return;
        }
        let len = if is_cut { 0 } else { taken };
        let flags = if self.task.has_told_all() { flags } else { flags | flag::UNTOLD };
        self.draft.restart(FIXED + len);
        // A field at a time: the stacks of three functions have 512 bytes together.
        let record: &mut Head = self.draft.fixed();
        record.header = header_at(Kind::HEAD, FIXED + len, walk.now_ns);
        record.process.set(self.task.process());
        record.owner.set(self.task.owner());
        record.connection = self.known.id();
        record.tid = bpf_get_current_pid_tgid() as u32;
        record.sent = walk.direction;
        record.offset = offset;
        record.head_len = len as u32;
        record.flags = if is_cut { flags | flag::CUT } else { flags };
        record.ordinal = walk.stream.ordinal;
        self.known.set_told();
        emit_draft(&self.task, &self.draft);
    }
}
