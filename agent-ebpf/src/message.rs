//! One call's bytes through the machine that knows where HTTP/1 messages begin and end.
//!
//! What is read from the process is what that machine wants to see: heads and the framing of chunks.
//! Of bodies nothing is read.
#![expect(unsafe_code, reason = "callbacks of bpf_loop take a pointer to the caller's stack")]

use abi::{
    header::Kind,
    http1::{Phase, Step, Stream},
    loss::Count,
    socket::{End, HEAD_BYTES, HEAD_MAX, Head, Role, closed, flag, state},
};
use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_ktime_get_boot_ns, bpf_loop},
};

use crate::{
    admit::Admitted,
    buffer::Buffers,
    connection::Known,
    emit::{Emitted, count, emit_draft, header, reserve, submit},
    read::Draft,
};

/// Steps of one call: what is behind them is lost, which is said.
const MAX_STEPS: u32 = 8192;
/// Bytes of the framing of chunks that are looked at in one step.
const FRAMING_BYTES: u64 = 64;
pub(crate) const FIXED: u64 = size_of::<Head>() as u64;

/// Which way the bytes went. The number is the place in `Conn::ways`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Received = 0,
    Sent = 1,
}

/// How far the bytes of a call were followed. It lies in scratch memory and not on the stack,
/// because the verifier does not follow what is there: every turn of a loop looks alike to it.
#[repr(C)]
pub(crate) struct Walk {
    pub(crate) stream: Stream,
    buffers: Buffers,
    /// How much was read, and how far its scan is.
    read: u64,
    pub(crate) scanned: u64,
    /// The last [`Step`].
    pub(crate) step: u32,
    /// The [`Direction`].
    pub(crate) direction: u32,
}

/// What the steps need beside it.
pub(crate) struct Following {
    pub(crate) task: Admitted,
    pub(crate) known: Known,
    pub(crate) draft: Draft,
}

#[derive(PartialEq, Eq)]
pub(crate) enum Next {
    More,
    Stop,
}

/// The current thread moved `len` bytes.
#[inline(always)]
pub(crate) fn follow(task: Admitted, known: Known, len: u64, direction: Direction) {
    let Some(buffers) = Buffers::of_current(len) else {
        // Moved without a buffer of the process (sendfile, splice, io_uring): only bodies may be.
        return unseen(known, len, direction);
    };
    let Some(draft) = Draft::new(0, FIXED as usize) else { return };
    let way = known.way(direction);
    // SAFETY: it points into an entry that a look-up in this run of the program gave.
    let stream = unsafe { (*way).stream };
    let walk = draft.walk();
    let fresh = Walk { stream, buffers, read: 0, scanned: 0, step: 0, direction: direction as u32 };
    // SAFETY: it points into this CPU's own scratch memory.
    unsafe { walk.write(fresh) };
    let mut following = Following { task, known, draft };
    // SAFETY: the callback has the form that the helper wants, and `following` outlives the call.
    unsafe { bpf_loop(MAX_STEPS, step as *mut _, (&raw mut following).cast(), 0) };
    if following.walk().buffers.left() > 0 && following.walk().stream.phase != Phase::NEITHER {
        following.out_of_step();
    }
    // SAFETY: the helper takes nothing and reads a clock.
    let now_ns = unsafe { bpf_ktime_get_boot_ns() };
    // SAFETY: it points into an entry that a look-up in this run of the program gave.
    unsafe { (*way).stream = following.walk().stream };
    // SAFETY: as above.
    unsafe { (*way).last_ns = now_ns };
}

/// Bytes that nobody can look at.
#[inline(always)]
fn unseen(known: Known, len: u64, direction: Direction) {
    let way = known.way(direction);
    // SAFETY: it points into an entry that a look-up in this run of the program gave.
    let stream = unsafe { &mut (*way).stream };
    let phase = stream.phase;
    if phase == Phase::UNTIL_CLOSE {
        stream.body_bytes += len;
    } else if phase == Phase::LENGTH && stream.left >= len {
        let (_, step) = stream.pass_over(len);
        if step == Step::MessageEnded {
            emit_end(known, stream, direction as u32);
        }
    } else {
        known.set_state(state::NEITHER);
    }
    // SAFETY: the helper takes nothing and reads a clock.
    let now_ns = unsafe { bpf_ktime_get_boot_ns() };
    // SAFETY: as above.
    unsafe { (*way).last_ns = now_ns };
}

extern "C" fn step(_: u64, following: *mut Following) -> i64 {
    // SAFETY: `follow` hands in what nobody else refers to.
    let following = unsafe { &mut *following };
    i64::from(following.advance() == Next::Stop)
}

extern "C" fn scan(_: u64, following: *mut Following) -> i64 {
    // SAFETY: `look` hands in what nobody else refers to.
    let following = unsafe { &mut *following };
    let walk = following.walk();
    if walk.scanned >= walk.read {
        return 1;
    }
    if walk.stream.phase == Phase::FRAME {
        walk.scanned += walk.stream.pass_frame(walk.read - walk.scanned);
        return 0;
    }
    let byte = following.draft.byte(FIXED + walk.scanned);
    walk.scanned += 1;
    let phase = walk.stream.phase;
    let step = if phase == Phase::FRAME_HEADER {
        walk.stream.take_frame_header(byte)
    } else if phase == Phase::FIRST_FRAME {
        walk.stream.take_first_frame(byte)
    } else {
        walk.stream.take(byte)
    };
    walk.step = step as u32;
    i64::from(step != Step::More)
}

impl Following {
    /// Asked for anew after each loop, for that changes what it refers to.
    #[inline(always)]
    pub(crate) fn walk<'scratch>(&self) -> &'scratch mut Walk {
        // SAFETY: it points into this CPU's own scratch memory.
        unsafe { &mut *self.draft.walk() }
    }

    #[inline(always)]
    fn advance(&mut self) -> Next {
        let walk = self.walk();
        if !walk.buffers.has_run() {
            return Next::Stop;
        }
        let run = walk.buffers.run_bytes();
        if run == 0 {
            // An empty segment.
            return Next::More;
        }
        let phase = walk.stream.phase;
        if phase.is_counted() {
            let (passed, step) = walk.stream.pass_over(run);
            walk.buffers.pass(passed);
            if step == Step::MessageEnded {
                emit_end(self.known, &walk.stream, walk.direction);
            }
        } else if phase == Phase::UNTIL_CLOSE {
            walk.stream.body_bytes += run;
            walk.buffers.pass(run);
        } else if phase.is_passed_over() {
            let passed = walk.stream.pass_frame(run);
            // The offset counts from the first frame on.
            walk.stream.body_bytes += if phase == Phase::DATA { passed } else { 0 };
            walk.buffers.pass(passed);
        } else if phase.is_frames() {
            return self.frames();
        } else if phase.is_head() {
            if self.known.state() == state::NEW
                && walk.stream.head_bytes == 0
                && phase == Phase::START
                && walk.buffers.first() == 0
            {
                walk.stream.phase = Phase::FIRST_FRAME;
                return self.frames();
            }
            return self.head();
        } else if phase.is_framing() {
            return self.framing();
        } else {
            return Next::Stop;
        }
        Next::More
    }

    /// Reads up to `MOST` bytes of the run and takes them until something ended.
    #[inline(always)]
    pub(crate) fn look<const MOST: u64>(&mut self) -> bool {
        let walk = self.walk();
        self.draft.restart(FIXED);
        let read = self.draft.user::<FIXED, MOST>(walk.buffers.base(), walk.buffers.run_bytes());
        if read == 0 {
            count(Count::CUT_UNREADABLE);
            self.out_of_step();
            return false;
        }
        walk.read = read;
        walk.scanned = 0;
        walk.step = Step::More as u32;
        // SAFETY: as in `follow`.
        unsafe { bpf_loop(read as u32, scan as *mut _, (&raw mut *self).cast(), 0) };
        let walk = self.walk();
        walk.buffers.pass(walk.scanned);
        true
    }

    #[inline(always)]
    fn framing(&mut self) -> Next {
        if !self.look::<FRAMING_BYTES>() {
            return Next::Stop;
        }
        let walk = self.walk();
        if walk.step == Step::Refused as u32 {
            self.out_of_step();
            return Next::Stop;
        }
        if walk.step == Step::MessageEnded as u32 {
            emit_end(self.known, &walk.stream, walk.direction);
        }
        Next::More
    }

    #[inline(always)]
    fn head(&mut self) -> Next {
        let offset = self.walk().stream.head_bytes;
        if !self.look::<{ HEAD_BYTES as u64 }>() {
            return Next::Stop;
        }
        let walk = self.walk();
        if walk.stream.phase == Phase::HTTP2 && self.known.state() != state::HTTP1 {
            self.begin_http2();
            return Next::More;
        }
        if walk.step == Step::Refused as u32 || !self.is_the_right_kind(walk) {
            if offset > 0 || self.known.state() == state::HTTP1 {
                self.out_of_step();
            } else {
                self.known.set_state(state::NEITHER);
                walk.stream.phase = Phase::NEITHER;
            }
            return Next::Stop;
        }
        let mut flags = 0;
        if walk.step == Step::HeadEnded as u32 {
            flags |= flag::HEAD_ENDED;
            if self.begin_body(walk) == Step::MessageEnded {
                flags |= flag::MESSAGE_ENDED;
            }
        }
        if self.known.state() == state::NEW
            && self.known.role() != Role::UNKNOWN
            && self.known.announce(0) == Emitted::Yes
        {
            self.known.set_state(state::HTTP1);
        }
        self.emit_head(walk, offset, flags);
        if walk.stream.phase == Phase::NEITHER {
            self.known.end(closed::TUNNEL);
            return Next::Stop;
        }
        Next::More
    }

    /// Requests go one way and responses the other. Who sends the first is the client.
    #[inline(always)]
    fn is_the_right_kind(&self, walk: &Walk) -> bool {
        if walk.stream.phase.0 < Phase::HEAD.0 && walk.step == Step::More as u32 {
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
    fn emit_head(&self, walk: &Walk, offset: u32, flags: u32) {
        let is_cut = offset >= HEAD_MAX;
        if is_cut && flags & flag::HEAD_ENDED == 0 {
            return;
        }
        let len = if is_cut { 0 } else { walk.scanned };
        self.draft.restart(FIXED + len);
        self.draft.put(Head {
            header: header(Kind::HEAD, FIXED + len),
            process: self.task.process(),
            owner: self.task.owner(),
            connection: self.known.id(),
            tid: bpf_get_current_pid_tgid() as u32,
            sent: walk.direction,
            offset,
            head_len: len as u32,
            flags: if is_cut { flags | flag::CUT } else { flags },
            ordinal: walk.stream.ordinal,
        });
        emit_draft(&self.task, &self.draft);
    }

    #[inline(always)]
    fn out_of_step(&self) {
        self.walk().stream.phase = Phase::NEITHER;
        self.known.end(closed::OUT_OF_STEP);
    }
}

#[inline(always)]
fn emit_end(known: Known, stream: &Stream, sent: u32) {
    let Some(mut slot) = reserve::<End>(&known) else { return };
    slot.write(End {
        header: header(Kind::END, size_of::<End>() as u64),
        connection: known.id(),
        sent,
        ordinal: stream.ordinal,
        body_bytes: stream.body_bytes,
    });
    submit(slot);
}
