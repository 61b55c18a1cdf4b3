//! The last of a kind: what is remembered as long as it may be asked for.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

/// How many are remembered; the oldest are forgotten first.
const MAX_RECENT: usize = 16 * 1024;

/// The last so many that were inserted.
#[derive(Debug)]
pub(super) struct Recent<T> {
    members: HashSet<T>,
    /// Oldest first; every member is in it.
    order: VecDeque<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { members: HashSet::new(), order: VecDeque::new() }
    }
}

impl<T: Copy + Eq + Hash> Recent<T> {
    pub(super) fn insert(&mut self, member: T) {
        if self.members.insert(member) {
            self.order.push_back(member);
        }
        if self.order.len() > MAX_RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.members.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, member: &T) {
        if self.members.remove(member) {
            self.order.retain(|one| one != member);
        }
    }

    pub(super) fn contains(&self, member: &T) -> bool {
        self.members.contains(member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_remembered_and_no_more() {
        let mut recent = Recent::default();
        (0..20_000).for_each(|one| recent.insert(one));
        assert_eq!((recent.members.len(), recent.order.len()), (MAX_RECENT, MAX_RECENT));
        assert!(recent.contains(&19_999) && !recent.contains(&0));
    }
}
