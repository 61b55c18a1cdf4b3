//! `cargo xtask image`: the agent as a container image, written without a container runtime.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::arch::Arch;
use crate::executable::{self, Linking};
use crate::{ebpf, paths, say};

mod archive;
mod layer;

pub(crate) use self::layer::Entry;

/// What the agent's image is called.
pub(crate) const NAME: &str = "localhost/lynceus:latest";

/// Writes the image of `lynceus`: one static binary with the kernel object in it, and no shell.
///
/// For another processor than this machine's own it is built with Rust's library for that and musl,
/// and a C compiler from Debian packages, which come into the cache; 10 minutes the first time. The
/// archive is of the formats that both `docker load` and `ctr images import` take. Built from the
/// same sources it is the same, byte for byte. Needs no container runtime and no root; sets up what is
/// missing (see `cargo xtask setup`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask image\n  \
    cargo xtask image --arch arm64\n  \
    cargo xtask image --out /tmp/lynceus.tar && docker load --input /tmp/lynceus.tar")]
pub(crate) struct Arguments {
    /// The processor of the machines that run it.
    #[arg(long, value_name = "ARCH", value_enum, default_value_t = Arch::OWN)]
    arch: Arch,

    /// The archive, instead of target/image/lynceus.tar, or lynceus-ARCH.tar for another processor.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What the agent's image may take on a node, and its archive on the way there.
const MOST_BYTES: u64 = 25 << 20;

/// An image of one layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    /// `registry/name:tag`
    pub(crate) name: String,
    pub(crate) arch: Arch,
    pub(crate) entries: Vec<Entry>,
    pub(crate) entrypoint: Vec<String>,
    /// What is run if the pod says nothing else.
    pub(crate) command: Vec<String>,
    /// `NAME=value`
    pub(crate) environment: Vec<String>,
    pub(crate) labels: Vec<(String, String)>,
}

/// How large an image is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) unpacked: u64,
    pub(crate) archive: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let arch = arguments.arch;
    let out = arguments.out.clone().unwrap_or_else(|| default_archive(arch));
    let sizes = lynceus(arch, &out)?;
    let mebibytes = |bytes: u64| {
        let tenths = bytes.saturating_mul(10) / (1 << 20);
        format!("{}.{} MiB", tenths / 10, tenths % 10)
    };
    say::result(&format!(
        "{}: {NAME} for {arch}, {} unpacked, {} as an archive",
        out.display(),
        mebibytes(sizes.unpacked),
        mebibytes(sizes.archive)
    ));
    Ok(ExitCode::SUCCESS)
}

/// `target/image/lynceus.tar`
pub(crate) fn default_archive(arch: Arch) -> PathBuf {
    paths::target().join(format!("image/lynceus{}.tar", arch.suffix()))
}

/// Builds `lynceus` and writes its image.
pub(crate) fn lynceus(arch: Arch, out: &Path) -> Result<Sizes> {
    ebpf::build(arch)?;
    let built = executable::lynceus(Linking::Static(arch))?;
    let directory = tempfile::tempdir().context("making a temporary directory")?;
    let stripped = directory.path().join("lynceus");
    executable::strip(&built, arch, &stripped)?;
    let label =
        |name: &str, value: &str| (format!("org.opencontainers.image.{name}"), value.to_owned());
    let image = Image {
        name: NAME.to_owned(),
        arch,
        entries: vec![Entry::program("/usr/local/bin/lynceus", &stripped)?],
        entrypoint: vec!["/usr/local/bin/lynceus".to_owned()],
        labels: vec![
            label("title", "lynceus"),
            label("description", "Traces programs that nobody instrumented"),
            label("version", env!("CARGO_PKG_VERSION")),
            label("licenses", env!("CARGO_PKG_LICENSE")),
        ],
        ..Image::default()
    };
    let sizes = write(&image, out)?;
    let largest = sizes.unpacked.max(sizes.archive);
    ensure!(largest <= MOST_BYTES, "the image has {largest} bytes, more than {MOST_BYTES}");
    Ok(sizes)
}

/// Writes the archive of an image.
pub(crate) fn write(image: &Image, to: &Path) -> Result<Sizes> {
    let attempt = || {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let layer = layer::write(&image.entries)?;
        let bytes = archive::write(image, &layer)?;
        fs::write(to, &bytes)?;
        anyhow::Ok(Sizes {
            unpacked: u64::try_from(layer.unpacked.len())?,
            archive: u64::try_from(bytes.len())?,
        })
    };
    attempt().with_context(|| format!("writing the image {} to {}", image.name, to.display()))
}
