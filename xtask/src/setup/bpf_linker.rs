//! bpf-linker, built against the LLVM that the Rust tool chain itself brings.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::paths::Toolchain;
use crate::{cache, command, say};

const VERSION: &str = "0.13.0";
const LIMIT: Duration = Duration::from_secs(1200);

/// The executable, built if it is missing or does not run any more (its tool chain was removed).
pub(super) fn ensure(toolchain: &Toolchain) -> Result<PathBuf> {
    let tools = cache::root()?.join("tools");
    let directory = tools.join(format!("bpf-linker-{VERSION}-{}", toolchain.release));
    let linker = directory.join("bin/bpf-linker");
    if runs(&linker) {
        return Ok(linker);
    }
    let _lock = cache::lock("bpf-linker")?;
    if runs(&linker) {
        return Ok(linker);
    }
    say::note("bpf-linker is missing: it links Rust's eBPF output into one object with BTF");
    let llvm = tools.join(format!("llvm-{}", toolchain.release));
    cache::install(&llvm, |half| link_llvm(toolchain, half))?;
    say::step(&format!("building bpf-linker {VERSION}"), || {
        cache::install(&directory, |half| {
            let mut cargo = Command::new("cargo");
            cargo.args(["install", "bpf-linker", "--version", VERSION, "--locked"]);
            cargo.args(["--no-default-features", "--features"]);
            cargo.arg(format!("llvm-{}", toolchain.llvm_major));
            cargo.arg("--root").arg(half).arg("--target-dir").arg(half.join(cache::BUILD));
            // The run path of the executable is this directory: it has to stay where it is.
            cargo.env("LLVM_PREFIX", &llvm).current_dir(&tools);
            command::checked(&mut cargo, "bpf-linker", LIMIT)?;
            Ok(())
        })
    })?;
    Ok(linker)
}

/// The library under the name it was linked as and under the one a build looks for.
fn link_llvm(toolchain: &Toolchain, half: &Path) -> Result<()> {
    let libraries = toolchain.sysroot.join("lib");
    let entries =
        fs::read_dir(&libraries).with_context(|| format!("listing {}", libraries.display()))?;
    let library = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libLLVM.so.")
        })
        .with_context(|| format!("finding libLLVM.so.* in {}", libraries.display()))?;
    let name = library.file_name().context("naming LLVM's library")?;
    let ours = half.join("lib");
    fs::create_dir_all(&ours).with_context(|| format!("making {}", ours.display()))?;
    for name in [name, "libLLVM.so".as_ref()] {
        symlink(&library, ours.join(name)).context("linking LLVM's library")?;
    }
    Ok(())
}

fn runs(linker: &Path) -> bool {
    linker.is_file()
        && Command::new(linker)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
}
