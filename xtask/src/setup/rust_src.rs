//! The tool chain's own sources, from which `core` is built for the kernel's processor.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::apt::{Archive, Private};
use crate::paths::Toolchain;
use crate::{cache, command, paths, say};

/// rustup without a network may try for long; its download is three megabytes.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// Debian's backports carry every stable rustc of the last months.
const SUITE: &str = "trixie-backports";

pub(super) fn ensure(toolchain: &Toolchain) -> Result<()> {
    let link = toolchain.sysroot.join("lib/rustlib/src/rust");
    let present = || link.join("library/core/src/lib.rs").is_file();
    if present() {
        return Ok(());
    }
    let _lock = cache::lock("rust-src")?;
    if present() {
        return Ok(());
    }
    say::note("rust-src is missing: `core` is built from it for the kernel's processor");
    match through_rustup() {
        Ok(()) if present() => return Ok(()),
        Ok(()) => say::note("rustup says that rust-src is installed, but it is not there"),
        Err(error) => say::note(&format!("rustup could not install rust-src: {error}")),
    }
    let sources = from_debian(toolchain)?;
    place_link(&sources, &link)?;
    ensure!(present(), "{} holds no rust-src", sources.display());
    Ok(())
}

fn through_rustup() -> Result<()> {
    ensure!(paths::program("rustup").is_some(), "rustup is not in PATH");
    say::step("rustup component add rust-src", || {
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add", "rust-src"]).current_dir(paths::repository());
        let ended = command::logged(&mut rustup, "rustup", RUSTUP_LIMIT)?;
        ensure!(ended.status.success(), "see {}", ended.log.display());
        Ok(())
    })
}

/// The package rust-src of the same release as the running rustc, unpacked into the cache.
fn from_debian(toolchain: &Toolchain) -> Result<PathBuf> {
    let release = &toolchain.release;
    let sources = cache::root()?.join(format!("rust-src-{release}"));
    if !sources.join("library/core").is_dir() {
        say::step(&format!("rust-src {release} from Debian {SUITE}"), || {
            let archive = Archive::of_this_system()?;
            let apt = Private::open(&archive, SUITE, &[SUITE])?;
            cache::install(&sources, |half| {
                let unpacked = half.join(cache::BUILD);
                apt.unpack(&[&format!("rust-src={release}*")], &unpacked)?;
                // The package has the whole compiler; the library is a sixth of it.
                let library = unpacked.join(format!("usr/src/rustc-{release}/library"));
                fs::rename(&library, half.join("library"))
                    .with_context(|| format!("moving {}", library.display()))
            })
        })
        .context("fetching rust-src: run `rustup component add rust-src` yourself")?;
    }
    Ok(sources)
}

fn place_link(sources: &Path, link: &Path) -> Result<()> {
    let parent = link.parent().context("finding the directory of rust-src")?;
    let place = || -> std::io::Result<()> {
        fs::create_dir_all(parent)?;
        // What is there has no `core` in it: a dangling link, or the empty remains of one.
        if fs::symlink_metadata(link).is_ok_and(|metadata| metadata.is_symlink()) {
            fs::remove_file(link)?;
        } else if link.exists() {
            fs::remove_dir(link)?;
        }
        symlink(sources, link)
    };
    place().with_context(|| {
        format!(
            "the tool chain's directory cannot be written; as its owner, run: \
             ln -sfn {} {}",
            sources.display(),
            link.display()
        )
    })
}
