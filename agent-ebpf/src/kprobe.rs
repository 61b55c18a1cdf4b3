//! What is moved, by kprobes.
//!
//! Nothing comes in between while one runs, on any kernel. A kretprobe remembers only so many calls
//! at one time, and calls that receive may all wait: so what is received is told by
//! `tcp_rcv_space_adjust`, which `tcp_recvmsg` calls after every piece that it copied.

#![expect(unsafe_code, reason = "map values are shared with other CPUs")]

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use crate::{
    admit::admit,
    kernel::{Early, Recent},
    maps::{RECEIVING, SENDING},
    read::KernelPtr,
    socket::{self, MSG_PEEK, SCRATCH},
};

/// The socket on which the thread sends, which it does no longer.
#[inline(always)]
fn sending(thread: u64) -> Option<KernelPtr> {
    let sock = SENDING.get_ptr(thread)?;
    // SAFETY: the pointer came from a look-up that succeeded.
    let sock = KernelPtr(unsafe { sock.read() });
    let _known = SENDING.remove(thread);
    Some(sock)
}

/// A call of `unix_stream_recvmsg`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Receiving {
    sock: u64,
    moved: u64,
}

/// `unix_stream_sendmsg` or `unix_stream_sendpage` begins.
#[kprobe]
fn sends_unix_kprobe(ctx: ProbeContext) -> u32 {
    if admit().is_some()
        && let Some(socket) = ctx.arg::<u64>(0)
    {
        let sock = socket::of_socket(KernelPtr(socket)).0;
        // Without room the call goes unseen.
        let _full = SENDING.insert(bpf_get_current_pid_tgid(), sock, 0);
    }
    0
}

/// `unix_stream_recvmsg` begins.
#[kprobe]
fn receives_unix_kprobe(ctx: ProbeContext) -> u32 {
    let thread = bpf_get_current_pid_tgid();
    if admit().is_some()
        && let Some((socket, flags)) = ctx.arg::<u64>(0).zip(ctx.arg::<u64>(3))
    {
        let sock = if flags & MSG_PEEK == 0 { socket::of_socket(KernelPtr(socket)).0 } else { 0 };
        let _full = RECEIVING.insert(thread, Receiving { sock, moved: 0 }, 0);
    }
    0
}

/// `unix_release` begins.
#[kprobe]
fn released_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(socket) = ctx.arg::<u64>(0) {
        socket::released(KernelPtr(socket));
    }
    0
}

/// What the call received before, and that it received `len` bytes more.
#[inline(always)]
fn receiving(thread: u64, len: i32) -> Option<Receiving> {
    let call = RECEIVING.get_ptr_mut(thread)?;
    // SAFETY: the pointer came from a look-up that succeeded; the entry is this thread's own.
    let before = unsafe { call.read() };
    let moved = before.moved + u64::from(len.unsigned_abs());
    // SAFETY: as above.
    unsafe { call.write(Receiving { moved, ..before }) };
    (before.sock != 0).then_some(before)
}

macro_rules! form {
    ($sends:ident $sent:ident $receives:ident $received:ident $received_unix:ident, $kernel:ty) => {
        /// `unix_stream_read_actor` returned: it copies a piece, and does not wait.
        #[kretprobe]
        fn $received_unix(ctx: RetProbeContext) -> u32 {
            let len = ctx.ret::<i32>();
            if len > 0
                && admit().is_some()
                && let Some(call) = receiving(bpf_get_current_pid_tgid(), len)
            {
                socket::received_piece::<$kernel>(KernelPtr(call.sock), len, call.moved);
            }
            0
        }

        /// `tcp_sendmsg` begins.
        #[kprobe]
        fn $sends(ctx: ProbeContext) -> u32 {
            if admit().is_some()
                && let Some(sock) = ctx.arg::<u64>(0)
            {
                // Without room the call goes unseen; the sequence numbers tell.
                let _full = SENDING.insert(bpf_get_current_pid_tgid(), sock, 0);
            }
            0
        }

        /// `tcp_sendmsg` returned.
        #[kretprobe]
        fn $sent(ctx: RetProbeContext) -> u32 {
            let thread = bpf_get_current_pid_tgid();
            if admit().is_some()
                && let Some(sock) = sending(thread)
            {
                socket::sent::<$kernel>(sock, ctx.ret::<i32>(), SCRATCH);
            }
            0
        }

        /// `tcp_recvmsg` begins.
        #[kprobe]
        fn $receives(ctx: ProbeContext) -> u32 {
            if let Some(sock) = ctx.arg::<u64>(0) {
                socket::receives(KernelPtr(sock));
            }
            0
        }

        /// `tcp_rcv_space_adjust` begins.
        #[kprobe]
        fn $received(ctx: ProbeContext) -> u32 {
            if let Some(sock) = ctx.arg::<u64>(0) {
                socket::received_more::<$kernel>(KernelPtr(sock));
            }
            0
        }
    };
}

form!(sends_kprobe sent_kprobe receives_kprobe received_kprobe received_unix_kprobe, Recent);
form!(sends_kprobe_early sent_kprobe_early receives_kprobe_early received_kprobe_early received_unix_kprobe_early, Early);
