//! The real programs that the tests trace, from Debian packages where they are missing.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::privilege::{Privilege, WITHOUT_ROOT};
use crate::{cache, command, paths, say};

const LIMIT: Duration = Duration::from_secs(1200);

/// A program and the Debian package that brings it.
const PROGRAMS: [(&str, &str); 16] = [
    ("bash", "bash"),
    ("curl", "curl"),
    ("gcc", "gcc"),
    ("git", "git"),
    ("go", "golang-go"),
    ("h2load", "nghttp2-client"),
    ("java", "default-jdk-headless"),
    ("make", "make"),
    ("nghttp", "nghttp2-client"),
    ("nghttpd", "nghttp2-server"),
    ("node", "nodejs"),
    ("perl", "perl"),
    ("python3", "python3"),
    ("strace", "strace"),
    ("wget", "wget"),
    ("wrk", "wrk"),
];

/// Installs what is missing. A machine that cannot is told the names; the tests that need them
/// then say so one by one.
pub(super) fn programs() -> Result<String> {
    if missing().is_empty() {
        return Ok(format!("ready, all {} programs", PROGRAMS.len()));
    }
    let _lock = cache::lock("programs")?;
    let absent = missing();
    let names = absent.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    say::note(&format!("missing programs that the tests trace: {names}"));
    if paths::program("apt-get").is_none() {
        return Ok(format!("without {names}: this is no Debian system, install them yourself"));
    }
    let packages: BTreeSet<&str> = absent.iter().map(|(_, package)| *package).collect();
    let privilege = Privilege::find();
    if privilege == Privilege::Sudo {
        say::note("apt-get runs through sudo");
    }
    if privilege == Privilege::None {
        return Ok(format!("without {names}: installing them needs {WITHOUT_ROOT}"));
    }
    say::step(&format!("apt-get install {names}"), || {
        apt_get(privilege, &["update"], "programs-update")?;
        let mut install = vec!["install", "--yes", "--no-install-recommends"];
        install.extend(packages);
        apt_get(privilege, &install, "programs-install")
    })?;
    let still = missing();
    if !still.is_empty() {
        bail!("apt-get installed the packages, but still missing: {still:?}");
    }
    Ok(format!("ready, installed {names}"))
}

fn missing() -> Vec<(&'static str, &'static str)> {
    // nghttpd is where servers are, which not everybody's PATH names.
    let is_there =
        |name| paths::program(name).is_some() || Path::new("/usr/sbin").join(name).is_file();
    PROGRAMS.into_iter().filter(|(name, _)| !is_there(name)).collect()
}

fn apt_get(privilege: Privilege, arguments: &[&str], log: &str) -> Result<()> {
    let variables = [("DEBIAN_FRONTEND", "noninteractive".as_ref())];
    let mut get: Command =
        privilege.command("apt-get".as_ref(), &variables).context(WITHOUT_ROOT)?;
    command::checked(get.arg("-q").args(arguments), log, LIMIT)?;
    Ok(())
}
