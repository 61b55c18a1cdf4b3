//! What is moved, where `tcp_sendmsg` and `tcp_recvmsg` return (fexit).
//!
//! On kernels that preempt, another thread's program may come in between: each of the two has scratch
//! memory of its own, and the kernel keeps a program from being run again while it runs.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

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
        /// Linux 5.19 with `int nonblock` in front of the flags, and on the newest without the last.
        #[fexit]
        fn $received(ctx: FExitContext) -> i32 {
            let scratch = settings().function_scratch + 1;
            let (sock, flags) = (KernelPtr(ctx.arg(0)), ctx.arg($flags));
            socket::received::<$kernel>(sock, ctx.arg($returned), flags, scratch)
        }
    };
}

/// The same of UNIX sockets.
macro_rules! unix {
    ($sent:ident $sent_page:ident $received:ident, $kernel:ty) => {
        /// `int unix_stream_sendmsg(struct socket *, struct msghdr *, size_t)`.
        #[fexit]
        fn $sent(ctx: FExitContext) -> i32 {
            let sock = socket::of_socket(KernelPtr(ctx.arg(0)));
            socket::sent::<$kernel>(sock, ctx.arg(3), settings().function_scratch)
        }

        /// `ssize_t unix_stream_sendpage(struct socket *, struct page *, int, size_t, int)`, before
        /// Linux 6.5.
        #[fexit]
        fn $sent_page(ctx: FExitContext) -> i32 {
            let sock = socket::of_socket(KernelPtr(ctx.arg(0)));
            socket::sent::<$kernel>(sock, ctx.arg(5), settings().function_scratch)
        }

        /// `int unix_stream_recvmsg(struct socket *, struct msghdr *, size_t, int flags)`.
        #[fexit]
        fn $received(ctx: FExitContext) -> i32 {
            let sock = socket::of_socket(KernelPtr(ctx.arg(0)));
            let scratch = settings().function_scratch + 1;
            socket::received::<$kernel>(sock, ctx.arg(4), ctx.arg(3), scratch)
        }
    };
}

unix!(sent_unix_fexit sent_page_unix_fexit received_unix_fexit, Recent);
unix!(sent_unix_fexit_early sent_page_unix_fexit_early received_unix_fexit_early, Early);

/// `int unix_release(struct socket *)`, before it is.
#[fentry]
fn released_fentry(ctx: FEntryContext) -> i32 {
    socket::released(KernelPtr(ctx.arg(0)))
}

form!(sent_fexit sent_page_fexit received_fexit, Recent, 3 5);
form!(received_fexit_4, Recent, 3 4);
form!(received_fexit_6, Recent, 4 6);
form!(sent_fexit_early sent_page_fexit_early received_fexit_early, Early, 4 6);
