//! What tracing itself takes of the machine.
#![expect(unsafe_code, reason = "the C library's call has no safe form")]

use std::{fs, time::Duration};

use nix::sys::resource::{UsageWho, getrusage};

/// Called once, when the kernel's parsed type information is dropped: 16 MB that glibc would keep
/// in its heap for as long as the command runs.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number, locks the heap itself and is safe from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What this process used until now, without its children.
#[derive(Debug, Clone, Copy)]
pub struct OwnCost {
    pub cpu: Duration,
    /// The largest resident set. `ru_maxrss` would count what ran in this process before exec.
    pub peak_bytes: u64,
}

impl OwnCost {
    /// `None` where the kernel does not tell.
    pub fn until_now() -> Option<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let micros = |time: nix::sys::time::TimeVal| {
            u64::try_from(nix::sys::time::TimeValLike::num_microseconds(&time)).ok()
        };
        let cpu = micros(usage.user_time())?.saturating_add(micros(usage.system_time())?);
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(Self { cpu: Duration::from_micros(cpu), peak_bytes: kib.saturating_mul(1024) })
    }
}
