//! Building from Go modules: at the versions that go.sum pins, static, the same on every machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::fingerprint::fingerprint;
use crate::missing::Missing;
use crate::{cache, command, paths, say};

/// From nothing, on a machine that has other things to do.
pub(super) const LIMIT: Duration = Duration::from_secs(3600);

/// What the linker is told where there is nothing else to tell: no symbols, no debug information.
pub(super) const PLAIN: &str = "-s -w";

/// Asked before anything is downloaded.
pub(super) fn must_be_there() -> Result<()> {
    if paths::program("go").is_none() {
        bail!(Missing::new("Go 1.25 or newer"));
    }
    Ok(())
}

/// The folder of that name in the cache, with programs that are built if it is missing: each under its
/// own name, from a package of the module in `module`.
pub(super) fn programs(
    name: &str,
    module: &str,
    programs: &[(&str, &str)],
    why: &str,
) -> Result<PathBuf> {
    let ours = paths::repository().join(module);
    let print = fingerprint(&ours, &["go.mod", "go.sum"], "")?;
    let directory = cache::root()?.join(format!("tools/{name}-{print}"));
    if directory.is_dir() {
        return Ok(directory);
    }
    let _lock = cache::lock(name)?;
    if directory.is_dir() {
        return Ok(directory);
    }
    must_be_there()?;
    let names: Vec<&str> = programs.iter().map(|(program, _)| *program).collect();
    say::note(&format!("missing programs of Go: {}; {why}", names.join(", ")));
    say::step(&format!("building {} Go programs", programs.len()), || {
        cache::install(&directory, |half| {
            for (program, package) in programs {
                build(&ours, package, PLAIN, &half.join(program))?;
            }
            Ok(())
        })
    })?;
    Ok(directory)
}

/// Builds one package of the module in `module` into the file `to`, by whose name the log goes.
pub(super) fn build(module: &Path, package: &str, linker: &str, to: &Path) -> Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let mut go = command(module);
    go.args(["build", "-mod=readonly", "-trimpath", "-ldflags", linker, "-o"]).arg(to).arg(package);
    command::checked(&mut go, &format!("go-{name}"), LIMIT)?;
    Ok(())
}

pub(super) fn command(directory: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(directory).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    go
}
