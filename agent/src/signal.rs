//! Signals by number, as Linux has them on every architecture that we run on (signal(7)).

/// `SIGKILL`, which the out-of-memory killer sends.
pub const KILL: u32 = 9;

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// `SIGKILL`; the number where it has no name of its own (real-time signals).
pub fn name(number: u32) -> String {
    let name = number.checked_sub(1).and_then(|index| NAMES.get(index as usize));
    name.map_or_else(|| format!("SIG{number}"), |name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names() {
        assert_eq!(name(KILL), "SIGKILL");
        assert_eq!(name(31), "SIGSYS");
        assert_eq!(name(34), "SIG34");
        assert_eq!(name(0), "SIG0");
    }
}
