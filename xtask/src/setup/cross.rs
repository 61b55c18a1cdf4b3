//! What static programs for another processor are built with: Rust's library for it and musl, which
//! rustup has, and a C compiler, for `ring` is partly C.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::libraries;
use crate::apt::{Archive, Private};
use crate::arch::Arch;
use crate::paths::Toolchain;
use crate::{cache, command, paths, say};

/// rustup without a network may try for long; its download is forty megabytes.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);

/// Tools for one processor.
#[derive(Debug)]
pub(crate) struct Cross {
    /// `aarch64-unknown-linux-musl`
    pub(crate) target: String,
    gcc: PathBuf,
    ar: PathBuf,
    strip: PathBuf,
    /// What they are linked to and this system lacks, if they are not the system's.
    libraries: Option<PathBuf>,
}

/// Everything, installed if it is missing.
pub(crate) fn cross(arch: Arch) -> Result<Cross> {
    let target = format!("{}-unknown-linux-musl", arch.machine());
    rust_library(&target)?;
    let own = Cross::in_directory(target.clone(), arch, Path::new(""));
    if paths::program(&own.gcc.to_string_lossy()).is_some() {
        return Ok(own);
    }
    let directory = cache::root()?.join(format!("tools/gcc-{arch}"));
    let mut cross = Cross::in_directory(target, arch, &directory.join("usr/bin"));
    cross.libraries = Some(directory.join("lib"));
    if cross.runs() {
        return Ok(cross);
    }
    let _lock = cache::lock(&format!("gcc-{arch}"))?;
    if !cross.runs() {
        say::note(&format!("a C compiler for {arch} is missing: the library for TLS is partly C"));
        say::step(&format!("gcc for {arch} from Debian packages"), || unpack(arch, &directory))?;
        ensure!(cross.runs(), "{} holds no compiler that runs", directory.display());
    }
    Ok(cross)
}

impl Cross {
    fn in_directory(target: String, arch: Arch, programs: &Path) -> Self {
        let program = |name| programs.join(format!("{}-{name}", arch.triplet()));
        let (gcc, ar, strip) = (program("gcc"), program("ar"), program("strip"));
        Self { target, gcc, ar, strip, libraries: None }
    }

    fn runs(&self) -> bool {
        [&self.gcc, &self.ar, &self.strip].into_iter().all(|program| {
            let mut program = Command::new(program);
            self.with_libraries(program.arg("--version"));
            program.output().is_ok_and(|output| output.status.success())
        })
    }

    /// Has a cargo build for this target.
    pub(crate) fn configure(&self, cargo: &mut Command) {
        let target = self.target.replace('-', "_");
        cargo.args(["--target", &self.target]);
        cargo.env(format!("CC_{target}"), &self.gcc).env(format!("AR_{target}"), &self.ar);
        // Rust's own; for musl it brings all that is linked.
        let linker = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase());
        cargo.env(linker, "rust-lld").env_remove("RUSTFLAGS");
        self.with_libraries(cargo);
    }

    pub(crate) fn strip(&self) -> Command {
        let mut strip = Command::new(&self.strip);
        self.with_libraries(&mut strip);
        strip
    }

    fn with_libraries(&self, program: &mut Command) {
        if let Some(libraries) = &self.libraries {
            program.env("LD_LIBRARY_PATH", libraries);
        }
    }
}

fn rust_library(target: &str) -> Result<()> {
    let library = Toolchain::read()?.sysroot.join("lib/rustlib").join(target).join("lib");
    if library.is_dir() {
        return Ok(());
    }
    let _lock = cache::lock("rustup-target")?;
    if library.is_dir() {
        return Ok(());
    }
    say::note(&format!("Rust's library for {target} is missing"));
    if paths::program("rustup").is_none() {
        bail!("rustup is not in PATH: install Rust's library for {target} yourself");
    }
    say::step(&format!("rustup target add {target}"), || {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", target]).current_dir(paths::repository());
        command::checked(&mut rustup, "rustup-target", RUSTUP_LIMIT)
    })?;
    ensure!(library.is_dir(), "rustup installed no {}", library.display());
    Ok(())
}

fn unpack(arch: Arch, directory: &Path) -> Result<()> {
    let archive = Archive::of_this_system()?;
    let suite = archive.suite.clone();
    let apt = Private::open(&archive, &format!("gcc-{arch}"), &[&suite])?;
    let compiler = format!("gcc-{}", arch.triplet().replace('_', "-"));
    let library = format!("libc6-dev-{arch}-cross");
    cache::install(directory, |half| {
        let unpacked = half.join(cache::BUILD);
        apt.unpack_closure(&[&compiler, &library], &suite, &unpacked)?;
        libraries::keep_what_is_missing(&unpacked, &half.join("lib"))?;
        // They find each other by where they are.
        let usr = unpacked.join("usr");
        fs::rename(usr, half.join("usr")).context("moving the compiler")
    })
}
