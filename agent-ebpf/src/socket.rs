//! Connections of traced processes over TCP and UNIX sockets: opened, used, closed.
//!
//! What moved how much on which socket is told by one of three families of programs ([`tracepoint`],
//! [`function`], [`kprobe`]), of which one is attached; all end here.
//!
//! [`tracepoint`]: crate::tracepoint
//! [`function`]: crate::function
//! [`kprobe`]: crate::kprobe

use crate::{
    admit::admit,
    connection::Known,
    kernel::Kernel,
    message::{self, Direction},
    read::{KernelPtr, offsets},
};

/// Of programs that nothing interrupts.
pub(crate) const SCRATCH: u32 = 0;
/// `MSG_PEEK` of include/linux/socket.h: the same bytes come again.
pub(crate) const MSG_PEEK: u64 = 2;
/// `MSG_TRUNC`: the bytes are thrown away.
const MSG_TRUNC: u64 = 0x20;
/// Of include/net/tcp_states.h.
const ESTABLISHED: u64 = 1;
const SYN_SENT: u64 = 2;
const CLOSE: u64 = 7;

/// The current thread sent `len` bytes, or failed to. No two programs that can interrupt each other
/// on one CPU may have the same `scratch`.
#[inline(always)]
pub(crate) fn sent<K: Kernel>(sock: KernelPtr, len: i32, scratch: u32) -> i32 {
    moved::<K>(sock, len, Direction::Sent, false, scratch)
}

/// The current thread received `len` bytes, or failed to.
#[inline(always)]
pub(crate) fn received<K: Kernel>(sock: KernelPtr, len: i32, flags: u64, scratch: u32) -> i32 {
    if flags & MSG_PEEK != 0 {
        return 0;
    }
    if len == 0
        && admit().is_some()
        && let Some(known) = Known::current(sock)
    {
        known.read_nothing();
    }
    moved::<K>(sock, len, Direction::Received, flags & MSG_TRUNC != 0, scratch)
}

#[inline(always)]
fn moved<K: Kernel>(
    sock: KernelPtr,
    len: i32,
    direction: Direction,
    is_hidden: bool,
    scratch: u32,
) -> i32 {
    if len > 0
        && let Some(task) = admit()
        && let Some(known) = Known::current(sock).or_else(|| Known::new(&task, sock, 0, scratch))
    {
        if known.is_followed() {
            let hidden = known.pass_to(direction, len as u32);
            if hidden > 0 {
                message::unseen(known, u64::from(hidden), direction);
            }
            if is_hidden {
                message::unseen(known, len as u64, direction);
            } else if known.is_followed() {
                message::follow::<K>(task, known, len as u64, 0, direction, scratch);
            }
        }
        known.forget_if_over();
    }
    0
}

/// The current thread is about to receive.
#[inline(always)]
pub(crate) fn receives(sock: KernelPtr) -> i32 {
    if let Some(task) = admit()
        && let Some(known) = Known::of(sock).or_else(|| Known::new(&task, sock, 0, SCRATCH))
    {
        let hidden = known.call_begins();
        if hidden > 0 && known.is_followed() {
            message::unseen(known, u64::from(hidden), Direction::Received);
        }
    }
    0
}

/// The current thread received some more, in the call that it is in.
#[inline(always)]
pub(crate) fn received_more<K: Kernel>(sock: KernelPtr) -> i32 {
    let Some(task) = admit() else { return 0 };
    let Some(known) = Known::of(sock) else { return 0 };
    let (len, before) = known.received_until_now();
    if len > 0 && known.is_followed() {
        let (len, before) = (u64::from(len), u64::from(before));
        message::follow::<K>(task, known, len, before, Direction::Received, SCRATCH);
    }
    known.forget_if_over();
    0
}

/// The current thread received `len` bytes behind `before` of the same call, over a UNIX socket.
#[inline(always)]
pub(crate) fn received_piece<K: Kernel>(sock: KernelPtr, len: i32, before: u64) -> i32 {
    if len > 0
        && let Some(task) = admit()
        && let Some(known) = Known::current(sock).or_else(|| Known::new(&task, sock, 0, SCRATCH))
        && known.is_followed()
    {
        message::follow::<K>(task, known, len as u64, before, Direction::Received, SCRATCH);
    }
    0
}

/// A UNIX socket is closed, in whatever process.
#[inline(always)]
pub(crate) fn released(socket: KernelPtr) -> i32 {
    if let Some(known) = Known::of(of_socket(socket)) {
        known.closed();
    }
    0
}

/// The `struct sock` of a `struct socket`.
#[inline(always)]
pub(crate) fn of_socket(socket: KernelPtr) -> KernelPtr {
    socket.ptr(offsets().socket_sk)
}

/// Runs in whatever process is current, also for sockets that nobody traces.
#[inline(always)]
pub(crate) fn state_changed(sock: KernelPtr, old: u64, new: u64) -> i32 {
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
        // TCP Fast Open sends a request before it is connected: then that is what fails.
        if old == SYN_SENT && !known.is_told() {
            known.announce_failure(sock);
            Known::forget(sock);
        } else {
            known.over();
        }
    }
    0
}
