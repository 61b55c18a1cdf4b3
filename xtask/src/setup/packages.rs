//! Packages of Python and Node, at the versions and hashes that `tests/programs` pins.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::fingerprint::fingerprint;
use crate::missing::Missing;
use crate::{cache, command, paths, say};

const LIMIT: Duration = Duration::from_secs(600);

/// The interpreter of the virtual environment, under a name that is nobody else's.
const PYTHON: &str = "python-with-packages";

/// The folder with the interpreter that has the packages of `python.txt`.
pub(super) fn python() -> Result<PathBuf> {
    let ours = paths::repository().join("tests/programs");
    // Compiled packages are for one version of Python.
    if paths::program("python3").is_none() {
        bail!(Missing::new("Python 3.10 or newer"));
    }
    let release = command::output(Command::new("python3").arg("-V"))?;
    let print = fingerprint(&ours, &["python.txt"], release.trim())?;
    let directory = cache::root()?.join(format!("tools/python-packages-{print}"));
    let bin = directory.join("bin");
    let runs = || {
        let mut python = Command::new(bin.join(PYTHON));
        python.args(["-c", "import grpc"]).output().is_ok_and(|output| output.status.success())
    };
    if runs() {
        return Ok(bin);
    }
    let _lock = cache::lock("python-packages")?;
    if runs() {
        return Ok(bin);
    }
    say::note("packages of Python that the tests trace are missing: gunicorn, requests, grpcio...");
    say::step("packages of Python from PyPI", || {
        cache::install(&directory, |half| {
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv"]).arg(half);
            command::checked(&mut venv, "python-venv", LIMIT)?;
            let mut pip = Command::new(half.join("bin/python3"));
            pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]);
            pip.args(["--only-binary=:all:", "--require-hashes", "-r"])
                .arg(ours.join("python.txt"));
            command::checked(&mut pip, "python-packages", LIMIT)?;
            // Scripts there name the directory that is about to be renamed: `python -m` needs none.
            symlink("python3", half.join("bin").join(PYTHON)).context("naming the interpreter")
        })
    })?;
    Ok(bin)
}

/// The folder `node_modules` with the packages of `package-lock.json`.
pub(super) fn node() -> Result<PathBuf> {
    let ours = paths::repository().join("tests/programs");
    let pins = ["package.json", "package-lock.json"];
    let print = fingerprint(&ours, &pins, "")?;
    let directory = cache::root()?.join(format!("tools/node-packages-{print}"));
    let modules = directory.join("node_modules");
    if modules.is_dir() {
        return Ok(modules);
    }
    let _lock = cache::lock("node-packages")?;
    if modules.is_dir() {
        return Ok(modules);
    }
    if paths::program("npm").is_none() {
        bail!(Missing::new("npm"));
    }
    say::note("packages of Node that the tests trace are missing: @grpc/grpc-js");
    say::step("packages of Node from npm", || {
        cache::install(&directory, |half| {
            for name in pins {
                let from = ours.join(name);
                std::fs::copy(&from, half.join(name))
                    .with_context(|| format!("copying {}", from.display()))?;
            }
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]);
            npm.arg("--fetch-retries=1");
            command::checked(npm.current_dir(half), "node-packages", LIMIT)?;
            Ok(())
        })
    })?;
    Ok(modules)
}
