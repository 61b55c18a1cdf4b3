//! Names of control groups, as kubelets and container runtimes give them.
//!
//! A pod's is `pod<UID>` below `kubepods`, or with systemd `kubepods-burstable-pod<UID>.slice` with `_` for
//! `-`; a container's is its id, or with systemd the runtime's prefix, the id and `.scope`
//! (pkg/kubelet/cm/cgroup_manager_linux.go of Kubernetes; containerd, CRI-O and Docker).

/// The UID of an object. Of a static pod the hash of its file: 32 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uid(pub String);

/// The id that a container runtime gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(pub String);

/// Whose a control group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    Pod(Uid),
    Container(ContainerId),
    /// A class of pods, or something within a container.
    Other,
}

/// What the runtimes put before a container's id.
const PREFIXES: [&str; 4] = ["cri-containerd-", "crio-", "docker-", "libpod-"];

impl Name {
    pub fn parse(name: &str) -> Self {
        let bare = name.strip_suffix(".slice").or_else(|| name.strip_suffix(".scope"));
        let bare = bare.unwrap_or(name);
        let id = PREFIXES.iter().find_map(|prefix| bare.strip_prefix(prefix)).unwrap_or(bare);
        if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Self::Container(ContainerId(id.to_owned()));
        }
        let (before, uid) = match bare.rsplit_once("pod") {
            // `kubepods` without more.
            Some((before, uid)) if before.is_empty() || before.ends_with('-') => (before, uid),
            Some(_) | None => return Self::Other,
        };
        let uid = if before.is_empty() { uid.to_owned() } else { uid.replace('_', "-") };
        let is_uid = matches!(uid.len(), 32 | 36)
            && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if is_uid { Self::Pod(Uid(uid)) } else { Self::Other }
    }
}

impl ContainerId {
    /// As `status.containerStatuses[].containerID` has it: `containerd://<id>`.
    pub fn of_status(text: &str) -> Option<Self> {
        let (_, id) = text.split_once("://")?;
        (!id.is_empty()).then(|| Self(id.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "2b6c6f6e-1d5f-4a3c-9d53-0f3b9f1c2d3e";
    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_of_all_runtimes_and_drivers_are_known() {
        let check = |name: &str, expected: Name| assert_eq!(Name::parse(name), expected, "{name}");
        let (pod, container) =
            (Name::Pod(Uid(UID.into())), Name::Container(ContainerId(ID.into())));
        let systemd = UID.replace('-', "_");
        check(&format!("pod{UID}"), pod.clone());
        check(&format!("kubepods-burstable-pod{systemd}.slice"), pod.clone());
        check(&format!("kubepods-pod{systemd}.slice"), pod.clone());
        check(&format!("kubelet-kubepods-besteffort-pod{systemd}.slice"), pod);
        check("pod0123456789abcdef0123456789abcdef", {
            Name::Pod(Uid("0123456789abcdef0123456789abcdef".into()))
        });
        check(ID, container.clone());
        check(&format!("cri-containerd-{ID}.scope"), container.clone());
        check(&format!("crio-{ID}.scope"), container.clone());
        check(&format!("docker-{ID}.scope"), container);
        for other in ["kubepods", "kubepods.slice", "burstable", "", "pod", "podx", "init.scope"] {
            check(other, Name::Other);
        }
        check(&format!("crio-conmon-{ID}.scope"), Name::Other);
    }

    #[test]
    fn a_status_names_the_runtime_first() {
        assert_eq!(ContainerId::of_status("containerd://ab"), Some(ContainerId("ab".into())));
        assert_eq!(ContainerId::of_status(""), None);
    }
}
