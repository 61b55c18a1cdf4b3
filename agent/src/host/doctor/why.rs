//! Why the kernel takes a program or not, in words: what it answers is a number that stands for many
//! reasons.

use std::{error::Error, io};

use aya::programs::{ProgramError, kprobe::KProbeError};

use super::rights::{BPF, PERFMON, Rights};
use crate::host::{
    load::{LoadError, verifier_log},
    say,
};

/// Of include/uapi/asm-generic/errno-base.h and errno.h.
mod number {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const E2BIG: i32 = 7;
    pub(super) const ENOMEM: i32 = 12;
    pub(super) const EACCES: i32 = 13;
    pub(super) const EBUSY: i32 = 16;
    pub(super) const EINVAL: i32 = 22;
    pub(super) const EOPNOTSUPP: i32 = 95;
    /// Of include/linux/errno.h: not meant to leave the kernel.
    pub(super) const ENOTSUPP: i32 = 524;
}

/// Why it is not attached, without the kernel's own words where there are others.
pub(super) fn refused(error: &LoadError) -> String {
    let LoadError::Attach { program, target, source } = error else { return say::chain(error) };
    if matches!(source, ProgramError::KProbeError(KProbeError::FileError { .. })) {
        return "this kernel has no kprobes for programs (CONFIG_KPROBE_EVENTS), or /sys is not whole"
            .to_owned();
    }
    if matches!(source, ProgramError::Btf(_)) {
        return format!("{target} is not in this kernel");
    }
    if verifier_log(error).is_some() {
        return format!("the verifier refused {program}");
    }
    of_number(source, Rights::of_this_process()).unwrap_or_else(|| say::chain(error))
}

/// What the kernel's number means of a program.
pub(super) fn of_number(error: &(dyn Error + 'static), rights: Rights) -> Option<String> {
    let missing = rights.missing(&[BPF, PERFMON]);
    let words = match errno(error)? {
        number::EPERM | number::EACCES if !missing.is_empty() => {
            return Some(format!("not allowed: {} missing", missing.join(" and ")));
        }
        number::EPERM | number::EACCES => {
            "not allowed, though the rights are there (a security module, a sandbox, or how the \
             kernel was built)"
        }
        number::ENOENT => "what it is for is not in this kernel",
        number::EINVAL => "this kernel does not know it",
        number::E2BIG => "it is too large for this kernel's verifier",
        number::ENOMEM => "the kernel has no memory for it",
        number::EBUSY => "somebody else holds what it needs",
        number::EOPNOTSUPP | number::ENOTSUPP => {
            "this kernel cannot call programs from functions (BPF trampolines)"
        }
        _ => return None,
    };
    Some(words.to_owned())
}

fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        let number = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if number.is_some() {
            return number;
        }
        next = error.source();
    }
    None
}

/// What the kernel said, with the verifier's last words.
pub(super) fn detail(error: &LoadError) -> String {
    let log = verifier_log(error).map(|log| format!("\n{}", tail(&log, 6)));
    format!("{}{}", say::chain(error), log.unwrap_or_default())
}

/// The end of a verifier log is where the reason stands.
fn tail(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_in_words() {
        let check = |number, expected: Option<&str>| {
            let words = of_number(&io::Error::from_raw_os_error(number), Rights::NONE);
            let is_expected = match (&words, expected) {
                (Some(words), Some(expected)) => words.contains(expected),
                (words, expected) => words.is_none() && expected.is_none(),
            };
            assert!(is_expected, "{words:?}");
        };
        check(number::EPERM, Some("CAP_BPF and CAP_PERFMON missing"));
        check(number::ENOTSUPP, Some("trampolines"));
        check(number::EINVAL, Some("does not know it"));
        check(5, None);
    }

    #[test]
    fn the_kernel_s_own_words_are_kept_apart() {
        let file = || io::Error::from_raw_os_error(number::ENOENT);
        let source = KProbeError::FileError { filename: "/sys/x".into(), io_error: file() };
        let source = ProgramError::KProbeError(source);
        let error = LoadError::Attach { program: "sends", target: "tcp_sendmsg", source };
        assert!(refused(&error).contains("no kprobes"), "{}", refused(&error));
        assert!(detail(&error).contains("os error 2"), "{}", detail(&error));
        let absent = LoadError::Absent("RING");
        assert_eq!(refused(&absent), "the kernel object has no RING");
    }
}
