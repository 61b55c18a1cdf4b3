//! What a cluster could leave on the machine: looked at before it starts, and again at the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::cluster::{cgroups, host};

/// Where these programs write if they are not told otherwise, as ours are.
const ELSEWHERE: [&str; 6] = [
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/opt/containerd",
    "/usr/libexec/kubernetes",
    "/var/lib/containerd",
];

/// By subject, what is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine(BTreeMap<&'static str, Vec<String>>);

impl Machine {
    pub(super) fn look() -> Result<Self> {
        let mut machine = BTreeMap::new();
        let names = |directory: &str| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        machine.insert("network interfaces", names("/sys/class/net"));
        machine.insert("named network namespaces", names("/run/netns"));
        let mounts = fs::read_to_string("/proc/self/mounts").context("reading mounts")?;
        machine.insert("mounts", mounts.lines().map(str::to_owned).collect());
        let groups = cgroups::of_pods()?;
        let shown = groups.iter().map(|group| group.display().to_string());
        machine.insert("control groups", shown.collect());
        machine.insert("settings of the kernel", host::settings());
        let places = host::COMPILED_IN.iter().chain(&ELSEWHERE);
        let there = places.filter(|path| Path::new(path).exists());
        machine.insert("directories", there.map(ToString::to_string).collect());
        Ok(Self(machine.into_iter().map(|(subject, found)| (subject, sorted(found))).collect()))
    }

    /// Fails if there is something else than before. That processes are gone the control groups tell,
    /// and the taking down itself, which waits for them.
    pub(super) fn compare(&self) -> Result<()> {
        let now = Self::look()?;
        for (subject, before) in &self.0 {
            let after = now.0.get(subject).context("looking at the same things twice")?;
            let new: Vec<_> = after.iter().filter(|each| !before.contains(each)).collect();
            let gone: Vec<_> = before.iter().filter(|each| !after.contains(each)).collect();
            ensure!(new.is_empty() && gone.is_empty(), "{subject}: new {new:?}, gone {gone:?}");
        }
        Ok(())
    }
}

fn sorted(mut found: Vec<String>) -> Vec<String> {
    found.sort();
    found
}
