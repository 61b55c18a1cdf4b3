//! What is remembered of a connection: the only references into `CONNECTIONS`.
#![expect(unsafe_code, reason = "map values are shared with other CPUs: see Known")]

use abi::{
    header::Kind,
    http1::Stream,
    loss::Count,
    place::Place,
    settings::Offset,
    socket::{Closed, Conn, Connection, ConnectionId, Role, Transport, Way, closed, state},
};
use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_ktime_get_boot_ns};

use crate::{
    admit::Admitted,
    emit::{Emitted, Traced, count, fixed, header, reserve, submit},
    maps::CONNECTIONS,
    message::Direction,
    read::{Draft, KernelPtr, offsets},
    socket::SCRATCH,
    unix,
};

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
/// `SOCK_STREAM`.
const STREAM: u32 = 1;
const IPPROTO_TCP: u32 = 6;
/// Of include/uapi/asm-generic/errno.h.
const EADDRNOTAVAIL: u32 = 99;
const ECANCELED: u32 = 125;
/// Of include/net/sock.h.
const SHUTDOWN_MASK: u32 = 3;
/// Of include/net/tcp_states.h.
const CLOSE: u32 = 7;

/// A connection of a traced process; its entry in `CONNECTIONS`.
///
/// Two threads that use one socket at one time may each undo what the other wrote here: then the
/// stream is out of step, which ends the following and is counted. The kernel never moves an entry.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) sock: KernelPtr,
    entry: *mut Conn,
}

impl Traced for Known {}

impl Known {
    #[inline(always)]
    pub(crate) fn of(sock: KernelPtr) -> Option<Self> {
        let entry = CONNECTIONS.get_ptr_mut(sock.0)?;
        Some(Self { sock, entry })
    }

    /// As [`Known::of`], of a socket that moves bytes: what is known may be of an earlier one.
    #[inline(always)]
    pub(crate) fn current(sock: KernelPtr) -> Option<Self> {
        let known = Self::of(sock)?;
        // SAFETY: as in `connected`.
        if known.is_unix() && unsafe { (*known.entry).inode } != unix::inode(sock) {
            known.closed();
            return None;
        }
        Some(known)
    }

    #[inline(always)]
    pub(crate) fn is_unix(self) -> bool {
        self.transport() == Transport::UNIX
    }

    #[inline(always)]
    pub(crate) fn transport(self) -> Transport {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).transport }
    }

    /// A connection that is met for the first time; not one of another kind than streams.
    #[inline(always)]
    pub(crate) fn new(
        task: &Admitted,
        sock: KernelPtr,
        connect_ns: u64,
        scratch: u32,
    ) -> Option<Self> {
        let at = offsets();
        let transport = match sock.u32(at.sock_family) & 0xffff {
            AF_INET | AF_INET6 if sock.u32(at.sock_protocol) & 0xffff == IPPROTO_TCP => {
                Transport::TCP
            }
            AF_INET | AF_INET6 => Transport::OTHER,
            AF_UNIX if at.unix_peer != Offset::ABSENT => Transport::UNIX,
            _ => return None,
        };
        if sock.u32(at.sock_type) & 0xffff != STREAM {
            return None;
        }
        // SAFETY: the helper takes nothing and reads a clock.
        let now_ns = unsafe { bpf_ktime_get_boot_ns() };
        let way = Way { stream: Stream::NEW, last_ns: 0, place: Place::UNKNOWN };
        let fresh = Draft::new(scratch, 0)?.fresh();
        let conn = Conn {
            since_ns: now_ns,
            process: task.process(),
            owner: task.owner(),
            connect_ns: if connect_ns == 0 { 0 } else { now_ns },
            connected_ns: 0,
            head_requests: 0,
            connect_requests: 0,
            untold_requests: 0,
            role: Role::UNKNOWN,
            state: state::NEW,
            // Its end may come in the call that is the first to be seen: a reset, over loopback.
            is_over: u32::from(
                connect_ns == 0
                    && transport == Transport::TCP
                    && sock.u32(at.sock_state) & 0xff == CLOSE,
            ),
            transport,
            inode: if transport == Transport::UNIX { unix::inode(sock) } else { 0 },
            is_told: 0,
            _pad: 0,
            ways: [way, way],
        };
        // SAFETY: it points into this CPU's own scratch memory.
        unsafe { fresh.write(conn) };
        // SAFETY: as above.
        let conn = unsafe { &*fresh };
        if CONNECTIONS.insert(sock.0, conn, u64::from(BPF_NOEXIST)).is_err() {
            count(Count::SEEN);
            count(Count::LOST_CONNECTIONS_FULL);
            return None;
        }
        Self::of(sock)
    }

    /// The current process asked for a connection.
    #[inline(always)]
    pub(crate) fn connecting(task: &Admitted, sock: KernelPtr) {
        Self::forget(sock);
        Self::new(task, sock, 1, SCRATCH);
    }

    #[inline(always)]
    pub(crate) fn connected(self) {
        // SAFETY: the helper takes nothing and reads a clock.
        let now_ns = unsafe { bpf_ktime_get_boot_ns() };
        // SAFETY: `entry` came from a look-up that succeeded in this run of the program.
        unsafe { (*self.entry).connected_ns = now_ns };
        // What is received begins here.
        let _nothing_before = self.call_begins();
    }

    /// It fails only where the connection is not known.
    #[inline(always)]
    pub(crate) fn forget(sock: KernelPtr) {
        let _unknown = CONNECTIONS.remove(sock.0);
    }

    #[inline(always)]
    pub(crate) fn is_followed(self) -> bool {
        self.state() != state::NEITHER
    }

    /// Whether somebody still has the socket, and bytes that it did not read. The other side's end is
    /// counted as one of them; `close(2)` empties the queue first.
    #[inline(always)]
    fn has_unread(self) -> bool {
        if self.transport() != Transport::TCP {
            return false;
        }
        let at = offsets();
        let unread = self.sock.u32(at.tcp_received).wrapping_sub(self.sock.u32(at.tcp_read));
        unread > 1 && self.sock.u32(at.sock_queued) != 0 && self.sock.u64(at.sock_socket) != 0
    }

    /// Whether a record told of bytes of it, announced or not.
    #[inline(always)]
    pub(crate) fn is_told(self) -> bool {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).is_told != 0 }
    }

    #[inline(always)]
    pub(crate) fn set_told(self) {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).is_told = 1 };
    }

    #[inline(always)]
    pub(crate) fn state(self) -> u32 {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).state }
    }

    #[inline(always)]
    pub(crate) fn set_state(self, state: u32) {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).state = state };
    }

    /// It speaks something else, or what cannot be followed, from its beginning on.
    #[inline(always)]
    pub(crate) fn is_not_http(self) {
        self.set_state(state::NEITHER);
        if self.transport() == Transport::TCP {
            count(Count::NOT_HTTP);
        }
    }

    #[inline(always)]
    pub(crate) fn role(self) -> Role {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).role }
    }

    #[inline(always)]
    pub(crate) fn set_role(self, role: Role) {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).role = role };
    }

    #[inline(always)]
    pub(crate) fn id(self) -> ConnectionId {
        // SAFETY: as in `connected`.
        let since_ns = unsafe { (*self.entry).since_ns };
        ConnectionId { sock: self.sock.0, since_ns }
    }

    #[inline(always)]
    pub(crate) fn way(self, direction: Direction) -> *mut Way {
        // SAFETY: as in `connected`; there are two.
        unsafe { &raw mut (*self.entry).ways[direction as usize] }
    }

    /// The requests with the method HEAD and those with CONNECT, a bit each.
    #[inline(always)]
    pub(crate) fn methods(self) -> (u64, u64) {
        // SAFETY: as in `connected`.
        let head = unsafe { (*self.entry).head_requests };
        // SAFETY: as in `connected`.
        let connect = unsafe { (*self.entry).connect_requests };
        (head, connect)
    }

    #[inline(always)]
    pub(crate) fn set_methods(self, head: u64, connect: u64) {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).head_requests = head };
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).connect_requests = connect };
    }

    /// Whether the exchange with this number is beyond the budget.
    #[inline(always)]
    pub(crate) fn is_untold(self, ordinal: u32) -> bool {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).untold_requests >> (ordinal & 63) & 1 != 0 }
    }

    #[inline(always)]
    pub(crate) fn set_untold(self, ordinal: u32, is_untold: bool) {
        let bit = 1u64 << (ordinal & 63);
        // SAFETY: as in `connected`.
        let untold = unsafe { &mut (*self.entry).untold_requests };
        *untold = if is_untold { *untold | bit } else { *untold & !bit };
    }

    /// Tells who talks to whom.
    #[inline(always)]
    pub(crate) fn announce(self, error: u32) -> Emitted {
        let at = offsets();
        let sock = self.sock;
        let family = sock.u32(at.sock_family) & 0xffff;
        let Some(mut slot) = reserve::<Connection>(&self) else { return Emitted::Lost };
        // A field at a time: the whole would be put together on the stack.
        let record = fixed(&mut slot);
        record.header = header(Kind::CONNECTION, size_of::<Connection>() as u64);
        // SAFETY: as in `connected`.
        record.process.set(unsafe { (*self.entry).process });
        // SAFETY: as in `connected`.
        record.owner.set(unsafe { (*self.entry).owner });
        record.connection = self.id();
        record.role = self.role();
        record.family = family;
        record.local_port = sock.u32(at.sock_local_port) as u16;
        record.remote_port = (sock.u32(at.sock_remote_port) as u16).swap_bytes();
        record.error = error;
        // SAFETY: as in `connected`.
        record.connect_ns = unsafe { (*self.entry).connect_ns };
        // SAFETY: as in `connected`.
        record.connected_ns = unsafe { (*self.entry).connected_ns };
        record.path_len = 0;
        if family == AF_UNIX {
            unix::describe(sock, record);
        } else {
            let is_v6 = family == AF_INET6;
            record.local = sock.address(if is_v6 { at.sock_local_v6 } else { at.sock_local_v4 });
            record.remote = sock.address(if is_v6 { at.sock_remote_v6 } else { at.sock_remote_v4 });
        }
        submit(slot);
        Emitted::Yes
    }

    /// Where the socket has no error, either it was closed before it was connected, or the system had no
    /// address for it: then there was no SYN, which the first sequence number is chosen for.
    #[inline(always)]
    pub(crate) fn announce_failure(self, sock: KernelPtr) {
        self.set_role(Role::CLIENT);
        let at = offsets();
        let mut error = sock.u32(at.sock_error);
        if error == 0 {
            error = ECANCELED;
            if self.transport() == Transport::TCP && sock.u32(at.tcp_written) == 0 {
                error = EADDRNOTAVAIL;
            }
        }
        self.announce(error);
    }

    /// Nothing more comes from the other side. What came may still wait to be read.
    #[inline(always)]
    pub(crate) fn over(self) {
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).is_over = 1 };
        self.forget_if_over();
    }

    /// Said only of one that was announced. A function to the kernel as well, so that what is on its
    /// stack is not on that of who follows.
    #[inline(never)]
    pub(crate) fn forget_if_over(self) {
        // SAFETY: as in `connected`.
        let is_over = unsafe { (*self.entry).is_over } != 0;
        if is_over && !self.has_unread() && !self.is_being_read() {
            self.closed();
        }
    }

    /// Nothing more comes.
    #[inline(always)]
    pub(crate) fn closed(self) {
        if self.is_told() {
            self.end(closed::SOCKET);
        }
        Self::forget(self.sock);
    }

    /// A read gave nothing: the end, if the other side ended it.
    #[inline(always)]
    pub(crate) fn read_nothing(self) {
        let shutdown = self.sock.u32(offsets().sock_shutdown);
        // One that only sends no more may still be answered.
        if self.is_unix() && shutdown & SHUTDOWN_MASK == SHUTDOWN_MASK {
            self.closed();
        }
    }

    #[inline(always)]
    pub(crate) fn end(self, reason: u32) {
        self.set_state(state::NEITHER);
        // SAFETY: as in `connected`.
        unsafe { (*self.entry).is_told = 0 };
        let Some(mut slot) = reserve::<Closed>(&self) else { return };
        let (received, sent) = (self.way(Direction::Received), self.way(Direction::Sent));
        // SAFETY: as in `connected`.
        let received = unsafe { &*received };
        // SAFETY: as in `connected`.
        let sent = unsafe { &*sent };
        slot.write(Closed {
            header: header(Kind::CLOSED, size_of::<Closed>() as u64),
            connection: self.id(),
            reason,
            error: self.sock.u32(offsets().sock_error),
            sent_body_bytes: sent.stream.body_bytes,
            received_body_bytes: received.stream.body_bytes,
            last_ns: if sent.last_ns > received.last_ns { sent.last_ns } else { received.last_ns },
            cut: u32::from(received.stream.phase.is_bounded())
                | u32::from(sent.stream.phase.is_bounded()) << 1,
            _pad: 0,
        });
        submit(slot);
    }
}
