//! Work that nothing else comes in between of on its CPU, on kernels that have
//! `bpf_preempt_disable` (6.10).
//!
//! It is a kernel function and no helper: a call names its type id in the running kernel, which the
//! loader writes over the placeholders here. A program that is not loaded may keep them.
#![expect(unsafe_code, reason = "calls that the compiler does not know are assembly")]

use abi::settings::kernel_call;

#[inline(always)]
pub(crate) fn disabled(body: impl FnOnce() -> i32) -> i32 {
    call::<{ kernel_call::PREEMPT_DISABLE }>();
    let result = body();
    call::<{ kernel_call::PREEMPT_ENABLE }>();
    result
}

#[inline(always)]
fn call<const FUNCTION: u32>() {
    // SAFETY: the call takes nothing and gives nothing; the registers that it may change are named.
    unsafe {
        core::arch::asm!(
            "call {function}",
            function = const FUNCTION,
            out("r0") _,
            out("r1") _,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
        );
    }
}
