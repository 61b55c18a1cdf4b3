//! The whole system of a test machine: busybox, the programs under test and one script.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::cpio::Cpio;

/// Printed by the script when it starts: the machine reached user space.
pub(super) const STARTED: &str = "LYNCEUS-INIT";
/// Printed by the script at the end, with the exit code of the tests.
pub(super) const VERDICT: &str = "LYNCEUS-VERDICT";

const DIRECTORIES: [&str; 12] = [
    "bin", "sbin", "usr", "usr/bin", "usr/sbin", "dev", "proc", "sys", "tmp", "etc", "root", "run",
];

/// The machine's `/init`. `ARGUMENTS` is replaced by those of the test program.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/root USER=root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
ln -s /proc/self/fd /dev/fd
echo root:x:0:0:root:/root:/bin/sh > /etc/passwd
echo root:x:0: > /etc/group
echo 127.0.0.1 localhost > /etc/hosts
hostname lynceus-vm
ip link set lo up
ulimit -l unlimited
echo LYNCEUS-INIT $(uname -r)
cd /tmp
LYNCEUS_BIN=/lynceus LYNCEUS_VM=1 RUST_BACKTRACE=1 /kernel --test-threads=1 --color=never ARGUMENTS
echo LYNCEUS-VERDICT $?
poweroff -f
"#;

/// The executables that the machine is made of, all static.
#[derive(Debug)]
pub(super) struct Programs<'paths> {
    pub(super) busybox: &'paths Path,
    pub(super) lynceus: Option<&'paths Path>,
    pub(super) tests: &'paths Path,
}

/// Writes the archive. It is not compressed: the machine has the memory, and unpacking under
/// software emulation takes longer than copying.
pub(super) fn write(programs: &Programs<'_>, arguments: &[String], to: &Path) -> Result<()> {
    let file = File::create(to).with_context(|| format!("creating {}", to.display()))?;
    let mut archive = Cpio::new(BufWriter::new(file));
    let mut pack = || -> Result<()> {
        for directory in DIRECTORIES {
            archive.directory(directory)?;
        }
        // The kernel gives this to /init as its standard input and outputs.
        archive.device("dev/console", (5, 1))?;
        let script = INIT.replace("ARGUMENTS", &quoted(arguments));
        archive.executable("init", script.as_bytes())?;
        archive.executable("bin/busybox", &read(programs.busybox)?)?;
        archive.executable("kernel", &read(programs.tests)?)?;
        if let Some(lynceus) = programs.lynceus {
            archive.executable("lynceus", &read(lynceus)?)?;
        }
        Ok(())
    };
    pack().with_context(|| format!("packing {}", to.display()))?;
    archive.finish().with_context(|| format!("finishing {}", to.display()))?;
    Ok(())
}

fn quoted(arguments: &[String]) -> String {
    let quote = |argument: &String| format!("'{}'", argument.replace('\'', r"'\''"));
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_prints_the_marks_that_we_look_for() {
        assert!(INIT.contains(&format!("echo {STARTED} ")));
        assert!(INIT.contains(&format!("echo {VERDICT} $?")));
    }

    #[test]
    fn a_test_filter_reaches_the_program_as_it_was_given() {
        assert_eq!(quoted(&["a b".into(), "it's".into()]), r"'a b' 'it'\''s'");
    }
}
