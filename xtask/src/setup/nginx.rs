//! nginx from its Debian package, unpacked only: installed, it would start to serve on port 80.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::apt::{Archive, Private};
use crate::{cache, command, say};

/// The folder with the program, unpacked if it is missing or does not run.
pub(super) fn ensure() -> Result<PathBuf> {
    let directory = cache::root()?.join("tools/nginx");
    let bin = directory.join("bin");
    if runs(&bin) {
        return Ok(bin);
    }
    let _lock = cache::lock("nginx")?;
    if runs(&bin) {
        return Ok(bin);
    }
    say::note("nginx is missing: the tests trace it as a server");
    say::step("nginx from its Debian package", || {
        let archive = Archive::of_this_system()?;
        let suite = archive.suite.clone();
        let apt = Private::open(&archive, "nginx", &[&suite])?;
        cache::install(&directory, |half| {
            let unpacked = half.join(cache::BUILD);
            apt.unpack(&["nginx"], &unpacked)?;
            let bin = half.join("bin");
            fs::create_dir(&bin).with_context(|| format!("making {}", bin.display()))?;
            fs::rename(unpacked.join("usr/sbin/nginx"), bin.join("nginx"))
                .context("finding nginx in its package")?;
            // What it is linked to (libc, OpenSSL, PCRE, zlib) is the system's.
            let mut version = Command::new(bin.join("nginx"));
            command::output(version.arg("-v")).context("trying the unpacked nginx")?;
            Ok(())
        })
    })?;
    ensure!(runs(&bin), "{} holds no nginx that runs", bin.display());
    Ok(bin)
}

fn runs(bin: &Path) -> bool {
    let program = bin.join("nginx");
    let output = || Command::new(&program).arg("-v").output();
    program.is_file() && output().is_ok_and(|output| output.status.success())
}
