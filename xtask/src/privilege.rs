//! Becoming root for the few commands that the kernel or the package manager refuses otherwise.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use crate::paths;

/// How this process can run something as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    Root,
    Sudo,
    None,
}

impl Privilege {
    /// Finds out, asking for sudo's password where there is a terminal to ask on.
    pub(crate) fn find() -> Self {
        if is_root() {
            return Self::Root;
        }
        if paths::program("sudo").is_none() {
            return Self::None;
        }
        let mut sudo = Command::new("sudo");
        if !std::io::stdin().is_terminal() {
            sudo.arg("-n");
        }
        let status = sudo.arg("-v").stderr(Stdio::null()).status();
        if status.is_ok_and(|status| status.success()) { Self::Sudo } else { Self::None }
    }

    /// The command for `program` with `variables`, as root. Sudo clears the environment, so the
    /// variables travel as arguments of env(1).
    pub(crate) fn command(self, program: &OsStr, variables: &[(&str, &OsStr)]) -> Option<Command> {
        match self {
            Self::None => None,
            Self::Root => {
                let mut command = Command::new(program);
                command.envs(variables.iter().copied());
                Some(command)
            }
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.arg("env");
                let path = std::env::var_os("PATH").unwrap_or_default();
                for (name, value) in variables.iter().copied().chain([("PATH", path.as_os_str())]) {
                    let mut pair = name.to_owned();
                    pair.push('=');
                    let mut pair = std::ffi::OsString::from(pair);
                    pair.push(value);
                    command.arg(pair);
                }
                command.arg(program);
                Some(command)
            }
        }
    }
}

/// What is missing without it, in words for a summary.
pub(crate) const WITHOUT_ROOT: &str = "root (or `sudo -v` to succeed)";

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
