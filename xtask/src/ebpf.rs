//! `cargo xtask ebpf`: builds the kernel object, plain and with the probes' own log messages.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;

use crate::arch::Arch;
use crate::{command, paths, say, setup};

const LIMIT: Duration = Duration::from_secs(1200);
const TARGET: &str = "bpfel-unknown-none";

/// Builds the kernel object into target/ebpf/MACHINE/.
///
/// `lynceus.bpf.o` is what the agent embeds; `lynceus-log.bpf.o` has the probes' own debug
/// messages, for `--probe-log`. Sets up rust-src and bpf-linker first if they are missing. The
/// first build takes about a minute, later ones seconds. A file is rewritten only when its bytes
/// change, so the agent is not rebuilt for nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask ebpf && cargo build --release")]
pub(crate) struct Arguments {
    /// The processor whose kernels load it.
    #[arg(long, value_name = "ARCH", value_enum, default_value_t = Arch::OWN)]
    arch: Arch,
}

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

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    for object in build(arguments.arch)? {
        let size = fs::metadata(&object).map(|metadata| metadata.len()).unwrap_or_default();
        say::result(&format!("{} ({size} bytes)", object.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds both variants, once in a run, and returns their paths.
pub(crate) fn build(arch: Arch) -> Result<Vec<PathBuf>> {
    static BUILT: Mutex<BTreeMap<Arch, Vec<PathBuf>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(objects) = built.get(&arch) {
        return Ok(objects.clone());
    }
    let tools = setup::ebpf()?;
    let variants = [Variant::Plain, Variant::Log];
    let objects = variants.into_iter().map(|variant| build_variant(variant, arch, &tools.linker));
    let objects = objects.collect::<Result<Vec<_>>>()?;
    built.insert(arch, objects.clone());
    Ok(objects)
}

fn build_variant(variant: Variant, arch: Arch, linker: &Path) -> Result<PathBuf> {
    let directory = directory().join(arch.machine());
    let object = directory.join(variant.file());
    let name = format!("{}{}", variant.file(), arch.suffix());
    say::step(&format!("building {name}"), || {
        let mut cargo = cargo("build", arch, &directory, linker)?;
        if matches!(variant, Variant::Log) {
            cargo.args(["--features", "log"]);
        }
        command::checked(&mut cargo, &name, LIMIT)?;
        let built = directory.join(TARGET).join("release/lynceus-ebpf");
        let new = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
        replace_if_different(&without_debug_information(&new)?, &object)
    })?;
    Ok(object)
}

/// Lints the kernel side for its own target, elsewhere it is an empty program, and for the kernels of
/// every processor: each has registers of its own.
pub(crate) fn clippy() -> Result<()> {
    let tools = setup::ebpf()?;
    Arch::ALL.into_iter().try_for_each(|arch| {
        // What clippy leaves behind does not replace what was built.
        let directory = directory().join("clippy").join(arch.machine());
        let mut cargo = cargo("clippy", arch, &directory, &tools.linker)?;
        cargo.args(["--", "-D", "warnings"]);
        command::checked(&mut cargo, &format!("clippy-ebpf{}", arch.suffix()), LIMIT).map(drop)
    })
}

fn directory() -> PathBuf {
    paths::repository().join("target/ebpf")
}

/// A command of cargo on the kernel side, for its target.
fn cargo(subcommand: &str, arch: Arch, directory: &Path, linker: &Path) -> Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo.args([subcommand, "--package", "lynceus-ebpf", "--bins", "--release"]);
    cargo.args(["-Zbuild-std=core", "--target", TARGET, "--target-dir"]).arg(directory);
    cargo.current_dir(paths::repository());
    // `-Z` on a stable tool chain, for this child and its rustc only.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    let registers = format!("--cfg=bpf_target_arch=\"{}\"", arch.machine());
    // BTF of our own, because the kernel wants to know the functions that bpf_loop calls.
    let flags = [registers.as_str(), "-Cdebuginfo=2", "-Clink-arg=--btf"];
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
