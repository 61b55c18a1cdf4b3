//! The system call that the current thread is in -> where in its memory the bytes are that it moved.
#![expect(unsafe_code, reason = "helpers take raw pointers")]

use aya_ebpf::helpers::generated::bpf_probe_read_user;

use crate::{
    call::{Call, number},
    kernel::Kernel,
    read::{Draft, at_most},
};

/// Segments of one call that are looked at: as many as there may be (`UIO_MAXIOV`).
const MAX_SEGMENTS: u64 = 1024;

/// `struct user_msghdr` of include/linux/socket.h, which a `struct mmsghdr` begins with.
const MSG_IOV: u64 = 16;
const MSG_IOVLEN: u64 = 24;

/// What is left of the bytes of a call: a run that lies at one place, and more segments.
#[repr(C)]
pub(crate) struct Buffers {
    base: u64,
    run_bytes: u64,
    /// Next `struct iovec`, and how many there are.
    segment: u64,
    segments: u64,
    left: u64,
    /// How many of them were followed before.
    skip: u64,
}

impl Buffers {
    /// The `len` bytes behind `skip`. `None` where they do not lie in a buffer of the process.
    #[inline(always)]
    pub(crate) fn of_current<K: Kernel>(draft: &Draft, len: u64, skip: u64) -> Option<Self> {
        let Call { number, second: buffer, third: size } = Call::current::<K>(draft)?;
        let left = len + skip;
        let one = Self { base: buffer, run_bytes: left, segment: 0, segments: 0, left, skip };
        let many = |segment: u64, count: u64| {
            let segments = at_most::<MAX_SEGMENTS>(count);
            Some(Self { base: 0, run_bytes: 0, segment, segments, left, skip })
        };
        // Which of several messages this is nothing tells; of one it is the first.
        let is_message = match number {
            number::SENDMSG | number::RECVMSG => true,
            number::SENDMMSG | number::RECVMMSG => size == 1,
            _ => false,
        };
        if is_message {
            return many(
                user_u64(buffer.wrapping_add(MSG_IOV)),
                user_u64(buffer.wrapping_add(MSG_IOVLEN)),
            );
        }
        match number {
            number::READ | number::WRITE | number::SENDTO | number::RECVFROM => Some(one),
            number::READV | number::WRITEV => many(buffer, size),
            _ => None,
        }
    }

    /// Whether there is a byte, at [`Buffers::base`]; goes on to the next segment where it must.
    #[inline(always)]
    pub(crate) fn has_run(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        if self.run_bytes == 0 {
            if self.segments == 0 {
                return false;
            }
            self.base = user_u64(self.segment);
            let len = user_u64(self.segment.wrapping_add(8));
            self.run_bytes = if len < self.left { len } else { self.left };
            self.segment = self.segment.wrapping_add(16);
            self.segments -= 1;
        }
        if self.skip > 0 {
            let skipped = if self.skip < self.run_bytes { self.skip } else { self.run_bytes };
            self.skip -= skipped;
            self.pass(skipped);
        }
        true
    }

    #[inline(always)]
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// The byte there; 0 as well where it cannot be read.
    #[inline(always)]
    pub(crate) fn first(&self) -> u8 {
        let mut byte = 0u8;
        // SAFETY: there is room for one byte; the helper checks the address and never faults.
        unsafe { bpf_probe_read_user((&raw mut byte).cast(), 1, self.base as *const _) };
        byte
    }

    /// Up to seven bytes there, the first lowest; `None` where they cannot be read.
    #[inline(always)]
    pub(crate) fn bytes(&self, count: u64) -> Option<u64> {
        let mut bytes = 0u64;
        let count = at_most::<7>(count);
        // SAFETY: there is room for `count` bytes; the helper checks the address and never faults.
        let failed = unsafe {
            bpf_probe_read_user((&raw mut bytes).cast(), count as u32, self.base as *const _)
        };
        (failed == 0).then_some(bytes)
    }

    /// May be zero: an empty segment, or one that was followed before.
    #[inline(always)]
    pub(crate) fn run_bytes(&self) -> u64 {
        self.run_bytes
    }

    #[inline(always)]
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    #[inline(always)]
    pub(crate) fn pass(&mut self, bytes: u64) {
        self.base = self.base.wrapping_add(bytes);
        self.run_bytes -= bytes;
        self.left -= bytes;
    }
}

#[inline(always)]
fn user_u64(address: u64) -> u64 {
    let mut value = 0u64;
    // SAFETY: there is room for eight bytes; the helper checks the address and never faults.
    unsafe { bpf_probe_read_user((&raw mut value).cast(), 8, address as *const _) };
    value
}
