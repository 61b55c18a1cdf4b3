//! The registers with which the current thread entered the kernel -> the system call that it is in.
//! All that differs between processors is here, but for the arguments of kprobes, which aya knows.

use crate::{kernel::Kernel, read::Draft};

pub(crate) use self::processor::number;

/// A system call that runs.
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) second: u64,
    pub(crate) third: u64,
}

impl Call {
    /// `None` where none runs. io_uring goes on where a call that has nothing to do with it ends, and
    /// in threads of its own that have the registers of the one that made them.
    #[inline(always)]
    pub(crate) fn current<K: Kernel>(draft: &Draft) -> Option<Self> {
        processor::call(draft, K::registers())
    }
}

#[cfg(bpf_target_arch = "x86_64")]
mod processor {
    use abi::settings::Offset;

    use super::Call;
    use crate::read::{Draft, KernelPtr};

    /// Of arch/x86/include/asm/ptrace.h: from here on the result of a system call, one that is none, its
    /// third argument, the second, the first, and its number.
    const RAX: Offset = Offset(80);
    /// What the result is until there is one (`-ENOSYS`).
    const RUNS: u64 = (-38_i64) as u64;

    #[inline(always)]
    pub(super) fn call(draft: &Draft, registers: KernelPtr) -> Option<Call> {
        let [result, _, third, second, _, number] = draft.kernel_words(registers, RAX);
        (result == RUNS).then_some(Call { number, second, third })
    }

    /// Of arch/x86/entry/syscalls/syscall_64.tbl.
    pub(crate) mod number {
        pub(crate) const READ: u64 = 0;
        pub(crate) const WRITE: u64 = 1;
        pub(crate) const READV: u64 = 19;
        pub(crate) const WRITEV: u64 = 20;
        pub(crate) const SENDTO: u64 = 44;
        pub(crate) const RECVFROM: u64 = 45;
        pub(crate) const SENDMSG: u64 = 46;
        pub(crate) const RECVMSG: u64 = 47;
        pub(crate) const RECVMMSG: u64 = 299;
        pub(crate) const SENDMMSG: u64 = 307;
    }
}

#[cfg(bpf_target_arch = "aarch64")]
mod processor {
    use abi::settings::Offset;

    use super::Call;
    use crate::read::{Draft, KernelPtr};

    /// Of arch/arm64/include/asm/ptrace.h: the first argument, where the result will be, the second, the
    /// third.
    const X0: Offset = Offset(0);
    /// The first argument as it was, and the number in 32 bits.
    const ORIG_X0: Offset = Offset(272);

    /// Nothing but the result tells that a call ended, so one whose result is its first argument seems
    /// to run. What io_uring does there is no such case: its work comes as a signal does, before which
    /// the kernel forgets the number (`do_signal` of arch/arm64/kernel/signal.c), and its threads have
    /// registers of zeros.
    #[inline(always)]
    pub(super) fn call(draft: &Draft, registers: KernelPtr) -> Option<Call> {
        let [result, second, third, ..] = draft.kernel_words(registers, X0);
        let [first, number, ..] = draft.kernel_words(registers, ORIG_X0);
        let number = number & u64::from(u32::MAX);
        (result == first).then_some(Call { number, second, third })
    }

    /// Of include/uapi/asm-generic/unistd.h.
    pub(crate) mod number {
        pub(crate) const READ: u64 = 63;
        pub(crate) const WRITE: u64 = 64;
        pub(crate) const READV: u64 = 65;
        pub(crate) const WRITEV: u64 = 66;
        pub(crate) const SENDTO: u64 = 206;
        pub(crate) const RECVFROM: u64 = 207;
        pub(crate) const SENDMSG: u64 = 211;
        pub(crate) const RECVMSG: u64 = 212;
        pub(crate) const RECVMMSG: u64 = 243;
        pub(crate) const SENDMMSG: u64 = 269;
    }
}
