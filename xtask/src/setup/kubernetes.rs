//! Kubernetes itself, built from Go modules at the versions that go.sum pins.
//!
//! `xtask/kubernetes/go.mod` has upstream's own pins, with the staging repositories as the modules
//! that they are published as.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::fingerprint::fingerprint;
use super::go;
use crate::{cache, paths, say};

const ETCD: (&str, &str) = ("etcd", "go.etcd.io/etcd/server/v3");
const PROGRAMS: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
];

/// The folder with etcd and all programs of Kubernetes, built if it is missing.
pub(crate) fn kubernetes() -> Result<PathBuf> {
    let ours = paths::repository().join("xtask/kubernetes");
    let version = version(&ours)?;
    let print = fingerprint(&ours, &["go.mod", "go.sum"], "")?;
    let directory = cache::root()?.join(format!("tools/kubernetes-{version}-{print}"));
    if directory.is_dir() {
        return Ok(directory);
    }
    let _lock = cache::lock("kubernetes")?;
    if directory.is_dir() {
        return Ok(directory);
    }
    go::must_be_there()?;
    say::note(
        "Kubernetes is missing: the cluster's tests run on it; ten minutes on two processors",
    );
    cache::install(&directory, |half| build(&ours, &version, half))?;
    Ok(directory)
}

fn build(ours: &Path, version: &str, half: &Path) -> Result<()> {
    let (name, package) = ETCD;
    say::step(&format!("building {name}"), || {
        go::build(ours, package, go::PLAIN, &half.join(name))
    })?;
    // Without these the programs take themselves for version 0 and refuse each other.
    let minor = version.split('.').nth(1).unwrap_or_default();
    let set = |variable: &str, value: &str| {
        format!(" -X k8s.io/component-base/version.{variable}={value}")
    };
    let linker = [
        go::PLAIN,
        &set("gitVersion", version),
        &set("gitMajor", "1"),
        &set("gitMinor", minor),
        &set("gitTreeState", "clean"),
    ]
    .concat();
    for name in PROGRAMS {
        say::step(&format!("building {name} {version}"), || {
            go::build(ours, &format!("k8s.io/kubernetes/cmd/{name}"), &linker, &half.join(name))
        })?;
    }
    Ok(())
}

/// `v1.34.4`, as go.mod requires it.
fn version(ours: &Path) -> Result<String> {
    let path = ours.join("go.mod");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let required = text.lines().find_map(|line| {
        let (module, version) = line.trim().trim_start_matches("require ").split_once(' ')?;
        (module == "k8s.io/kubernetes").then(|| version.trim().to_owned())
    });
    required
        .with_context(|| format!("finding the version of k8s.io/kubernetes in {}", path.display()))
}
