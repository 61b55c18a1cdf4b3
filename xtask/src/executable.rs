//! The executables that other commands run: the release binary, the test programs, static or not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::arch::Arch;
use crate::{command, paths, say, setup};

const LIMIT: Duration = Duration::from_secs(1800);

/// How to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linking {
    /// For this machine, in cargo's usual place.
    Usual,
    /// With nothing to load at run time, for a machine that has only our files.
    Static(Arch),
}

impl Linking {
    /// Behind the name of a log.
    fn suffix(self) -> String {
        match self {
            Self::Usual => String::new(),
            Self::Static(arch) => format!("-static{}", arch.suffix()),
        }
    }
}

/// The binary `lynceus`, optimised. The kernel object must have been built before.
pub(crate) fn lynceus(linking: Linking) -> Result<PathBuf> {
    let log = format!("build-lynceus{}", linking.suffix());
    say::step(&format!("{log} (release)"), || {
        let mut cargo = cargo("build", linking)?;
        cargo.args(["--release", "--package", "lynceus", "--bin", "lynceus"]);
        cargo.arg("--message-format=json");
        let messages = command::captured(&mut cargo, &log, LIMIT)?;
        find(&messages, "lynceus", "bin").context("finding `lynceus` in cargo's messages")
    })
}

/// A test program of the package `agent-tests`, by the name of its target.
pub(crate) fn test_program(name: &str, linking: Linking) -> Result<PathBuf> {
    let log = format!("build-test-{name}{}", linking.suffix());
    say::step(&log, || {
        let mut cargo = cargo("test", linking)?;
        if linking != Linking::Usual {
            // Shares what was built for `lynceus`, and is small to pack.
            cargo.arg("--release");
        }
        cargo.args(["--package", "agent-tests", "--test", name, "--no-run"]);
        cargo.arg("--message-format=json");
        let messages = command::captured(&mut cargo, &log, LIMIT)?;
        find(&messages, name, "test")
            .with_context(|| format!("finding the test `{name}` in cargo's messages"))
    })
}

/// A cargo of this repository.
pub(crate) fn cargo(verb: &str, linking: Linking) -> Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo.arg(verb).current_dir(paths::repository()).env("CARGO_TERM_COLOR", "never");
    if let Linking::Static(arch) = linking {
        if arch == Arch::OWN {
            cargo.args(["--target", &format!("{}-unknown-linux-gnu", arch.machine())]);
            cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
        } else {
            setup::cross(arch)?.configure(&mut cargo);
        }
        cargo.arg("--target-dir").arg(paths::target().join("vm"));
        // The machine unpacks it all into memory; whole-program optimisation is not under test.
        cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
        cargo.env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
    }
    Ok(cargo)
}

/// A program without its symbols, in another file.
pub(crate) fn strip(program: &Path, arch: Arch, to: &Path) -> Result<()> {
    let mut strip =
        if arch == Arch::OWN { Command::new("strip") } else { setup::cross(arch)?.strip() };
    command::output(strip.arg("--strip-all").arg("-o").arg(to).arg(program)).map(drop)
}

/// The executable of a target in the lines that `--message-format=json` printed.
fn find(messages: &str, name: &str, kind: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let target = message.get("target")?;
        let kinds = target.get("kind")?.as_array()?;
        let wanted = target.get("name")?.as_str()? == name
            && kinds.iter().any(|each| each.as_str() == Some(kind));
        let executable = message.get("executable")?.as_str()?;
        wanted.then(|| Path::new(executable).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_the_one_of_the_named_target() {
        let messages = r#"   Compiling noise
{"reason":"compiler-artifact","target":{"name":"kernel","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"other","kind":["test"]},"executable":"/o"}
{"reason":"compiler-artifact","target":{"name":"kernel","kind":["test"]},"executable":"/k-1f"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(find(messages, "kernel", "test"), Some("/k-1f".into()));
        assert_eq!(find(messages, "kernel", "bin"), None);
    }
}
