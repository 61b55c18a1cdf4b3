//! What the agent takes of the machine: read of its process, which the machine sees as it is.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::entries::{self, Entries};
use crate::clock;
use crate::cluster::cgroups;

/// Of /proc: a hundredth of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);
const PROGRAM: &str = "/usr/local/bin/lynceus";

/// The agent's process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agent {
    pid: i32,
}

/// What it has, and has used, at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauge {
    pub(super) cpu: Duration,
    pub(super) resident_kib: u64,
    pub(super) descriptors: usize,
    pub(super) threads: usize,
    /// Memory of the maps of the kernel side.
    pub(super) maps_kib: u64,
}

impl Agent {
    /// Among the processes of pods.
    pub(super) fn find() -> Result<Self> {
        let groups = cgroups::of_pods()?;
        let is_agent = |pid: &i32| {
            let program = fs::read_link(format!("/proc/{pid}/exe"));
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let second = arguments.split(|byte| *byte == 0).nth(1);
            program.is_ok_and(|program| program == Path::new(PROGRAM))
                && second == Some(b"agent".as_slice())
        };
        let mut found: Vec<i32> =
            cgroups::processes(&groups).iter().map(|process| process.pid()).collect();
        // It is in a group of each hierarchy.
        found.sort_unstable();
        found.dedup();
        found.retain(is_agent);
        ensure!(found.len() == 1, "one agent is expected: {found:?}");
        let pid = *found.first().context("finding the agent's process")?;
        Ok(Self { pid })
    }

    pub(super) fn gauge(self) -> Result<Gauge> {
        let ticks = self.stat(11)?.saturating_add(self.stat(12)?);
        let status = self.file("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(Gauge {
            cpu: TICK.saturating_mul(u32::try_from(ticks)?),
            resident_kib: resident.context("reading the agent's resident memory")?,
            descriptors: self.list("fd")?.len(),
            threads: self.list("task")?.len(),
            maps_kib: self.maps_kib()?,
        })
    }

    /// When it was started, nanoseconds since the epoch.
    pub(super) fn began_ns(self) -> Result<u64> {
        let uptime = fs::read_to_string("/proc/uptime").context("reading /proc/uptime")?;
        let now = clock::unix_ns();
        let uptime: f64 = uptime.split(' ').next().unwrap_or_default().parse()?;
        let since_boot = TICK.saturating_mul(u32::try_from(self.stat(19)?)?);
        let age = Duration::from_secs_f64(uptime).saturating_sub(since_boot);
        Ok(now.saturating_sub(u64::try_from(age.as_nanos())?))
    }

    /// A number of its `stat`, counted after the name and from 0.
    fn stat(self, field: usize) -> Result<u64> {
        let stat = self.file("stat")?;
        let (_, fields) = stat.rsplit_once(')').context("reading the agent's stat")?;
        let field = fields.split_whitespace().nth(field);
        field.and_then(|field| field.parse().ok()).context("reading the agent's stat")
    }

    /// How much the maps of the kernel side have in them.
    pub(super) fn entries(self) -> Result<Entries> {
        let mut ids = Vec::new();
        for name in self.list("fdinfo")? {
            let text = self.file(&format!("fdinfo/{name}")).unwrap_or_default();
            let id = text.lines().find_map(|line| line.strip_prefix("map_id:"));
            ids.extend(id.and_then(|id| id.trim().parse::<u32>().ok()));
        }
        ids.sort_unstable();
        ids.dedup();
        entries::of_maps(&ids)
    }

    fn maps_kib(self) -> Result<u64> {
        let mut bytes = 0_u64;
        for name in self.list("fdinfo")? {
            // It may be closed by now.
            let text = self.file(&format!("fdinfo/{name}")).unwrap_or_default();
            let of = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
            if of("map_type:").is_some() {
                let memory = of("memlock:").and_then(|memory| memory.trim().parse().ok());
                bytes = bytes.saturating_add(memory.unwrap_or(0));
            }
        }
        Ok(bytes / 1024)
    }

    fn file(self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.pid);
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }

    fn list(self, name: &str) -> Result<Vec<String>> {
        let path = format!("/proc/{}/{name}", self.pid);
        let entries = fs::read_dir(&path).with_context(|| format!("listing {path}"))?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into()).collect())
    }
}

impl Gauge {
    /// What it used since then, in thousandths of one core.
    pub(super) fn cores_since(&self, before: &Self, elapsed: Duration) -> String {
        let used = self.cpu.saturating_sub(before.cpu);
        let share = used.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
        format!(
            "{share:.2} % of a core ({} ms in {:.1} s)",
            used.as_millis(),
            elapsed.as_secs_f64()
        )
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} KiB resident, {} descriptors, {} threads, maps of {} KiB, {} ms of CPU",
            self.resident_kib,
            self.descriptors,
            self.threads,
            self.maps_kib,
            self.cpu.as_millis()
        )
    }
}
