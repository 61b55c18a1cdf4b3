//! What runs containers on a node: containerd, runc, network plugins, from Debian packages, unpacked
//! only. Installed, containerd would be started as a service of this machine.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::apt::{Archive, Private};
use crate::{cache, say};

const PACKAGES: [&str; 6] =
    ["containerd", "runc", "containernetworking-plugins", "nftables", "conntrack", "iproute2"];

/// Where the packages have programs.
const PROGRAMS_IN: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];
const LIBRARIES_IN: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
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

/// Moves what is run out of the unpacked packages. Of libraries only those that the system lacks:
/// what it has, its C library above all, must not be mixed with another.
fn keep(unpacked: &Path, half: &Path) -> Result<()> {
    let [programs, libraries] = ["bin", "lib"].map(|name| half.join(name));
    for directory in [&programs, &libraries] {
        fs::create_dir(directory).with_context(|| format!("making {}", directory.display()))?;
    }
    for name in PROGRAMS {
        let mut places = PROGRAMS_IN.iter().map(|place| unpacked.join(place).join(name));
        let found = places.find(|path| path.is_file() && !path.is_symlink());
        let found = found.with_context(|| format!("finding {name} in the packages"))?;
        fs::rename(&found, programs.join(name)).with_context(|| format!("moving {name}"))?;
    }
    for place in LIBRARIES_IN {
        let Ok(entries) = fs::read_dir(unpacked.join(place)) else { continue };
        for entry in entries {
            let entry = entry.with_context(|| format!("listing {place}"))?;
            let name = entry.file_name();
            let is_library = name.to_string_lossy().contains(".so.");
            if is_library && !entry.path().is_dir() && !the_system_has(&name) {
                fs::rename(entry.path(), libraries.join(&name))
                    .with_context(|| format!("moving {}", name.display()))?;
            }
        }
    }
    fs::rename(unpacked.join(PLUGINS_IN), half.join("cni")).context("moving the network plugins")
}

fn the_system_has(library: &OsStr) -> bool {
    LIBRARIES_IN.iter().any(|place| Path::new("/").join(place).join(library).exists())
}
