//! The only file that reads clocks.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};

use crate::{clock::Clock, event::BootNanos, span::UnixNanos};

/// Now, since boot.
pub fn boot() -> BootNanos {
    BootNanos(read(ClockId::CLOCK_BOOTTIME))
}

/// Both clocks at one moment: of three tries the one that took the shortest.
pub fn both() -> Clock {
    let once = || {
        let before = read(ClockId::CLOCK_BOOTTIME);
        let unix = read(ClockId::CLOCK_REALTIME);
        let took = read(ClockId::CLOCK_BOOTTIME).saturating_sub(before);
        (took, Clock::new(BootNanos(before + took / 2), UnixNanos(unix)))
    };
    let mut best = once();
    for _ in 0..2 {
        let next = once();
        if next.0 < best.0 {
            best = next;
        }
    }
    best.1
}

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock)
        .ok()
        .and_then(|time| u64::try_from(Duration::from(time).as_nanos()).ok())
        .unwrap_or_default()
}

/// A time by which something must be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// What is to be done every so often.
#[derive(Debug, Clone, Copy)]
pub struct Every {
    nanos: u64,
    last: BootNanos,
}

impl Every {
    /// From one such time on.
    pub fn seconds(seconds: u64) -> Self {
        Self { nanos: seconds.saturating_mul(1_000_000_000), last: boot() }
    }

    pub fn is_due(&mut self, now: BootNanos) -> bool {
        let is_due = now.0.saturating_sub(self.last.0) > self.nanos;
        if is_due {
            self.last = now;
        }
        is_due
    }
}

/// Changes with every boot: makes process ids unique for ever.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// When this process began, in ticks since boot (field 22 of /proc/self/stat).
pub fn own_start_ticks() -> io::Result<u64> {
    start_ticks("self")
}

/// When a process began, in ticks since boot, by its directory in /proc.
pub fn start_ticks(process: &str) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything: count from behind it.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let start = fields.split_whitespace().nth(19).and_then(|field| field.parse().ok());
    start.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no field 22"))
}
