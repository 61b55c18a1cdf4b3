//! What is moved, by the tracepoints `sock_send_length` and `sock_recv_length` (Linux 6.3), which run
//! where it moved; other system calls pay nothing. And `inet_sock_set_state`, for every family.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    kernel::Recent,
    preempt,
    read::KernelPtr,
    socket::{self, SCRATCH},
};

/// The family in one form: as it is, or with preemption disabled (Linux 7.0 and later).
macro_rules! form {
    ($sent:ident $received:ident $state:ident, $run:path) => {
        #[btf_tracepoint]
        fn $sent(ctx: BtfTracePointContext) -> i32 {
            $run(|| socket::sent::<Recent>(KernelPtr(ctx.arg(0)), ctx.arg(1), SCRATCH))
        }

        #[btf_tracepoint]
        fn $received(ctx: BtfTracePointContext) -> i32 {
            let sock = KernelPtr(ctx.arg(0));
            $run(|| socket::received::<Recent>(sock, ctx.arg(1), ctx.arg(2), SCRATCH))
        }

        #[btf_tracepoint]
        fn $state(ctx: BtfTracePointContext) -> i32 {
            $run(|| socket::state_changed(KernelPtr(ctx.arg(0)), ctx.arg(1), ctx.arg(2)))
        }
    };
}

form!(sent received state, plainly);
form!(sent_1 received_1 state_1, preempt::disabled);

#[inline(always)]
fn plainly(body: impl FnOnce() -> i32) -> i32 {
    body()
}
