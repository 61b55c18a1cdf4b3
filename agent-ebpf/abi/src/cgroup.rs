//! Which control groups are traced, and what happens to them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{budget::Second, header::Header};

/// Longest name of a control group that is seen, bytes: `NAME_MAX` and a NUL.
pub const NAME_BYTES: usize = 256;

/// What becomes of the processes in a control group. One that is made in it takes it over. A number and no
/// enum, as in records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Policy(pub u32);

impl Policy {
    /// Its own processes are not traced; what is made in it is undecided.
    pub const WATCHED: Self = Self(1);
    /// Traced until user space decides.
    pub const UNDECIDED: Self = Self(2);
    /// Traced.
    pub const TRACED: Self = Self(3);
    /// Not traced.
    pub const IGNORED: Self = Self(4);

    /// Of a control group that is made in one with this policy.
    #[inline(always)]
    pub const fn inherited(self) -> Self {
        if self.0 == Self::WATCHED.0 { Self::UNDECIDED } else { self }
    }

    /// Whether a process that executes something there is traced from then on.
    #[inline(always)]
    pub const fn admits(self) -> bool {
        self.0 == Self::TRACED.0 || self.0 == Self::UNDECIDED.0
    }
}

/// Value of the map `CGROUPS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Group {
    /// What becomes of its processes.
    pub policy: Policy,
    #[doc(hidden)]
    pub _pad: u32,
    /// The one whose processes share the budget of a second: the pod's; 0 where none is limited.
    pub pod_id: u64,
}

impl Group {
    /// Of which no second is limited.
    pub const fn new(policy: Policy) -> Self {
        Self { policy, _pad: 0, pod_id: 0 }
    }

    /// The one with the id `cgroup_id`, which is made in one that has this policy and this pod.
    #[inline(always)]
    pub const fn child(parent: Policy, pod_id: u64, cgroup_id: u64) -> Self {
        let is_pod = parent.0 == Policy::WATCHED.0;
        let pod_id = if is_pod { cgroup_id } else { pod_id };
        Self { policy: parent.inherited(), _pad: 0, pod_id }
    }
}

/// Value of the map `RATES`: what is told of a control group.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rate {
    /// Of a pod's, in this second: execs, ends of forks that executed nothing, and requests of HTTP/1.
    pub second: Second,
    /// Execs beyond the limit, ever: what those processes did belongs to others, or is not told.
    pub execs: u64,
    /// Ends of such forks beyond the limit, ever.
    pub forks: u64,
}

/// A control group was made in one that is watched or decided. Followed by `name_len` bytes:
/// `kernfs_node.name` with its NUL.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Made {
    /// Kind [`CGROUP_MADE`](crate::header::Kind::CGROUP_MADE).
    pub header: Header,
    /// `kernfs_node.id`: on cgroup v2 what `bpf_get_current_cgroup_id` gives, and the number of the
    /// directory's inode.
    pub cgroup_id: u64,
    /// Of the one that it was made in.
    pub parent_id: u64,
    /// What it does with its processes.
    pub policy: Policy,
    /// Length of the name, with its NUL; 0 where it could not be read.
    pub name_len: u32,
}

/// Room for a [`Made`] and the longest name.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MadeRoom {
    /// The fixed part.
    pub made: Made,
    /// The name, and behind it anything.
    pub name: [u8; NAME_BYTES],
}

/// A control group was removed: nothing runs in it any more.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Gone {
    /// Kind [`CGROUP_GONE`](crate::header::Kind::CGROUP_GONE).
    pub header: Header,
    /// As in [`Made`].
    pub cgroup_id: u64,
}

/// Value of the map `NAMES`; the key is the control group's id.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Named {
    /// Of the one that it was made in.
    pub parent_id: u64,
    /// When it was found, `CLOCK_BOOTTIME`.
    pub found_ns: u64,
    /// The name, NUL-padded.
    pub name: [u8; NAME_BYTES],
}

const _: () = assert!(size_of::<Named>() == 16 + NAME_BYTES);
const _: () = assert!(size_of::<Group>() == 16);
const _: () = assert!(size_of::<Rate>() == 24);
const _: () = assert!(size_of::<Made>() == 40);
const _: () = assert!(size_of::<Gone>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_inherited() {
        assert_eq!(Policy::WATCHED.inherited(), Policy::UNDECIDED);
        for policy in [Policy::UNDECIDED, Policy::TRACED, Policy::IGNORED] {
            assert_eq!(policy.inherited(), policy);
        }
    }

    #[test]
    fn what_is_made_in_a_pod_shares_its_budget() {
        let pod = Group::child(Policy::WATCHED, 0, 7);
        assert_eq!((pod.pod_id, pod.policy), (7, Policy::UNDECIDED));
        let container = Group::child(Policy::TRACED, pod.pod_id, 8);
        assert_eq!((container.pod_id, container.policy), (7, Policy::TRACED));
        assert_eq!(Group::child(Policy::TRACED, 0, 9).pod_id, 0);
    }
}
