//! A process that outlives the command which started it, and is found again by later ones.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock::Stopwatch;

const POLL: Duration = Duration::from_millis(20);
/// What was killed is gone as soon as the kernel comes to it.
const KILLED: Duration = Duration::from_secs(30);

/// Known by its id and by when it began: an id that is used again is never taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pid: i32,
    /// In ticks after boot.
    began: u64,
}

impl Process {
    /// The process that has the id now. One that ended and was not waited for is none.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name, in parentheses, and may have any characters in it.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let state = fields.next()?;
        // Field 22; the state was the third.
        let began = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { pid, began })
    }

    /// What [`Self::store`] wrote, if that still runs.
    pub(super) fn load(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let (pid, began) = text.trim().split_once(' ')?;
        let process = Self { pid: pid.parse().ok()?, began: began.parse().ok()? };
        process.is_running().then_some(process)
    }

    pub(super) fn store(self, file: &Path) -> Result<()> {
        fs::write(file, format!("{} {}\n", self.pid, self.began))
            .with_context(|| format!("writing {}", file.display()))
    }

    pub(super) fn pid(self) -> i32 {
        self.pid
    }

    pub(super) fn is_running(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Its environment has this pair.
    pub(super) fn has_variable(self, pair: &[u8]) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|each| each == pair)
    }

    /// One that is gone already needs no signal.
    pub(super) fn signal(self, signal: Signal) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("sending {signal} to {}", self.pid)),
        }
    }

    /// Asks it to end, waits, and kills it after `grace`.
    pub(super) fn stop(self, grace: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        if self.has_ended_within(grace) {
            return Ok(());
        }
        self.signal(Signal::SIGKILL)?;
        if !self.has_ended_within(KILLED) {
            bail!("process {} did not end although it was killed", self.pid);
        }
        Ok(())
    }

    fn has_ended_within(self, limit: Duration) -> bool {
        let watch = Stopwatch::start();
        while self.is_running() {
            if watch.elapsed() > limit {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }
}

/// All processes that run now.
pub(super) fn all() -> Result<Vec<Process>> {
    let entries = fs::read_dir("/proc").context("listing /proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(Process::of).collect())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_found_again_and_another_of_its_id_is_not_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.pid");
        let ours = i32::try_from(std::process::id()).unwrap();
        let process = Process::of(ours).unwrap();
        process.store(&file).unwrap();
        assert_eq!(Process::load(&file), Some(process));
        Process { began: process.began + 1, ..process }.store(&file).unwrap();
        assert_eq!(Process::load(&file), None);
    }

    #[test]
    fn a_stopped_process_has_ended_though_nobody_waited_for_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        process.stop(Duration::from_secs(10)).unwrap();
        assert!(!process.is_running());
        child.wait().unwrap();
    }
}
