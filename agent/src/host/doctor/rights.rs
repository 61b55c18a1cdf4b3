//! Which capabilities this process has (capabilities(7)).

use std::fs;

/// Number of a capability (include/uapi/linux/capability.h) and its name.
pub(super) type Capability = (u32, &'static str);

pub(super) const DAC_READ_SEARCH: Capability = (2, "CAP_DAC_READ_SEARCH");
pub(super) const SYS_PTRACE: Capability = (19, "CAP_SYS_PTRACE");
pub(super) const SYS_ADMIN: Capability = (21, "CAP_SYS_ADMIN");
pub(super) const SYS_RESOURCE: Capability = (24, "CAP_SYS_RESOURCE");
pub(super) const PERFMON: Capability = (38, "CAP_PERFMON");
pub(super) const BPF: Capability = (39, "CAP_BPF");

/// The effective set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rights(u64);

impl Rights {
    #[cfg(test)]
    pub(super) const NONE: Self = Self(0);

    pub(super) fn of_this_process() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default())
    }

    pub(super) fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }

    /// Those of `wanted` that are missing; `CAP_SYS_ADMIN` stands for `CAP_BPF` and `CAP_PERFMON`.
    pub(super) fn missing(self, wanted: &[Capability]) -> Vec<&'static str> {
        let stands_for =
            |capability: Capability| [BPF, PERFMON].contains(&capability) && self.has(SYS_ADMIN);
        let missing = wanted.iter().filter(|each| !self.has(**each) && !stands_for(**each));
        missing.map(|(_, name)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sys_admin_stands_for_the_newer_two_only() {
        let rights = Rights(1 << SYS_ADMIN.0);
        assert_eq!(rights.missing(&[BPF, PERFMON, SYS_PTRACE]), ["CAP_SYS_PTRACE"]);
        assert_eq!(Rights::NONE.missing(&[BPF]), ["CAP_BPF"]);
    }
}
