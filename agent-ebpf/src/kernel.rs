//! What the programs on sockets need of a kernel, and how older ones do without.
#![expect(
    unsafe_code,
    reason = "helpers take raw pointers, and callbacks one to the caller's stack"
)]

use aya_ebpf::helpers::{
    bpf_get_current_task,
    generated::{bpf_get_current_task_btf, bpf_loop, bpf_task_pt_regs},
};

use crate::{
    admit::admit,
    connection::Known,
    message::{FIXED, Following, Next},
    read::{Draft, KernelPtr, offsets, settings},
};

/// Turns of the loop over the bytes of one call: what is behind them is lost, which is said.
const TURNS: u32 = 64 * 1024;
/// Turns of one call of [`early_turns`], of which the verifier goes through every one.
const EARLY_TURNS: u32 = 8;
/// Calls of it.
const EARLY_CALLS: u32 = 192;

pub(crate) trait Kernel {
    /// Messages of gRPC that are looked at in one call, each two turns: behind them they are not
    /// counted, and frames are followed all the same.
    const MESSAGES: u32;
    /// The registers with which the current thread entered the kernel.
    fn registers() -> KernelPtr;
    /// Follows until there is nothing left. `scratch` is what the draft lies in.
    fn turns(following: &mut Following, scratch: u32);
}

/// From Linux 5.17 on.
pub(crate) struct Recent;

impl Kernel for Recent {
    const MESSAGES: u32 = 8192;

    #[inline(always)]
    fn registers() -> KernelPtr {
        // SAFETY: the helper gives the current task.
        let task = unsafe { bpf_get_current_task_btf() };
        // SAFETY: it is a task, as the helper wants.
        KernelPtr(unsafe { bpf_task_pt_regs(task) } as u64)
    }

    #[inline(always)]
    fn turns(following: &mut Following, _: u32) {
        // SAFETY: the callback has the form that the helper wants, and `following` outlives the call.
        unsafe { bpf_loop(TURNS, turn as *mut _, (&raw mut *following).cast(), 0) };
    }
}

extern "C" fn turn(_: u64, following: *mut Following) -> i64 {
    // SAFETY: `turns` hands in what nobody else refers to.
    let following = unsafe { &mut *following };
    i64::from(following.advance() == Next::Stop)
}

/// Linux 5.10 to 5.16, without `bpf_loop` and, at first, without `bpf_task_pt_regs`.
pub(crate) struct Early;

impl Kernel for Early {
    const MESSAGES: u32 = 128;

    /// At the end of the thread's stack.
    #[inline(always)]
    fn registers() -> KernelPtr {
        // SAFETY: the helper takes nothing.
        let task = KernelPtr(unsafe { bpf_get_current_task() });
        let stack = task.u64(offsets().task_stack);
        let above = settings().stack_bytes - settings().registers_bytes;
        KernelPtr(stack + u64::from(above))
    }

    #[inline(always)]
    fn turns(following: &mut Following, scratch: u32) {
        // Through memory that the verifier does not follow: there an address is a number like others.
        following.walk().sock = following.known.id().sock;
        let mut call = 0;
        while call < EARLY_CALLS {
            if early_turns(u64::from(scratch)) != 0 {
                break;
            }
            call += 1;
        }
    }
}

/// Some turns. 1 if there is nothing left, else 0.
///
/// A global function to the kernel, so that the verifier goes through it once and not at every call;
/// such a function is given numbers only, and looks for the rest itself.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn early_turns(scratch: u64) -> u64 {
    let Some(task) = admit() else { return 1 };
    let Some(draft) = Draft::new(scratch as u32, FIXED as usize) else { return 1 };
    // SAFETY: it points into this CPU's own scratch memory.
    let sock = unsafe { (*draft.walk()).sock };
    let Some(known) = Known::of(KernelPtr(sock)) else { return 1 };
    let following = Following { task, known, draft };
    let mut turn = 0;
    while turn < EARLY_TURNS {
        if following.advance() == Next::Stop {
            return 1;
        }
        turn += 1;
    }
    0
}
