//! One call's bytes through the machine that knows where messages of HTTP/1 and frames of HTTP/2 begin
//! and end.
//!
//! What is read from the process is what that machine wants to see: heads, the framing of chunks, and
//! frames. Of bodies nothing is read but what may be the length of a message (`data.rs`).
//!
//! `agent/src/pipeline/message/` tells this again for tests on the host: what changes here changes there.
#![expect(unsafe_code, reason = "map values are shared with other CPUs")]

use abi::{
    header::Kind,
    http1::{CARRY_BYTES, Phase, Scan, Step, Stream},
    loss::Count,
    socket::{End, HEAD_BYTES, Head, closed, state},
};
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

use crate::{
    admit::Admitted,
    buffer::Buffers,
    connection::Known,
    emit::{count, header_at, reserve, submit},
    frames::Held,
    kernel::Kernel,
    read::Draft,
};

/// Bytes of the framing of chunks that are looked at in one step.
const FRAMING_BYTES: u64 = 64;
pub(crate) const FIXED: u64 = size_of::<Head>() as u64;
/// Where in the draft a piece begins, with what is carried in front of it; the fixed part of a record
/// is written over that later.
const PLACE: u64 = FIXED - CARRY_BYTES;

impl abi::http1::Piece for Draft {
    #[inline(always)]
    fn word(&self, at: u64) -> u64 {
        self.word_at(PLACE.wrapping_add(at))
    }
}

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
    pub(crate) buffers: Buffers,
    /// The piece of the run that was read.
    pub(crate) scan: Scan,
    /// How much of it was taken, once it is known what became of that.
    pub(crate) taken: u64,
    /// What it is.
    pub(crate) piece: Piece,
    /// The last [`Step`].
    pub(crate) step: u32,
    /// Here, so that all zeros lie together: to write them is one call of a function.
    pub(crate) held: Held,
    /// The [`Direction`].
    pub(crate) direction: u32,
    /// On which socket, for who cannot be told in another way.
    pub(crate) sock: u64,
    /// When the bytes were moved.
    pub(crate) now_ns: u64,
}

/// What becomes of a piece once it was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Piece {
    Head,
    /// Of chunks: nothing of it leaves the kernel.
    Framing,
    Frames,
    /// The last of a DATA frame's, which was passed over.
    Payload,
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

/// The current thread moved `len` bytes, behind `skip` of the same call that were followed before.
#[inline(always)]
pub(crate) fn follow<K: Kernel>(
    task: Admitted,
    known: Known,
    len: u64,
    skip: u64,
    direction: Direction,
    scratch: u32,
) {
    // SAFETY: it points into an entry that a look-up in this run of the program gave.
    if unsafe { (*known.way(direction)).stream.is_within_body(len) } {
        return unseen(known, len, direction);
    }
    let Some(draft) = Draft::new(scratch, FIXED as usize) else { return };
    let Some(buffers) = Buffers::of_current::<K>(&draft, len, skip) else {
        // Moved without a buffer of the process (sendfile, splice, io_uring): only bodies may be.
        return unseen(known, len, direction);
    };
    // Before the stream is read: it would have to be kept on the stack over the call.
    // SAFETY: the helper takes nothing and reads a clock.
    let now_ns = unsafe { bpf_ktime_get_boot_ns() };
    let way = known.way(direction);
    // SAFETY: it points into an entry that a look-up in this run of the program gave.
    let stream = unsafe { (*way).stream };
    let walk = draft.walk();
    let fresh = Walk {
        stream,
        buffers,
        scan: Scan::NONE,
        taken: 0,
        piece: Piece::Head,
        step: 0,
        held: Held::nothing(K::MESSAGES),
        direction: direction as u32,
        sock: 0,
        now_ns,
    };
    // SAFETY: it points into this CPU's own scratch memory.
    unsafe { walk.write(fresh) };
    let mut following = Following { task, known, draft };
    K::turns(&mut following, scratch);
    following.emit_held();
    if following.walk().buffers.left() > 0 && following.walk().stream.phase != Phase::NEITHER {
        following.out_of_step();
    }
    // SAFETY: it points into an entry that a look-up in this run of the program gave.
    unsafe { (*way).stream = following.walk().stream };
    // SAFETY: as above.
    unsafe { (*way).last_ns = now_ns };
}

/// Bytes that nobody can look at. A function to the kernel as well: its stack is not that of what
/// follows.
#[inline(never)]
pub(crate) fn unseen(known: Known, len: u64, direction: Direction) {
    let way = known.way(direction);
    // SAFETY: it points into an entry that a look-up in this run of the program gave.
    let stream = unsafe { &mut (*way).stream };
    // SAFETY: the helper takes nothing and reads a clock.
    let now_ns = unsafe { bpf_ktime_get_boot_ns() };
    // Before the end is told, which says when the last byte was moved.
    // SAFETY: as above.
    unsafe { (*way).last_ns = now_ns };
    match stream.pass_hidden(len) {
        Some(Step::MessageEnded) => emit_end(known, stream, direction as u32, now_ns),
        Some(_) => {}
        None if known.is_told() => known.end(closed::OUT_OF_STEP),
        None => known.is_not_http(),
    }
}

impl Following {
    /// Asked for anew after each loop, for that changes what it refers to.
    #[inline(always)]
    pub(crate) fn walk<'scratch>(&self) -> &'scratch mut Walk {
        // SAFETY: it points into this CPU's own scratch memory.
        unsafe { &mut *self.draft.walk() }
    }

    /// One turn: a look at the piece at hand, what follows from it, or a step to the next. Never two of
    /// them, because the verifier would go through each way of the one with each way of the other.
    #[inline(always)]
    pub(crate) fn advance(&self) -> Next {
        let walk = self.walk();
        if walk.taken > 0 {
            return self.taken();
        }
        if !walk.scan.is_over() {
            return self.look();
        }
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
                emit_end(self.known, &walk.stream, walk.direction, walk.now_ns);
            }
        } else if phase == Phase::UNTIL_CLOSE {
            walk.stream.body_bytes += run;
            walk.buffers.pass(run);
        } else if phase.is_passed_over() {
            return self.data(run);
        } else if phase.is_frames() {
            return self.read::<{ HEAD_BYTES as u64 }>(Piece::Frames);
        } else if phase.is_head() {
            if self.known.state() == state::NEW
                && walk.stream.head_bytes == 0
                && walk.buffers.first() == 0
            {
                walk.stream.phase = Phase::FIRST_FRAME;
                return self.read::<{ HEAD_BYTES as u64 }>(Piece::Frames);
            }
            return self.read::<{ HEAD_BYTES as u64 }>(Piece::Head);
        } else if phase.is_framing() {
            return self.read::<FRAMING_BYTES>(Piece::Framing);
        } else {
            return Next::Stop;
        }
        Next::More
    }

    /// Takes up to `MOST` bytes of the run as the piece at hand.
    #[inline(always)]
    fn read<const MOST: u64>(&self, piece: Piece) -> Next {
        let walk = self.walk();
        let scan = walk.stream.scan(0);
        if scan.line < CARRY_BYTES {
            let mut word = 0;
            while word < 5 {
                self.draft
                    .put_word(PLACE + scan.line + 8 * word, walk.stream.carry()[word as usize]);
                word += 1;
            }
        }
        self.draft.restart(FIXED);
        let read = self.draft.user::<FIXED, MOST>(walk.buffers.base(), walk.buffers.run_bytes());
        if read == 0 {
            count(Count::HEADS_UNREADABLE);
            self.out_of_step();
            return Next::Stop;
        }
        walk.scan = walk.stream.scan(read);
        walk.piece = piece;
        Next::More
    }

    /// Goes on in the piece, until something in it ended or it is over.
    #[inline(always)]
    fn look(&self) -> Next {
        let walk = self.walk();
        let step = walk.stream.take(&mut walk.scan, &self.draft);
        if step == Step::More && !walk.scan.is_over() {
            return Next::More;
        }
        walk.step = step as u32;
        walk.taken = walk.scan.taken();
        walk.scan.close();
        Next::More
    }

    /// Something in the piece ended, or it is over.
    #[inline(always)]
    fn taken(&self) -> Next {
        let walk = self.walk();
        let taken = walk.taken;
        walk.taken = 0;
        walk.buffers.pass(taken);
        match walk.piece {
            Piece::Head => self.head(taken),
            Piece::Framing => self.framing(),
            Piece::Frames | Piece::Payload => self.frames(taken),
        }
    }

    #[inline(always)]
    fn framing(&self) -> Next {
        let walk = self.walk();
        if walk.step == Step::Refused as u32 {
            self.out_of_step();
            return Next::Stop;
        }
        if walk.step == Step::MessageEnded as u32 {
            emit_end(self.known, &walk.stream, walk.direction, walk.now_ns);
        }
        Next::More
    }

    #[inline(always)]
    pub(crate) fn out_of_step(&self) {
        self.walk().stream.phase = Phase::NEITHER;
        if self.known.is_told() {
            self.known.end(closed::OUT_OF_STEP);
        } else {
            self.known.is_not_http();
        }
    }
}

#[inline(always)]
fn emit_end(known: Known, stream: &Stream, sent: u32, now_ns: u64) {
    if known.is_untold(stream.ordinal) {
        return;
    }
    let Some(mut slot) = reserve::<End>(&known) else { return };
    slot.write(End {
        header: header_at(Kind::END, size_of::<End>() as u64, now_ns),
        connection: known.id(),
        sent,
        ordinal: stream.ordinal,
        body_bytes: stream.body_bytes,
    });
    submit(slot);
}
