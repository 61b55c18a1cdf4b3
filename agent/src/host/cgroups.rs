//! The host's control groups: in which hierarchy pods are, and which are there.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Where a pod of ours has the host's hierarchies.
pub const ROOT_IN_POD: &str = "/host/sys/fs/cgroup";
/// There, and where a host has them.
const ROOTS: [&str; 2] = [ROOT_IN_POD, "/sys/fs/cgroup"];
/// Of those of version 1 the ones that all container runtimes use.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
/// How deep a kubelet's own control group may lie.
const DEPTH: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error(
        "finding a directory kubepods or kubepods.slice in {}: is this a Kubernetes node, and is the \
         host's /sys/fs/cgroup mounted here?",
        .0.join(", ")
    )]
    NoPods(Vec<String>),
    #[error("reading {path}")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("/proc/cgroups does not name the controller {0}")]
    NoController(String),
}

/// The hierarchy that containers are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// The directory of all pods.
    pub pods: PathBuf,
    /// `cgroup_root.hierarchy_id`; 0 is that of cgroup v2.
    pub id: u32,
    /// Whose it is; `None` for cgroup v2.
    pub controller: Option<&'static str>,
}

/// Of version 2 if pods are in it, also where the controllers are of version 1.
pub fn hierarchy(root: Option<&Path>) -> Result<Hierarchy, CgroupError> {
    let roots: Vec<PathBuf> = match root {
        Some(root) => vec![root.to_owned()],
        None => ROOTS.iter().map(PathBuf::from).collect(),
    };
    for root in &roots {
        let unified = [root.join("unified"), root.clone()];
        let unified = unified.iter().find(|root| root.join("cgroup.controllers").exists());
        if let Some(pods) = unified.and_then(|root| pods(root, DEPTH)) {
            return Ok(Hierarchy { pods, id: 0, controller: None });
        }
        for controller in CONTROLLERS {
            if let Some(pods) = pods(&root.join(controller), DEPTH) {
                let id = number(controller)?;
                return Ok(Hierarchy { pods, id, controller: Some(controller) });
            }
        }
    }
    Err(CgroupError::NoPods(roots.iter().map(|root| root.display().to_string()).collect()))
}

/// The directory of all pods below this one.
fn pods(root: &Path, depth: u32) -> Option<PathBuf> {
    let names = directories(root).ok()?;
    let is_it = |name: &str| {
        name == "kubepods" || name == "kubepods.slice" || name.ends_with("-kubepods.slice")
    };
    if let Some(name) = names.iter().find(|name| is_it(name)) {
        return Some(root.join(name));
    }
    let depth = depth.checked_sub(1)?;
    names.iter().find_map(|name| pods(&root.join(name), depth))
}

/// The hierarchy of a controller of version 1: `proc_cgroupstats_show` of kernel/cgroup/cgroup-v1.c has a
/// line for each; newer kernels leave out those that version 1 does not have.
fn number(controller: &str) -> Result<u32, CgroupError> {
    let path = "/proc/cgroups";
    let read = |source| CgroupError::Read { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(read)?;
    text.lines()
        .find_map(|line| {
            let mut fields = line.split_whitespace();
            (fields.next()? == controller).then(|| fields.next()?.parse().ok())?
        })
        .ok_or_else(|| CgroupError::NoController(controller.to_owned()))
}

/// A directory that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: u64,
    pub parent: u64,
    pub name: String,
}

/// All below `pods`, and itself, those above first. What goes away meanwhile is left out. `each` is told of
/// one before anything in it is looked for.
pub fn walk(pods: &Path, mut each: impl FnMut(Found)) -> Result<(), CgroupError> {
    let read = |source| CgroupError::Read { path: pods.display().to_string(), source };
    let root = fs::metadata(pods).map_err(read)?.ino();
    let name = pods.file_name().unwrap_or_default().to_string_lossy().into_owned();
    each(Found { id: root, parent: 0, name });
    let mut waiting = vec![(pods.to_owned(), root)];
    while let Some((path, parent)) = waiting.pop() {
        for name in directories(&path).unwrap_or_default() {
            let path = path.join(&name);
            if let Ok(metadata) = fs::metadata(&path) {
                each(Found { id: metadata.ino(), parent, name });
                waiting.push((path, metadata.ino()));
            }
        }
    }
    Ok(())
}

fn directories(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// systemd's hybrid layout: version 2 is mounted beside the controllers of version 1.
    #[test]
    fn of_both_versions_the_one_that_pods_are_in_is_taken() {
        let check = |directories: &[&str], expected: &str| {
            let is_of_version_2 = expected.starts_with("unified/");
            let root = std::env::temp_dir().join(format!("lynceus-hybrid-{}", std::process::id()));
            for directory in directories.iter().chain(&["unified/system.slice"]) {
                fs::create_dir_all(root.join(directory)).unwrap();
            }
            fs::write(root.join("unified/cgroup.controllers"), "").unwrap();
            let found = hierarchy(Some(&root));
            fs::remove_dir_all(&root).unwrap();
            match found {
                Ok(found) => {
                    assert_eq!(found.pods, root.join(expected));
                    assert_eq!(found.controller.is_none(), is_of_version_2, "{found:?}");
                    assert_eq!(found.id == 0, is_of_version_2, "{found:?}");
                }
                // This kernel has none of version 1: it was the one to be taken all the same.
                Err(CgroupError::NoController(controller)) => {
                    assert!(!is_of_version_2 && expected.starts_with(controller.as_str()));
                }
                Err(error) => panic!("{directories:?}: {error}"),
            }
        };
        check(&["unified/kubepods", "memory/kubepods"], "unified/kubepods");
        check(&["unified/kubepods.slice"], "unified/kubepods.slice");
        check(&["memory/kubepods", "pids/kubepods"], "memory/kubepods");
        check(&["memory/system.slice", "pids/kubepods.slice"], "pids/kubepods.slice");
    }

    #[test]
    fn pods_are_found_where_kubelets_put_them() {
        let check = |path: &str| {
            let root = std::env::temp_dir().join(format!("lynceus-cgroups-{}", std::process::id()));
            fs::create_dir_all(root.join(path)).unwrap();
            fs::create_dir_all(root.join("system.slice/x.scope")).unwrap();
            let found = pods(&root, DEPTH);
            fs::remove_dir_all(&root).unwrap();
            assert_eq!(found, Some(root.join(path)));
        };
        check("kubepods");
        check("kubepods.slice");
        check("kubelet.slice/kubelet-kubepods.slice");
        check("docker/0123/kubepods");
    }
}
