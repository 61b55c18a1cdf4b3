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
    maps::SENDING,
    read::KernelPtr,
    socket::{self, SCRATCH},
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

macro_rules! form {
    ($sends:ident $sent:ident $receives:ident $received:ident, $kernel:ty) => {
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

form!(sends_kprobe sent_kprobe receives_kprobe received_kprobe, Recent);
form!(sends_kprobe_early sent_kprobe_early receives_kprobe_early received_kprobe_early, Early);
