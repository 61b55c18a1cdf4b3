//! `cargo xtask ebpf`: builds the kernel object, plain and with the probes' own log messages.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;

use crate::{command, paths, say, setup};

const LIMIT: Duration = Duration::from_secs(1200);
const TARGET: &str = "bpfel-unknown-none";

/// Builds the kernel object into target/ebpf/.
///
/// `lynceus.bpf.o` is what the agent embeds; `lynceus-log.bpf.o` has the probes' own debug
/// messages, for `--probe-log`. Sets up rust-src and bpf-linker first if they are missing. The
/// first build takes about a minute, later ones seconds. A file is rewritten only when its bytes
/// change, so the agent is not rebuilt for nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask ebpf && cargo build --release")]
pub(crate) struct Arguments {}

/// One way to build the object.
#[derive(Debug, Clone, Copy)]
enum Variant {
    Plain,
    Log,
}

impl Variant {
    fn file(self) -> &'static str {
        match self {
            Self::Plain => "lynceus.bpf.o",
            Self::Log => "lynceus-log.bpf.o",
        }
    }
}

pub(crate) fn run(_: &Arguments) -> Result<ExitCode> {
    for object in build()? {
        let size = fs::metadata(&object).map(|metadata| metadata.len()).unwrap_or_default();
        say::result(&format!("{} ({size} bytes)", object.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds both variants, once in a run, and returns their paths.
pub(crate) fn build() -> Result<Vec<PathBuf>> {
    static BUILT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.is_empty() {
        let tools = setup::ebpf()?;
        let variants = [Variant::Plain, Variant::Log];
        let objects = variants.into_iter().map(|variant| build_variant(variant, &tools.linker));
        *built = objects.collect::<Result<_>>()?;
    }
    Ok(built.clone())
}

fn build_variant(variant: Variant, linker: &Path) -> Result<PathBuf> {
    let directory = paths::repository().join("target/ebpf");
    let object = directory.join(variant.file());
    say::step(&format!("building {}", variant.file()), || {
        let mut cargo = cargo("build", &directory, linker)?;
        if matches!(variant, Variant::Log) {
            cargo.args(["--features", "log"]);
        }
        command::checked(&mut cargo, variant.file(), LIMIT)?;
        let built = directory.join(TARGET).join("release/lynceus-ebpf");
        let new = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
        replace_if_different(&without_debug_information(&new)?, &object)
    })?;
    Ok(object)
}

/// Lints the kernel side for its own target: elsewhere it is an empty program.
pub(crate) fn clippy() -> Result<()> {
    let tools = setup::ebpf()?;
    // What clippy leaves behind does not replace what was built.
    let directory = paths::repository().join("target/ebpf/clippy");
    let mut cargo = cargo("clippy", &directory, &tools.linker)?;
    cargo.args(["--", "-D", "warnings"]);
    command::checked(&mut cargo, "clippy-ebpf", LIMIT).map(drop)
}

/// A command of cargo on the kernel side, for its target.
fn cargo(subcommand: &str, directory: &Path, linker: &Path) -> Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo.args([subcommand, "--package", "lynceus-ebpf", "--bins", "--release"]);
    cargo.args(["-Zbuild-std=core", "--target", TARGET, "--target-dir"]).arg(directory);
    cargo.current_dir(paths::repository());
    // `-Z` on a stable tool chain, for this child and its rustc only.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    // BTF of our own, because the kernel wants to know the functions that bpf_loop calls.
    let flags = ["--cfg=bpf_target_arch=\"x86_64\"", "-Cdebuginfo=2", "-Clink-arg=--btf"];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    cargo.env_remove("RUSTFLAGS");
    cargo.env("PATH", path_with(linker)?);
    Ok(cargo)
}

fn path_with(linker: &Path) -> Result<OsString> {
    let first = linker.parent().context("finding bpf-linker's directory")?.to_owned();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(first).chain(std::env::split_paths(&rest));
    std::env::join_paths(all).context("joining PATH")
}

fn replace_if_different(new: &[u8], object: &Path) -> Result<()> {
    if fs::read(object).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::write(object, new).with_context(|| format!("writing {}", object.display()))
}

/// What the kernel reads of an object, and nothing for debuggers, which is fifteen times as much.
fn without_debug_information(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object).context("reading the kernel object")?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete |= name.starts_with(b".debug") || name.starts_with(b".rel.debug");
    }
    builder.delete_orphans();
    // The linker keeps both kinds of names in one section, which the builder does not.
    let names = builder.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut bytes = Vec::new();
    builder.write(&mut bytes).context("writing the kernel object")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_object_is_not_rewritten() {
        let directory = tempfile::tempdir().unwrap();
        let object = directory.path().join("object");
        replace_if_different(b"one", &object).unwrap();
        let mut permissions = fs::metadata(&object).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&object, permissions).unwrap();
        let written = fs::metadata(&object).unwrap().modified().unwrap();
        replace_if_different(b"one", &object).unwrap();
        assert_eq!(fs::metadata(&object).unwrap().modified().unwrap(), written);
    }
}
