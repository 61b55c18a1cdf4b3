//! Tools that cargo builds from crates.io, into the cache.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{cache, command, say};

const LIMIT: Duration = Duration::from_secs(1800);

#[derive(Debug, Clone, Copy)]
pub(crate) struct CargoTool {
    name: &'static str,
    version: &'static str,
    why: &'static str,
}

pub(crate) const DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
    why: "checks licences, sources and advisories of all dependencies",
};

pub(crate) const FUZZ: CargoTool =
    CargoTool { name: "cargo-fuzz", version: "0.13.2", why: "builds and runs the fuzz targets" };

impl CargoTool {
    /// The executable, built if it is missing.
    pub(crate) fn ensure(self) -> Result<PathBuf> {
        let Self { name, version, why } = self;
        let tools = cache::root()?.join("tools");
        let directory = tools.join(format!("{name}-{version}"));
        let program = directory.join("bin").join(name);
        if program.is_file() {
            return Ok(program);
        }
        let _lock = cache::lock(name)?;
        if program.is_file() {
            return Ok(program);
        }
        say::note(&format!("{name} is missing: it {why}"));
        say::step(&format!("building {name} {version}"), || {
            cache::install(&directory, |half| {
                let mut cargo = Command::new("cargo");
                cargo.args(["install", name, "--version", version, "--locked"]);
                cargo.arg("--root").arg(half).arg("--target-dir").arg(half.join(cache::BUILD));
                cargo.current_dir(&tools);
                command::checked(&mut cargo, name, LIMIT)?;
                Ok(())
            })
        })?;
        Ok(program)
    }
}
