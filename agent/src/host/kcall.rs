//! Calls to kernel functions: the ids of the running kernel in place of the object's placeholders.
//!
//! aya 0.14 knows no kernel functions. A placeholder is a call to a helper that does not exist; the
//! real call has the same eight bytes with another source register and number.

use abi::settings::kernel_call;
use zerocopy::IntoBytes as _;

/// `BPF_JMP | BPF_CALL`, and what the source register says of the number (include/uapi/linux/bpf.h).
const CALL: u8 = 0x85;
const HELPER: u8 = 0x00;
const KERNEL_FUNCTION: u8 = 0x20;

/// A copy of the object in words: an ELF file wants to lie on them.
pub(super) fn aligned(object: &[u8]) -> Vec<u64> {
    let mut words = vec![0_u64; object.len().div_ceil(8)];
    if let Some(bytes) = words.as_mut_bytes().get_mut(..object.len()) {
        bytes.copy_from_slice(object);
    }
    words
}

/// The same, with calls to the functions whose type ids are given: disable and enable preemption.
pub(super) fn patched(object: &[u8], ids: [u32; 2]) -> Vec<u64> {
    let mut words = aligned(object);
    let placeholders = [kernel_call::PREEMPT_DISABLE, kernel_call::PREEMPT_ENABLE];
    for word in &mut words {
        for (placeholder, id) in placeholders.into_iter().zip(ids) {
            if *word == instruction(HELPER, placeholder) {
                *word = instruction(KERNEL_FUNCTION, id);
            }
        }
    }
    words
}

fn instruction(registers: u8, number: u32) -> u64 {
    let [a, b, c, d] = number.to_le_bytes();
    u64::from_le_bytes([CALL, registers, 0, 0, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_alone_are_replaced() {
        let placeholder = instruction(HELPER, kernel_call::PREEMPT_ENABLE);
        let object = [7, placeholder, instruction(HELPER, 14)];
        let found = patched(object.as_bytes(), [100, 200]);
        assert_eq!(found, [7, instruction(KERNEL_FUNCTION, 200), object[2]]);
        assert_eq!(aligned(&[1, 2, 3]), [0x03_0201]);
    }
}
