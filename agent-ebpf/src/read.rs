//! The only reads of kernel and user memory.
//!
//! The object has no CO-RE relocations: where the running kernel keeps a field comes from its own
//! BTF through [`Settings`]. Every read may fail and then gives zero.
#![expect(unsafe_code, reason = "helpers take raw addresses; they check them and never fault")]

use abi::{
    settings::{Offset, Offsets, Settings},
    socket::Conn,
};
use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user,
};

use crate::{
    maps::{SCRATCH, SCRATCH_BYTES, Scratch},
    message::Walk,
};

/// Filled in by the loader. Lies in `.rodata`, which is frozen: to the verifier these are constants.
#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings::UNSET;

/// Volatile, so that the compiler does not take the unset values for the real ones.
#[inline(always)]
pub(crate) fn settings() -> &'static Settings {
    let settings = core::hint::black_box(&raw const SETTINGS);
    // SAFETY: it points to a static that nothing writes after load.
    unsafe { &*settings }
}

#[inline(always)]
pub(crate) fn offsets() -> &'static Offsets {
    &settings().offsets
}

/// An address in the kernel, perhaps stale, perhaps nonsense.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KernelPtr(pub(crate) u64);

impl KernelPtr {
    #[inline(always)]
    pub(crate) fn at(self, offset: Offset) -> Self {
        Self(self.0.wrapping_add(u64::from(offset.0)))
    }

    #[inline(always)]
    pub(crate) fn ptr(self, offset: Offset) -> Self {
        Self(self.u64(offset))
    }

    #[inline(always)]
    pub(crate) fn u64(self, offset: Offset) -> u64 {
        let mut value = 0u64;
        self.read(offset, (&raw mut value).cast(), 8);
        value
    }

    #[inline(always)]
    pub(crate) fn u32(self, offset: Offset) -> u32 {
        let mut value = 0u32;
        self.read(offset, (&raw mut value).cast(), 4);
        value
    }

    /// Sixteen bytes. What of them the kernel structure does not have reads as what lies behind it.
    #[inline(always)]
    pub(crate) fn address(self, offset: Offset) -> [u8; 16] {
        // As words: to fill bytes with zeros is a call of a function, with a stack of its own.
        let words = [self.u64(offset), self.at(offset).u64(Offset(8))];
        zerocopy::transmute!(words)
    }

    #[inline(always)]
    fn read(self, offset: Offset, to: *mut core::ffi::c_void, len_bytes: u32) {
        if offset == Offset::ABSENT {
            return;
        }
        // SAFETY: `to` has room for `len_bytes`; the helper copies or zeroes, whatever the address.
        unsafe { bpf_probe_read_kernel(to, len_bytes, self.at(offset).0 as *const _) };
    }
}

/// The smaller of the two, in a form that every verifier follows. The compiler proves bounds that
/// verifiers before 6.8 cannot, and then leaves out or rewrites the very comparison that they need.
#[inline(always)]
pub(crate) fn at_most<const MOST: u64>(mut value: u64) -> u64 {
    // SAFETY: compares and moves one register.
    unsafe {
        core::arch::asm!(
            "if {value} <= {most} goto +1",
            "{value} = {most}",
            value = inout(reg) value,
            most = const MOST,
            options(nomem, nostack),
        );
    }
    value
}

/// The first bytes of a draft, in which words are read and written anywhere: a power of two.
const PLACES: u64 = 8 * 1024;

/// This CPU's scratch memory, filled from the front.
pub(crate) struct Draft(*mut Scratch);

impl Draft {
    /// A draft whose first `fixed` bytes are left free for [`Draft::put`]. No two programs that can
    /// interrupt each other on one CPU may have the same `scratch`.
    #[inline(always)]
    pub(crate) fn new(scratch: u32, fixed: usize) -> Option<Self> {
        let draft = Self(SCRATCH.get_ptr_mut(scratch)?);
        draft.set_len(fixed as u64);
        Some(draft)
    }

    /// How much is filled; at most `SCRATCH_BYTES`, of which the verifier knows nothing.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        // SAFETY: the pointer came from a look-up that succeeded in this run of the program.
        let len = unsafe { &raw const (*self.0).len };
        // SAFETY: as above; volatile, so that it is really read.
        unsafe { len.read_volatile() }
    }

    #[inline(always)]
    fn set_len(&self, filled: u64) {
        // SAFETY: as in `len`.
        let len = unsafe { &raw mut (*self.0).len };
        // SAFETY: as in `len`.
        unsafe { len.write_volatile(filled) };
    }

    /// Six words of kernel memory. Not on the stack, which is short: see `message.rs`.
    #[inline(always)]
    pub(crate) fn kernel_words(&self, from: KernelPtr, offset: Offset) -> [u64; 6] {
        // SAFETY: as in `len`.
        let words = unsafe { &raw mut (*self.0).words };
        from.read(offset, words.cast(), 48);
        // SAFETY: as in `len`; they are this CPU's own.
        unsafe { words.read_volatile() }
    }

    #[inline(always)]
    pub(crate) fn walk(&self) -> *mut Walk {
        // SAFETY: as in `len`.
        unsafe { &raw mut (*self.0).walk }
    }

    #[inline(always)]
    pub(crate) fn fresh(&self) -> *mut Conn {
        // SAFETY: as in `len`.
        unsafe { &raw mut (*self.0).fresh }
    }

    /// Begins again behind `len` bytes.
    #[inline(always)]
    pub(crate) fn restart(&self, len: u64) {
        self.set_len(at_most::<{ SCRATCH_BYTES as u64 }>(len));
    }

    /// Where eight bytes lie. Masked and not compared, because the verifier goes both ways at each
    /// comparison.
    #[inline(always)]
    fn place(&self, mut at: u64) -> *mut u8 {
        const { assert!(PLACES as usize + 8 <= SCRATCH_BYTES) };
        // SAFETY: changes one register.
        unsafe {
            core::arch::asm!(
                "{at} &= {mask}",
                at = inout(reg) at,
                mask = const PLACES - 1,
                options(nomem, nostack),
            );
        }
        // SAFETY: `at + 8 <= SCRATCH_BYTES`.
        unsafe { self.base().add(at as usize) }
    }

    /// Eight bytes, the first lowest, wherever it is filled to. Assembly, because they need not be
    /// aligned, and the compiler reads such a byte at a time.
    #[inline(always)]
    pub(crate) fn word_at(&self, at: u64) -> u64 {
        let word;
        // SAFETY: the eight bytes are this CPU's own.
        unsafe {
            core::arch::asm!(
                "{word} = *(u64 *)({place} + 0)",
                word = out(reg) word,
                place = in(reg) self.place(at),
                options(nostack, readonly),
            );
        }
        word
    }

    #[inline(always)]
    pub(crate) fn put_word(&self, at: u64, word: u64) {
        // SAFETY: as in `word_at`.
        unsafe {
            core::arch::asm!(
                "*(u64 *)({place} + 0) = {word}",
                place = in(reg) self.place(at),
                word = in(reg) word,
                options(nostack),
            );
        }
    }

    #[inline(always)]
    pub(crate) fn base(&self) -> *mut u8 {
        // SAFETY: as in `len`.
        unsafe { &raw mut (*self.0).bytes }.cast()
    }

    /// Appends a NUL-terminated kernel string of up to 255 bytes, cutting a longer one. Gives how
    /// many bytes it took, its NUL included. Nothing is appended past `LIMIT`.
    #[inline(always)]
    pub(crate) fn kernel_str<const LIMIT: u64>(&self, from: KernelPtr) -> u64 {
        const MOST: u64 = 256;
        const { assert!(LIMIT + MOST <= SCRATCH_BYTES as u64) };
        let at = self.len();
        if at > LIMIT {
            return 0;
        }
        let at = at_most::<LIMIT>(at);
        // SAFETY: `at + MOST <= SCRATCH_BYTES`.
        let to = unsafe { self.base().add(at as usize) };
        // SAFETY: there is room for `MOST` bytes; the helper checks the address.
        let read = unsafe { bpf_probe_read_kernel_str(to.cast(), MOST as u32, from.0 as *const _) };
        if read <= 0 {
            return 0;
        }
        let read = at_most::<MOST>(read as u64);
        self.set_len(at + read);
        read
    }

    /// Appends one NUL: an empty component, which says that a path goes on.
    #[inline(always)]
    pub(crate) fn nul<const LIMIT: u64>(&self) {
        const { assert!(LIMIT < SCRATCH_BYTES as u64) };
        let at = self.len();
        if at <= LIMIT {
            let at = at_most::<LIMIT>(at);
            // SAFETY: `at < SCRATCH_BYTES`.
            let to = unsafe { self.base().add(at as usize) };
            // SAFETY: as above.
            unsafe { to.write(0) };
            self.set_len(at + 1);
        }
    }

    /// Appends up to `MOST` bytes of the current process's memory. Gives how many; 0 if they could
    /// not be read.
    #[inline(always)]
    pub(crate) fn user<const LIMIT: u64, const MOST: u64>(&self, from: u64, len: u64) -> u64 {
        const { assert!(LIMIT + MOST <= SCRATCH_BYTES as u64) };
        let at = self.len();
        if at > LIMIT {
            return 0;
        }
        let (at, len) = (at_most::<LIMIT>(at), at_most::<MOST>(len));
        // SAFETY: `at + len <= LIMIT + MOST <= SCRATCH_BYTES`.
        let to = unsafe { self.base().add(at as usize) };
        // SAFETY: there is room for `len` bytes; the helper checks the address and never sleeps.
        let failed = unsafe { bpf_probe_read_user(to.cast(), len as u32, from as *const _) };
        if failed != 0 {
            return 0;
        }
        self.set_len(at + len);
        len
    }

    /// The fixed part at the front, in which there may be anything yet.
    #[inline(always)]
    pub(crate) fn fixed<'scratch, T: zerocopy::FromBytes + 'scratch>(&self) -> &'scratch mut T {
        const { assert!(size_of::<T>() <= SCRATCH_BYTES && align_of::<T>() <= 8) };
        // SAFETY: any bytes are a `T`, there is room, and scratch memory is aligned to 8 bytes.
        unsafe { &mut *self.base().cast() }
    }

    /// Writes the fixed part at the front.
    #[inline(always)]
    pub(crate) fn put<T: zerocopy::IntoBytes>(&self, fixed: T) {
        const { assert!(size_of::<T>() <= SCRATCH_BYTES && align_of::<T>() <= 8) };
        // SAFETY: there is room, and scratch memory is aligned to 8 bytes.
        unsafe { self.base().cast::<T>().write(fixed) };
    }
}
