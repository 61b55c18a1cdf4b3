//! How many requests of a process get a span in one second. Those beyond are counted, not told.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const SECOND_NS: u64 = 1_000_000_000;
/// What the first digit of a status code may be, 1 to 5; and calls of gRPC that failed.
pub const CLASSES: usize = 6;
/// Which of them those calls are. User space counts them: their status is not known in the kernel.
pub const RPC_FAILED: usize = 5;

/// Requests that have no span, of one role of the process.
#[derive(
    Clone, Copy, PartialEq, Eq, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Untold {
    /// All of them.
    pub requests: u32,
    /// Those that were answered, by the first digit of the status code, or by their failure.
    pub by_class: [u32; CLASSES],
}

/// Requests of a process that have no span.
#[derive(
    Clone, Copy, PartialEq, Eq, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Beyond {
    /// When the first of them began, `CLOCK_BOOTTIME`; 0 where there is none.
    pub first_ns: u64,
    /// Received by the process, sent by it.
    pub ways: [Untold; 2],
}

/// How much began in a second.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Second {
    /// Which second.
    second: u32,
    /// What began in it.
    begun: u32,
}

impl Second {
    /// Nothing began yet.
    pub const NEW: Self = Self { second: 0, begun: 0 };

    /// Something begins.
    #[inline(always)]
    pub const fn begins(&mut self, now_ns: u64) {
        let second = second(now_ns);
        // What is told late counts as told now.
        if second > self.second {
            self.second = second;
            self.begun = 0;
        }
        self.begun = self.begun.saturating_add(1);
    }

    /// Something begins: whether it is one of at most so many in a second; 0 is no limit. What begins
    /// on several CPUs at the very same time may be one more each.
    #[inline(always)]
    pub const fn allows(&mut self, now_ns: u64, most: u32) -> bool {
        self.begins(now_ns);
        most == 0 || self.begun <= most
    }
}

/// What a process has left of its second.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Budget {
    /// Its requests.
    second: Second,
    /// What went beyond, ever.
    pub beyond: Beyond,
}

impl Budget {
    /// Nothing was asked yet.
    pub const NEW: Self = Self {
        second: Second::NEW,
        beyond: Beyond { first_ns: 0, ways: [Untold { requests: 0, by_class: [0; CLASSES] }; 2] },
    };

    /// A request begins.
    #[inline(always)]
    pub const fn begins(&mut self, now_ns: u64) {
        self.second.begins(now_ns);
    }

    /// A request begins: whether it gets a span, of at most so many in a second; 0 is no limit.
    #[inline(always)]
    pub const fn allows(&mut self, now_ns: u64, most: u32) -> bool {
        self.second.allows(now_ns, most)
    }

    /// A request begins that gets none.
    #[inline(always)]
    pub const fn goes_beyond(&mut self, now_ns: u64) {
        if self.beyond.first_ns == 0 {
            self.beyond.first_ns = now_ns;
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "136 years are enough")]
const fn second(now_ns: u64) -> u32 {
    (now_ns / SECOND_NS) as u32
}

impl Beyond {
    /// Puts what is `more` to it.
    pub fn add(&mut self, more: &Self) {
        if self.first_ns == 0 || (more.first_ns != 0 && more.first_ns < self.first_ns) {
            self.first_ns = more.first_ns;
        }
        for (sum, term) in self.ways.iter_mut().zip(&more.ways) {
            sum.requests = sum.requests.saturating_add(term.requests);
            for (sum, term) in sum.by_class.iter_mut().zip(term.by_class) {
                *sum = sum.saturating_add(term);
            }
        }
    }

    /// Whether there is nothing beyond.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.ways[0].requests == 0 && self.ways[1].requests == 0
    }
}

const _: () = assert!(size_of::<Beyond>() == 64);
const _: () = assert!(size_of::<Budget>() == 72);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_allowed_in_a_second_and_no_more() {
        let mut budget = Budget::NEW;
        let mut check = |now_ns, expected| {
            assert_eq!(budget.allows(now_ns, 2), expected, "{now_ns}");
        };
        check(5 * SECOND_NS, true);
        check(5 * SECOND_NS + 9, true);
        check(5 * SECOND_NS + 10, false);
        check(5 * SECOND_NS - 1, false);
        check(6 * SECOND_NS, true);
    }

    #[test]
    fn no_limit_allows_all() {
        let mut budget = Budget::NEW;
        assert!((0..10_000).all(|now_ns| budget.allows(now_ns, 0)));
    }
}
