//! The control groups of a node's pods, in every hierarchy that this machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::process::Process;
use crate::clock::Stopwatch;

/// The kubelet makes the first, containerd the second for what has no pod.
const OURS: [&str; 2] = ["kubepods", "k8s.io"];
const POLL: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(30);

/// Where the hierarchies are mounted.
fn hierarchies(mounts: &str) -> Vec<PathBuf> {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let cgroups = fields.filter_map(|fields| match fields.as_slice() {
        [_, place, "cgroup" | "cgroup2", ..] => Some(PathBuf::from(place)),
        _ => None,
    });
    cgroups.collect()
}

/// The mount of the unified hierarchy, which a container sees as a `hostPath` volume.
pub(super) fn unified() -> Result<PathBuf> {
    let mounts = mounts()?;
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    let place = line.and_then(|line| line.split(' ').nth(1));
    Ok(PathBuf::from(place.context("finding a mounted cgroup2")?))
}

/// The groups of pods that exist now, of whatever node.
pub(super) fn of_pods() -> Result<Vec<PathBuf>> {
    let hierarchies = hierarchies(&mounts()?);
    let groups = hierarchies.iter().flat_map(|each| OURS.map(|name| each.join(name)));
    Ok(groups.filter(|group| group.is_dir()).collect())
}

/// The processes in these groups and below them.
pub(super) fn processes(groups: &[PathBuf]) -> Vec<Process> {
    let mut found = Vec::new();
    for group in groups.iter().flat_map(|group| with_all_below(group)) {
        // A group may go while we look.
        let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| Process::of(line.parse().ok()?)));
    }
    found
}

/// Removes groups that have no processes any more. The kernel takes a moment to notice that.
pub(super) fn remove(groups: &[PathBuf]) -> Result<()> {
    let watch = Stopwatch::start();
    while let Some(group) = groups.iter().find(|group| group.is_dir()) {
        let below = with_all_below(group);
        let failed = below.iter().rev().find_map(|each| Some((each, fs::remove_dir(each).err()?)));
        if let Some((each, error)) = failed {
            if watch.elapsed() > LIMIT {
                bail!("removing the control group {}: {error}", each.display());
            }
            std::thread::sleep(POLL);
        }
    }
    Ok(())
}

/// Parents before their children.
fn with_all_below(group: &Path) -> Vec<PathBuf> {
    let mut found = vec![group.to_owned()];
    let mut next = 0;
    while let Some(directory) = found.get(next) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let below: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        found.extend(below);
        next += 1;
    }
    found
}

fn mounts() -> Result<String> {
    fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let expected = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"].map(PathBuf::from);
        assert_eq!(hierarchies(mounts), expected);
    }

    #[test]
    fn groups_are_listed_parents_first() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        let expected = ["", "a", "a/b"].map(|name| root.path().join(name));
        assert_eq!(with_all_below(root.path()).len(), 3);
        for (found, expected) in with_all_below(root.path()).iter().zip(&expected) {
            assert_eq!(found.components().count(), expected.components().count());
        }
    }
}
