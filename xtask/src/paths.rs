//! Where things are: the repository, its target directory, the tool chain's sysroot, a program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The repository's root, known since this crate was compiled inside it.
pub(crate) fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Cargo's target directory for this repository: `$CARGO_TARGET_DIR`, else `target`.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => repository().join(directory),
        None => repository().join("target"),
    }
}

/// A program's path by `$PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// What the running tool chain says about itself.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    pub(crate) sysroot: PathBuf,
    /// `1.95.0`
    pub(crate) release: String,
    /// `22`
    pub(crate) llvm_major: String,
}

impl Toolchain {
    pub(crate) fn read() -> Result<Self> {
        let sysroot = rustc(&["--print", "sysroot"])?;
        let version = rustc(&["-vV"])?;
        let field = |name: &str| {
            let line = version.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
                .with_context(|| format!("reading `{name}` in the output of rustc -vV"))
        };
        let llvm = field("LLVM version:")?;
        let llvm_major = llvm.split('.').next().unwrap_or(&llvm).to_owned();
        Ok(Self { sysroot: sysroot.trim().into(), release: field("release:")?, llvm_major })
    }
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc")
        .args(arguments)
        .current_dir(repository())
        .output()
        .context("running rustc (is a Rust tool chain in PATH?)")?;
    ensure!(output.status.success(), "rustc {arguments:?} failed: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
