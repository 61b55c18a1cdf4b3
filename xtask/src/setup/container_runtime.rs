//! What runs containers on a node: containerd, runc, network plugins, from Debian packages, unpacked
//! only. Installed, containerd would be started as a service of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::libraries;
use crate::apt::{Archive, Private};
use crate::{cache, say};

const PACKAGES: [&str; 6] =
    ["containerd", "runc", "containernetworking-plugins", "nftables", "conntrack", "iproute2"];

/// Where the packages have programs.
const PROGRAMS_IN: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];
const PLUGINS_IN: &str = "usr/lib/cni";

const PROGRAMS: [&str; 7] =
    ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "nft", "conntrack", "ip"];

/// The folders of what was unpacked.
#[derive(Debug)]
pub(crate) struct ContainerRuntime {
    pub(crate) programs: PathBuf,
    /// What the programs are linked to and this system lacks.
    pub(crate) libraries: PathBuf,
    /// The network plugins.
    pub(crate) plugins: PathBuf,
}

/// Everything, unpacked if it is missing or does not run.
pub(crate) fn container_runtime() -> Result<ContainerRuntime> {
    let directory = cache::root()?.join("tools/container-runtime");
    let ours = ContainerRuntime {
        programs: directory.join("bin"),
        libraries: directory.join("lib"),
        plugins: directory.join("cni"),
    };
    if ours.runs() {
        return Ok(ours);
    }
    let _lock = cache::lock("container-runtime")?;
    if ours.runs() {
        return Ok(ours);
    }
    say::note("containerd, runc and network plugins are missing: the cluster runs pods by them");
    say::step("containerd and what it needs, from Debian packages", || {
        let archive = Archive::of_this_system()?;
        let suite = archive.suite.clone();
        let apt = Private::open(&archive, "container-runtime", &[&suite])?;
        cache::install(&directory, |half| {
            let unpacked = half.join(cache::BUILD);
            apt.unpack_closure(&PACKAGES, &suite, &unpacked)?;
            keep(&unpacked, half)
        })
    })?;
    ensure!(ours.runs(), "{} holds no container runtime that runs", directory.display());
    Ok(ours)
}

impl ContainerRuntime {
    fn runs(&self) -> bool {
        let tries = |(name, argument): (&str, &str)| {
            let mut program = Command::new(self.programs.join(name));
            program.arg(argument).env("LD_LIBRARY_PATH", &self.libraries);
            program.output().is_ok_and(|output| output.status.success())
        };
        let versions = [
            ("containerd", "-v"),
            ("runc", "-v"),
            ("nft", "-v"),
            ("conntrack", "-V"),
            ("ip", "-V"),
        ];
        versions.into_iter().all(tries)
    }
}

/// Moves what is run out of the unpacked packages.
fn keep(unpacked: &Path, half: &Path) -> Result<()> {
    let programs = half.join("bin");
    fs::create_dir(&programs).with_context(|| format!("making {}", programs.display()))?;
    for name in PROGRAMS {
        let mut places = PROGRAMS_IN.iter().map(|place| unpacked.join(place).join(name));
        let found = places.find(|path| path.is_file() && !path.is_symlink());
        let found = found.with_context(|| format!("finding {name} in the packages"))?;
        fs::rename(&found, programs.join(name)).with_context(|| format!("moving {name}"))?;
    }
    libraries::keep_what_is_missing(unpacked, &half.join("lib"))?;
    fs::rename(unpacked.join(PLUGINS_IN), half.join("cni")).context("moving the network plugins")
}
