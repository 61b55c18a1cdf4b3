//! Building from Go modules: at the versions that go.sum pins, static, the same on every machine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::missing::Missing;
use crate::{command, paths};

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
