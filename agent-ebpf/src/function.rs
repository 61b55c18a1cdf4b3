//! What is moved, where `tcp_sendmsg` and `tcp_recvmsg` return (fexit).
//!
//! On kernels that preempt, another thread's program may come in between: each of the two has scratch
//! memory of its own, and the kernel keeps a program from being run again while it runs.

use aya_ebpf::{macros::fexit, programs::FExitContext};

use crate::{
    kernel::{Early, Recent},
    read::{KernelPtr, settings},
    socket,
};

macro_rules! form {
    ($sent:ident $sent_page:ident $received:ident, $kernel:ty, $flags:literal $returned:literal) => {
        /// `int tcp_sendmsg(struct sock *, struct msghdr *, size_t)`.
        #[fexit]
        fn $sent(ctx: FExitContext) -> i32 {
            let scratch = settings().function_scratch;
            socket::sent::<$kernel>(KernelPtr(ctx.arg(0)), ctx.arg(3), scratch)
        }

        /// `int tcp_sendpage(struct sock *, struct page *, int, size_t, int)`, before Linux 6.5.
        #[fexit]
        fn $sent_page(ctx: FExitContext) -> i32 {
            let scratch = settings().function_scratch;
            socket::sent::<$kernel>(KernelPtr(ctx.arg(0)), ctx.arg(5), scratch)
        }

        form!($received, $kernel, $flags $returned);
    };
    ($received:ident, $kernel:ty, $flags:literal $returned:literal) => {
        /// `int tcp_recvmsg(struct sock *, struct msghdr *, size_t, int flags, int *)`; before
        /// Linux 5.19 with `int nonblock` in front of the flags.
        #[fexit]
        fn $received(ctx: FExitContext) -> i32 {
            let scratch = settings().function_scratch + 1;
            let (sock, flags) = (KernelPtr(ctx.arg(0)), ctx.arg($flags));
            socket::received::<$kernel>(sock, ctx.arg($returned), flags, scratch)
        }
    };
}

form!(sent_fexit sent_page_fexit received_fexit, Recent, 3 5);
form!(received_fexit_6, Recent, 4 6);
form!(sent_fexit_early sent_page_fexit_early received_fexit_early, Early, 4 6);
