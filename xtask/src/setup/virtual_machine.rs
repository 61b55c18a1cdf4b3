//! QEMU, packaged kernels and a static busybox, unpacked privately from Debian packages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::apt::{Archive, Private};
use crate::arch::Arch;
use crate::{cache, say};

/// QEMU 7.2 of Debian 12 panics on some boots of newer kernels; 10 does not.
const QEMU_SUITES: [&str; 2] = ["bookworm", "bookworm-backports"];

/// A line of kernels, and where Debian has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Series {
    /// `5.10`, or `newest`.
    pub(crate) name: &'static str,
    suite: &'static str,
    /// What the version starts with; nothing for the newest of all.
    prefix: &'static str,
    /// Machines that share the tests.
    pub(crate) machines: u32,
}

/// The newest takes longest: there each start verifies several copies of the programs.
pub(crate) const SERIES: [Series; 4] = [
    Series { name: "5.10", suite: "bullseye", prefix: "5.10.", machines: 1 },
    Series { name: "6.1", suite: "bookworm", prefix: "6.1.", machines: 1 },
    Series { name: "6.12", suite: "trixie", prefix: "6.12.", machines: 1 },
    Series { name: "newest", suite: "trixie-backports", prefix: "", machines: 2 },
];

#[derive(Debug)]
pub(crate) struct Kernel {
    /// `6.12.107+deb13-cloud-amd64`
    pub(crate) version: String,
    pub(crate) image: PathBuf,
}

/// QEMU with everything it is linked to, in one directory.
#[derive(Debug)]
pub(crate) struct Machine {
    /// What it is a machine of.
    pub(crate) arch: Arch,
    pub(crate) root: PathBuf,
    pub(crate) version: String,
}

/// The kernel of a series: the one in the cache, else the highest that the archive has now.
pub(crate) fn kernel(series: Series, arch: Arch) -> Result<Kernel> {
    let vm = cache::root()?.join("vm");
    let prefix = format!("kernel{}-{}-", arch.suffix(), series.name);
    if let Some(kernel) = cached_kernel(&vm, &prefix) {
        return Ok(kernel);
    }
    let _lock = cache::lock(prefix.trim_end_matches('-'))?;
    if let Some(kernel) = cached_kernel(&vm, &prefix) {
        return Ok(kernel);
    }
    say::step(&format!("kernel {} for {arch} from Debian {}", series.name, series.suite), || {
        let archive = Archive::of_this_system()?;
        let name = format!("{}{}", series.suite, arch.suffix());
        let apt = Private::open_for(arch, &archive, &name, &[series.suite])?;
        let names = apt.names(&format!("^linux-(image|binary)-[0-9].*-cloud-{arch}$"))?;
        let package = highest(&names, series.prefix)
            .with_context(|| format!("finding a kernel {} in {}", series.name, series.suite))?;
        let version = version_of(package).unwrap_or(package);
        cache::install(&vm.join(format!("{prefix}{version}")), |half| {
            let unpacked = half.join(cache::BUILD);
            apt.unpack(&[package], &unpacked)?;
            let image = vmlinuz(&unpacked, version)
                .with_context(|| format!("finding vmlinuz in the package {package}"))?;
            fs::rename(&image, half.join("vmlinuz")).context("moving the kernel's image")
        })
    })?;
    cached_kernel(&vm, &prefix).context("finding the kernel that was just installed")
}

fn cached_kernel(vm: &Path, prefix: &str) -> Option<Kernel> {
    let directory = cache::find(vm, prefix)?;
    let version = directory.file_name()?.to_str()?.strip_prefix(prefix)?.to_owned();
    let image = directory.join("vmlinuz");
    image.is_file().then_some(Kernel { version, image })
}

/// The package with the highest version of a series. From 6.19 on the image is in a package
/// `linux-binary-...` and `linux-image-...` only depends on it.
fn highest<'names>(names: &'names [String], prefix: &str) -> Option<&'names str> {
    names
        .iter()
        .map(String::as_str)
        .filter(|name| version_of(name).is_some_and(|version| version.starts_with(prefix)))
        .max_by_key(|name| (numbers(name), name.starts_with("linux-binary-")))
}

/// `linux-image-5.10.0-32-cloud-amd64` is `5.10.0-32-cloud-amd64`.
fn version_of(package: &str) -> Option<&str> {
    let version =
        package.strip_prefix("linux-image-").or_else(|| package.strip_prefix("linux-binary-"))?;
    version.starts_with(|first: char| first.is_ascii_digit()).then_some(version)
}

/// The numbers in a version, in order, up to the distribution's suffix.
fn numbers(package: &str) -> Vec<u32> {
    let version = version_of(package).unwrap_or_default();
    let version = version.split("-cloud").next().unwrap_or_default();
    let parts = version.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|digits| digits.parse().ok()).collect()
}

fn vmlinuz(root: &Path, version: &str) -> Option<PathBuf> {
    let places = [
        format!("boot/vmlinuz-{version}"),
        format!("usr/lib/modules/{version}/vmlinuz"),
        format!("lib/modules/{version}/vmlinuz"),
    ];
    places.iter().map(|place| root.join(place)).find(|image| image.is_file())
}

/// QEMU for machines of one processor.
pub(crate) fn machine(arch: Arch) -> Result<Machine> {
    let vm = cache::root()?.join("vm");
    let machine = Machine {
        arch,
        root: vm.join(format!("qemu-10{}", arch.suffix())),
        version: "QEMU 10".to_owned(),
    };
    if machine.program().is_file() {
        return Ok(machine);
    }
    let name = format!("qemu{}", arch.suffix());
    let _lock = cache::lock(&name)?;
    if machine.program().is_file() {
        return Ok(machine);
    }
    say::note("QEMU is missing: the tests run on packaged kernels inside it");
    let [release, backports] = QEMU_SUITES;
    let package = match arch {
        Arch::Amd64 => "qemu-system-x86",
        Arch::Arm64 => "qemu-system-arm",
    };
    say::step(&format!("{package} from Debian {backports}"), || {
        let apt = Private::open(&Archive::of_this_system()?, &name, &[release, backports])?;
        cache::install(&machine.root, |half| apt.unpack_closure(&[package], backports, half))
    })?;
    let program = machine.program();
    ensure!(program.is_file(), "the package {package} holds no {}", program.display());
    Ok(machine)
}

impl Machine {
    pub(crate) fn program(&self) -> PathBuf {
        self.root.join(format!("usr/bin/qemu-system-{}", self.arch.machine()))
    }
}

/// The static busybox of the initramfs and of the images that tests run.
pub(crate) fn busybox(arch: Arch) -> Result<PathBuf> {
    let vm = cache::root()?.join("vm");
    let name = format!("busybox{}", arch.suffix());
    let directory = vm.join(&name);
    let program = directory.join("busybox");
    if program.is_file() {
        return Ok(program);
    }
    let _lock = cache::lock(&name)?;
    if program.is_file() {
        return Ok(program);
    }
    let [release, _] = QEMU_SUITES;
    say::step(&format!("busybox for {arch} from Debian"), || {
        let archive = Archive::of_this_system()?;
        let name = format!("{release}{}", arch.suffix());
        let apt = Private::open_for(arch, &archive, &name, &[release])?;
        cache::install(&directory, |half| {
            let unpacked = half.join(cache::BUILD);
            apt.unpack(&["busybox-static"], &unpacked)?;
            // Where /bin is a link to usr/bin in the release, the package has it there.
            let places = ["bin/busybox", "usr/bin/busybox"];
            let found = places.iter().map(|place| unpacked.join(place)).find(|file| file.is_file());
            let found = found.context("finding busybox in its package")?;
            fs::rename(&found, half.join("busybox")).context("moving busybox")
        })
    })?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_kernel_of_a_series_is_found_by_number_not_by_name() {
        let names: Vec<String> = [
            "linux-image-6.12.94+deb13-cloud-amd64",
            "linux-image-6.12.107+deb13-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-7.2.12+deb13-cloud-amd64",
            "linux-binary-7.2.12+deb13-cloud-amd64",
            "linux-binary-7.2.9+deb13-cloud-amd64",
            "linux-binary-unsigned-7.3.4+deb13-cloud-amd64",
        ]
        .map(str::to_owned)
        .into();
        let check = |prefix, expected| assert_eq!(highest(&names, prefix), Some(expected));
        check("6.12.", "linux-image-6.12.107+deb13-cloud-amd64");
        check("6.1.", "linux-image-6.1.0-50-cloud-amd64");
        check("", "linux-binary-7.2.12+deb13-cloud-amd64");
        assert_eq!(highest(&names, "5.10."), None);
    }
}
