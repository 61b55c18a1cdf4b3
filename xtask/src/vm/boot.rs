//! One boot of one kernel in QEMU's software emulation, and what its serial console said.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::initramfs::{STARTED, VERDICT};
use crate::arch::Arch;
use crate::command;
use crate::setup::{Kernel, Machine};

/// `quiet` keeps the console for the tests, `panic=-1` with `-no-reboot` ends the machine when the
/// kernel dies, and `bpf` among the security modules lets LSM programs attach.
const COMMAND_LINE: &str = "quiet panic=-1 mitigations=off lsm=capability,bpf";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The tests ran and ended with this exit code.
    Verdict(i32),
    /// The machine never reached its `/init`.
    NotStarted,
    /// It started and died before the tests ended.
    Died,
    /// It was killed at the time limit.
    TimedOut,
}

#[derive(Debug)]
pub(super) struct Boot<'a> {
    pub(super) machine: &'a Machine,
    pub(super) kernel: &'a Kernel,
    pub(super) initramfs: &'a Path,
    pub(super) limit: Duration,
    pub(super) part: Part,
    pub(super) choice: Choice,
}

/// Which tests are run, where no names are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    All,
    /// Those that differ by kernel, one of each kind: `CORE` of `tests/kernel.rs`.
    Core,
}

/// Which of the tests a machine runs, where several share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// From 1 on.
    pub(super) nth: u32,
    pub(super) of: u32,
}

impl Part {
    /// Of so many machines.
    pub(super) fn all(of: u32) -> impl Iterator<Item = Self> {
        (1..=of).map(move |nth| Self { nth, of })
    }

    /// Behind a name; nothing where it is the whole.
    pub(super) fn suffix(self) -> String {
        if self.of == 1 { String::new() } else { format!("-{}", self.nth) }
    }
}

impl Boot<'_> {
    /// Runs the machine to its end, its console in `log`.
    pub(super) fn run(&self, log: &Path) -> Result<Ending> {
        let console = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let errors = console.try_clone().context("duplicating the log's descriptor")?;
        let mut qemu = self.command();
        let child = qemu.stdin(Stdio::null()).stdout(console).stderr(errors).spawn();
        let mut child = child.context("starting QEMU")?;
        let ended = command::wait(&mut child, self.limit)?;
        let output = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
        let output = String::from_utf8_lossy(&output);
        Ok(match ended {
            Some(_) => ending(&output),
            None => Ending::TimedOut,
        })
    }

    /// QEMU from its private directory: with the loader, the libraries and the firmware there, so
    /// that nothing of the system's own release mixes in.
    fn command(&self) -> Command {
        let root = &self.machine.root;
        let triplet = Arch::OWN.triplet();
        let libraries: [PathBuf; 2] =
            ["lib", "usr/lib"].map(|parent| root.join(parent).join(&triplet));
        let library_path =
            libraries.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(":");
        let loader = match Arch::OWN {
            Arch::Amd64 => "ld-linux-x86-64.so.2",
            Arch::Arm64 => "ld-linux-aarch64.so.1",
        };
        let mut qemu = Command::new(root.join("lib").join(&triplet).join(loader));
        qemu.arg("--library-path").arg(library_path);
        qemu.arg(self.machine.program());
        qemu.arg("-L").arg(root.join("usr/share/qemu"));
        qemu.arg("-L").arg(root.join("usr/share/seabios"));
        // Emulated also where /dev/kvm exists: slower, but the same on every machine.
        let (board, console): (&[&str], &str) = match self.machine.arch {
            Arch::Amd64 => (&["-cpu", "max"], "ttyS0"),
            // Of a cloud's machines; `max` checks signatures of pointers, which is slow to emulate.
            Arch::Arm64 => (&["-machine", "virt", "-cpu", "neoverse-n1"], "ttyAMA0"),
        };
        qemu.args(["-accel", "tcg", "-smp", "1", "-m", "1024"]).args(board);
        qemu.args(["-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(self.initramfs);
        // What the kernel does not know it puts into the environment of `/init`.
        let Part { nth, of } = self.part;
        let core = match self.choice {
            Choice::All => "",
            Choice::Core => " LYNCEUS_CORE=1",
        };
        let parameters = format!("console={console} {COMMAND_LINE} LYNCEUS_PART={nth}/{of}{core}");
        qemu.args(["-append", &parameters]);
        qemu
    }
}

fn ending(console: &str) -> Ending {
    let verdict = console.lines().find_map(|line| {
        let (_, code) = line.split_once(VERDICT)?;
        code.trim().parse().ok()
    });
    match verdict {
        Some(code) => Ending::Verdict(code),
        None if console.contains(STARTED) => Ending::Died,
        None => Ending::NotStarted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_tells_how_a_boot_ended() {
        let check = |console, expected| assert_eq!(ending(console), expected, "{console:?}");
        check("", Ending::NotStarted);
        check("SeaBIOS\r\nKernel panic", Ending::NotStarted);
        check("LYNCEUS-INIT 6.1\r\nrunning 3 tests\r\n", Ending::Died);
        check("LYNCEUS-INIT 6.1\r\n.LYNCEUS-VERDICT 0\r\n", Ending::Verdict(0));
        check("LYNCEUS-INIT 6.1\r\nLYNCEUS-VERDICT 101\r\n", Ending::Verdict(101));
    }
}
