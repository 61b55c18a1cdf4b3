//! UNIX stream sockets: which one an address is of, and where its server listens.
#![expect(unsafe_code, reason = "helpers take raw pointers")]

use abi::{
    settings::Offset,
    socket::{Connection, PATH_MAX, Role},
};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use crate::read::{KernelPtr, at_most, offsets};

/// Of a `struct sockaddr_un`.
const SUN_PATH: Offset = Offset(2);

/// Number of the socket's inode; 0 where nobody has it any more. The address of a socket that was closed
/// is used again, and not every kernel lets a program see it closed.
#[inline(always)]
pub(crate) fn inode(sock: KernelPtr) -> u64 {
    let at = offsets();
    let socket = sock.ptr(at.sock_socket);
    if socket.0 == 0 { 0 } else { socket.u64(at.socket_inode) }
}

/// Says which sockets the two ends are, and the name of the server's.
#[inline(always)]
pub(crate) fn describe(sock: KernelPtr, record: &mut Connection) {
    let at = offsets();
    let peer = sock.ptr(at.unix_peer);
    record.local = zerocopy::transmute!([sock.0, 0]);
    // Its inode would say more, but it has none before it is accepted and none once it is closed.
    record.remote = zerocopy::transmute!([peer.0, 0]);
    let server = if record.role == Role::SERVER { sock } else { peer };
    let name = server.ptr(at.unix_addr);
    let len = u64::from(name.u32(at.unix_addr_len)).wrapping_sub(u64::from(SUN_PATH.0));
    // A socket without a name has no address, whose length reads as zero, and wraps.
    if len > PATH_MAX as u64 {
        return;
    }
    let len = at_most::<{ PATH_MAX as u64 }>(len);
    let from = name.at(at.unix_addr_name).at(SUN_PATH).0;
    // SAFETY: there is room for `len` bytes; the helper checks the address and never faults.
    let failed = unsafe {
        bpf_probe_read_kernel(record.path.as_mut_ptr().cast(), len as u32, from as *const _)
    };
    record.path_len = if failed == 0 { len as u32 } else { 0 };
}
