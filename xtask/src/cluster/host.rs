//! What of this machine itself a node would change: a few settings of the kernel, and a few directories
//! that the programs have compiled in. In the node's own mount namespace, things of ours lie over them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The kubelet wants these settings to have these values. Where it reads that they have, it leaves them
/// alone.
const SETTINGS: [(&str, &str); 6] = [
    ("/proc/sys/vm/overcommit_memory", "1"),
    ("/proc/sys/vm/panic_on_oom", "0"),
    ("/proc/sys/kernel/panic", "10"),
    ("/proc/sys/kernel/panic_on_oops", "1"),
    ("/proc/sys/kernel/keys/root_maxkeys", "1000000"),
    ("/proc/sys/kernel/keys/root_maxbytes", "25000000"),
];

/// Written to by containerd, the kubelet and mount(8) whatever they are told.
pub(super) const COMPILED_IN: [&str; 6] = [
    "/run/containerd",
    "/run/mount",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];

/// Bit of CAP_SYS_RESOURCE in a set of capabilities.
const SYS_RESOURCE: u32 = 24;

/// What a node may do on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    All,
    /// As root in many containers and virtual machines: no lower badness for the out-of-memory
    /// killer, and no container can be given this capability.
    NoSysResource,
}

impl Rights {
    pub(super) fn find() -> Result<Self> {
        let status =
            fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
        Ok(Self::read(&status))
    }

    fn read(status: &str) -> Self {
        let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
        let set = bounding.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        let has_it = set.is_none_or(|set| set & (1 << SYS_RESOURCE) != 0);
        if has_it { Self::All } else { Self::NoSysResource }
    }
}

/// Whether what is in `run` is of this boot of the machine: after another nothing of it is left, and what
/// has our names is somebody else's.
pub(super) fn is_of_this_boot(run: &Path) -> bool {
    let then = fs::read_to_string(run.join("boot")).ok();
    then.is_some() && then == boot().ok()
}

fn boot() -> Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").context("reading the boot's id")
}

/// Makes what lies over the machine's own, in `over` below `run`, and what it lies over where that is
/// missing. The answer is the places.
pub(super) fn prepare(run: &Path) -> Result<Vec<&'static str>> {
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    };
    write(&run.join("boot"), &boot()?)?;
    let missing: String = missing().map(|path| format!("{}\n", path.display())).collect();
    write(&run.join("directories"), &missing)?;
    let over = |place: &str| run.join("over").join(place.trim_start_matches('/'));
    let make = |directory: &Path| {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))
    };
    for place in COMPILED_IN {
        make(Path::new(place))?;
        make(&over(place))?;
    }
    let settings = SETTINGS.iter().filter(|(place, _)| Path::new(place).exists());
    let mut places = COMPILED_IN.to_vec();
    for (place, value) in settings {
        let file = over(place);
        make(file.parent().unwrap_or(run))?;
        write(&file, &format!("{value}\n"))?;
        places.push(place);
    }
    Ok(places)
}

/// The directories to be made, each behind the one that it is in.
fn missing() -> impl Iterator<Item = PathBuf> {
    let lines = COMPILED_IN.map(Path::new);
    let all = lines.into_iter().flat_map(|path| {
        let mut line: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
        line.reverse();
        line
    });
    all.filter(|path| !path.exists())
}

/// Removes the directories that were made. One that is not empty by now is somebody else's, too.
pub(super) fn restore(run: &Path) {
    let made = fs::read_to_string(run.join("directories")).unwrap_or_default();
    for directory in made.lines().rev() {
        drop(fs::remove_dir(directory));
    }
}

/// What the settings are now: `/proc/sys/vm/panic_on_oom = 0`.
pub(super) fn settings() -> Vec<String> {
    let values = SETTINGS.iter().filter_map(|(place, _)| {
        Some(format!("{place} = {}", fs::read_to_string(place).ok()?.trim()))
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_capability_is_seen_in_the_bounding_set() {
        let check = |status, expected| assert_eq!(Rights::read(status), expected, "{status}");
        check("Name:\tx\nCapBnd:\t000001ffffffffff\n", Rights::All);
        check("CapEff:\t000001ffffffffff\nCapBnd:\t000001fffeffffff\n", Rights::NoSysResource);
        check("", Rights::All);
    }
}
