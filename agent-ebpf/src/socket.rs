//! Connections of traced processes over TCP: opened, used, closed.
//!
//! `sock_send_length` and `sock_recv_length` (Linux 6.3) tell how much was moved on which socket, and
//! run where it moved; other system calls pay nothing. `inet_sock_set_state` tells of the rest.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    admit::admit,
    connection::Known,
    message::{self, Direction},
    preempt,
    read::KernelPtr,
};

/// `MSG_PEEK` of include/linux/socket.h: the same bytes come again.
const MSG_PEEK: u64 = 2;
/// Of include/net/tcp_states.h.
const ESTABLISHED: u64 = 1;
const SYN_SENT: u64 = 2;
const CLOSE: u64 = 7;

/// The family in one form: as it is, or with preemption disabled (Linux 7.0 and later).
macro_rules! form {
    ($sent:ident $received:ident $state:ident, $run:path) => {
        #[btf_tracepoint]
        fn $sent(ctx: BtfTracePointContext) -> i32 {
            $run(|| moved(KernelPtr(ctx.arg(0)), ctx.arg(1), Direction::Sent))
        }

        #[btf_tracepoint]
        fn $received(ctx: BtfTracePointContext) -> i32 {
            if ctx.arg::<u64>(2) & MSG_PEEK != 0 {
                return 0;
            }
            $run(|| moved(KernelPtr(ctx.arg(0)), ctx.arg(1), Direction::Received))
        }

        #[btf_tracepoint]
        fn $state(ctx: BtfTracePointContext) -> i32 {
            $run(|| state_changed(KernelPtr(ctx.arg(0)), ctx.arg(1), ctx.arg(2)))
        }
    };
}

form!(sent received state, plainly);
form!(sent_1 received_1 state_1, preempt::disabled);

#[inline(always)]
fn plainly(body: impl FnOnce() -> i32) -> i32 {
    body()
}

/// The current thread moved `len` bytes, or failed to.
#[inline(always)]
fn moved(sock: KernelPtr, len: i32, direction: Direction) -> i32 {
    if len > 0
        && let Some(task) = admit()
        && let Some(known) = Known::of(sock).or_else(|| Known::new(&task, sock, 0))
    {
        if known.is_followed() {
            message::follow(task, known, len as u64, direction);
        }
        if direction == Direction::Received {
            known.forget_if_over();
        }
    }
    0
}

/// Runs in whatever process is current, also for sockets that nobody traces.
#[inline(always)]
fn state_changed(sock: KernelPtr, old: u64, new: u64) -> i32 {
    if new == SYN_SENT {
        if let Some(task) = admit() {
            Known::connecting(&task, sock);
        }
        return 0;
    }
    let Some(known) = Known::of(sock) else { return 0 };
    if new == ESTABLISHED {
        if old == SYN_SENT {
            known.connected();
        } else {
            // Accepted: what is known is of an earlier connection, of which not all was read.
            Known::forget(sock);
        }
    } else if new == CLOSE {
        if old == SYN_SENT {
            known.announce_failure(sock);
            Known::forget(sock);
        } else {
            known.over();
        }
    }
    0
}
