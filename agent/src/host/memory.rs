//! What tracing itself takes of the machine.
#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the C library's call has no safe form")
)]

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

/// What this process uses now.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub cpu: Duration,
    pub resident_bytes: u64,
    pub descriptors: u64,
}

impl Now {
    /// `None` where the kernel does not tell.
    pub fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let descriptors = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Some(Self {
            cpu: cpu()?,
            resident_bytes: kib(&status, "VmRSS:")?.saturating_mul(1024),
            descriptors,
        })
    }
}

impl OwnCost {
    /// `None` where the kernel does not tell.
    pub fn until_now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        Some(Self { cpu: cpu()?, peak_bytes: kib(&status, "VmHWM:")?.saturating_mul(1024) })
    }
}

fn cpu() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(nix::sys::time::TimeValLike::num_microseconds(&time)).ok()
    };
    let cpu = micros(usage.user_time())?.saturating_add(micros(usage.system_time())?);
    Some(Duration::from_micros(cpu))
}

/// A line of `/proc/self/status`.
fn kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
