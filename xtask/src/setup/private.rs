//! Programs that the tests trace and that are not installed into the system: all of the cache's.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use super::{go_programs, nginx, packages};
use crate::paths;

/// Where the tests look for a program before they look in `PATH`.
pub(crate) const VARIABLE: &str = "LYNCEUS_PROGRAMS";

/// What could be had. The rest is named, with the reason: no network, or no Go, is not a failure, and
/// each test that needs what is missing says so.
#[derive(Debug, Default)]
pub(crate) struct Private {
    folders: Vec<PathBuf>,
    /// `grpcurl: needs Go`
    without: Vec<String>,
}

impl Private {
    /// Installs what is missing.
    pub(crate) fn ensure() -> Self {
        let mut private = Self::default();
        private.take("nginx", nginx::ensure());
        private.take("grpcurl, ghz and gRPC's test programs", go_programs::ensure());
        private.take("packages of Python", packages::python());
        private.take("packages of Node", packages::node());
        private
    }

    fn take(&mut self, what: &str, folder: Result<PathBuf>) {
        match folder {
            Ok(folder) => self.folders.push(folder),
            Err(error) => self.without.push(format!("{what}: {}", in_one_line(&error))),
        }
    }

    /// `; without grpcurl: needs Go`, nothing where all is there.
    pub(super) fn lacking(&self) -> String {
        self.without.iter().map(|without| format!("; without {without}")).collect()
    }

    /// A program of ours, else of the system's.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let ours = self.folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
        ours.or_else(|| paths::program(name))
    }

    /// The value of [`VARIABLE`].
    pub(crate) fn path(&self) -> OsString {
        std::env::join_paths(&self.folders).unwrap_or_default()
    }
}

/// Without the tail of the log that it names.
fn in_one_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let line = text.lines().next().unwrap_or_default();
    line.strip_suffix(" ends with")
        .map_or_else(|| line.to_owned(), |line| format!("{line} says why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        let check = |error, expected| assert_eq!(in_one_line(&error), expected);
        check(
            anyhow::anyhow!("go failed; /x.log ends with\n  | a\n"),
            "go failed; /x.log says why",
        );
        check(anyhow::anyhow!("needs npm").context("trying"), "trying: needs npm");
    }
}
