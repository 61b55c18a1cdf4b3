//! The only way out: writes to the ring, and counts what it could not write.
#![expect(unsafe_code, reason = "aya has no safe form for a record whose length is not a constant")]

use abi::{
    WIRE_VERSION,
    header::{Header, Kind},
    loss::Count,
};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_ktime_get_boot_ns, bpf_ringbuf_output},
    maps::ring_buf::RingBufEntry,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    admit::{Admitted, add},
    maps::{COUNTS, RING, SCRATCH_BYTES},
    read::{self, Draft, at_most},
};

/// Whether a record reached the ring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emitted {
    Yes,
    Lost,
}

/// The proof that a record is wanted: nothing else may reach the ring.
pub(crate) trait Traced {}

impl Traced for Admitted {}

/// The header of a record of `len_bytes` that happened now.
#[inline(always)]
pub(crate) fn header(kind: Kind, len_bytes: u64) -> Header {
    // SAFETY: the helper takes nothing and reads a clock.
    header_at(kind, len_bytes, unsafe { bpf_ktime_get_boot_ns() })
}

/// The header of a record of `len_bytes` that happened then.
#[inline(always)]
pub(crate) fn header_at(kind: Kind, len_bytes: u64, time_ns: u64) -> Header {
    Header { kind, version: WIRE_VERSION, len_bytes: len_bytes as u32, time_ns }
}

/// Room in the ring for a record of constant length, to be written in place and submitted with
/// [`submit`]. Needs a proof that somebody wants it.
#[inline(always)]
pub(crate) fn reserve<T: IntoBytes + Immutable + 'static>(
    _: &impl Traced,
) -> Option<RingBufEntry<T>> {
    count(Count::SEEN);
    let slot = RING.reserve::<T>(0);
    if slot.is_none() {
        count(Count::LOST_RING_FULL);
    }
    slot
}

/// What was reserved, in which there may be anything yet.
#[inline(always)]
pub(crate) fn fixed<T: FromBytes>(slot: &mut RingBufEntry<T>) -> &mut T {
    // SAFETY: any bytes are a `T`; the kernel gave room for one.
    unsafe { slot.assume_init_mut() }
}

#[inline(always)]
pub(crate) fn submit<T>(slot: RingBufEntry<T>) {
    slot.submit(wake());
    count(Count::EMITTED);
}

/// Emits what the draft holds.
#[inline(always)]
pub(crate) fn emit_draft(_: &impl Traced, draft: &Draft) -> Emitted {
    count(Count::SEEN);
    let len = at_most::<{ SCRATCH_BYTES as u64 }>(draft.len());
    // SAFETY: the first `len` bytes of the draft are this CPU's own and were all written.
    let failed = unsafe {
        bpf_ringbuf_output((&raw const RING).cast_mut().cast(), draft.base().cast(), len, wake())
    };
    if failed != 0 {
        count(Count::LOST_RING_FULL);
        return Emitted::Lost;
    }
    count(Count::EMITTED);
    Emitted::Yes
}

/// The reader looks at the ring every few milliseconds by itself. Waking it for each record would
/// cost the traced process more than the record; it is woken only when the ring fills up.
#[inline(always)]
fn wake() -> u64 {
    if RING.query(u64::from(BPF_RB_AVAIL_DATA)) >= u64::from(read::settings().wake_at_bytes) {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

#[inline(always)]
pub(crate) fn count(what: Count) {
    if let Some(slot) = COUNTS.get_ptr_mut(what.0) {
        // Atomically, though the slot is this CPU's own: a copy of the probe may come in between.
        add(slot, 1);
    }
}
