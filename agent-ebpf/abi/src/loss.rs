//! What the kernel side counts, each a slot of the per-CPU map `COUNTS`.
//!
//! `SEEN = EMITTED + LOST_RING_FULL + LOST_TASKS_FULL + LOST_CONNECTIONS_FULL` at any quiet moment.

/// Slot of a count in the map `COUNTS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Count(pub u32);

impl Count {
    /// Records that were wanted.
    pub const SEEN: Self = Self(0);
    /// Records that reached the ring.
    pub const EMITTED: Self = Self(1);
    /// Records that found no room in the ring.
    pub const LOST_RING_FULL: Self = Self(2);
    /// Forks of traced processes that found no room in `TASKS`: the child is not traced.
    pub const LOST_TASKS_FULL: Self = Self(3);
    /// Arguments or environments that the process's memory did not give: the record came without.
    pub const CUT_UNREADABLE: Self = Self(4);
    /// Connections that found no room in `CONNECTIONS`: what is said on them is not seen.
    pub const LOST_CONNECTIONS_FULL: Self = Self(5);
    /// TCP connections whose first bytes are none of HTTP: TLS, or something else. No record is lost.
    pub const NOT_HTTP: Self = Self(6);
    /// Execs, and ends of forks that executed nothing, beyond what their pod gets in a second. They are not
    /// among those that were seen.
    pub const LIMITED: Self = Self(7);
    /// Programs that were executed where processes are traced, while nobody read the ring: likewise.
    pub const UNREAD: Self = Self(8);
    /// Bytes of messages that the process's memory did not give: their connections are not followed any
    /// more.
    pub const HEADS_UNREADABLE: Self = Self(9);
    /// How many slots there are.
    pub const SLOTS: u32 = 10;
}
