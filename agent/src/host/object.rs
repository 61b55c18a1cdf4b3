//! A pinned object of the kernel -> a descriptor of it.
#![expect(
    unsafe_code,
    reason = "aya opens programs only with all that is known of them, for which rights lack"
)]

use std::{
    ffi::CString,
    io,
    os::{
        fd::{FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use libc::{SYS_bpf, c_long, syscall};
use zerocopy::{Immutable, IntoBytes};

/// Of include/uapi/linux/bpf.h.
const BPF_OBJ_GET: c_long = 7;

/// As `union bpf_attr` has it for that command.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Attributes {
    path: u64,
    fd: u32,
    flags: u32,
}

pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Attributes { path: path.as_ptr().addr() as u64, fd: 0, flags: 0 };
    let bytes = attributes.as_bytes();
    // SAFETY: `bytes` and the path that they point to live until the call returns, which writes neither.
    let fd = unsafe { syscall(SYS_bpf, BPF_OBJ_GET, bytes.as_ptr(), bytes.len()) };
    match i32::try_from(fd) {
        // SAFETY: the kernel made it for this call.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}
