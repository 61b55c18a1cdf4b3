//! Which requests of a client's connection are told, by their numbers, which grow: all of a run of them, from
//! its first to its last, by one program.

use std::collections::VecDeque;

use crate::event::TaskId;

/// What is before so many gaps is forgotten, and counts as not told.
const MAX_RUNS: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    last: u64,
    owner: TaskId,
}

#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Oldest first. None is empty, and none overlaps another.
    runs: VecDeque<Run>,
    /// Something before the next may not have been seen.
    is_broken: bool,
}

impl Runs {
    /// This one is told, below its owner, and so is all since the one before it, unless that is broken.
    pub(super) fn insert(&mut self, ordinal: u64, owner: TaskId) {
        let is_broken = std::mem::take(&mut self.is_broken);
        match self.runs.back_mut() {
            Some(run) if run.last >= ordinal => return,
            Some(run) if run.owner == owner && !is_broken => {
                run.last = ordinal;
                return;
            }
            Some(_) | None => {}
        }
        if self.runs.len() >= MAX_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(Run { first: ordinal, last: ordinal, owner });
    }

    /// As [`Self::insert`], of numbers of which none is left out.
    pub(super) fn insert_next(&mut self, ordinal: u64, owner: TaskId) {
        if self.latest().is_none_or(|latest| latest + 1 != ordinal) {
            self.breaks();
        }
        self.insert(ordinal, owner);
    }

    /// Requests may have been missed behind the last.
    pub(super) fn breaks(&mut self) {
        self.is_broken = true;
    }

    fn latest(&self) -> Option<u64> {
        self.runs.back().map(|run| run.last)
    }

    /// Whose it is, where it is told. `None` where that is not known yet.
    pub(super) fn owner(&self, ordinal: u64) -> Option<Option<TaskId>> {
        if self.latest()? < ordinal {
            return None;
        }
        let run = self.runs.iter().rev().find(|run| run.first <= ordinal);
        Some(run.filter(|run| ordinal <= run.last).map(|run| run.owner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::task;

    fn check(runs: &Runs, ordinal: u64, expected: Option<Option<u32>>) {
        let found = runs.owner(ordinal).map(|owner| owner.map(|owner| owner.pid));
        assert_eq!(found, expected, "{ordinal} of {runs:?}");
    }

    #[test]
    fn what_is_between_two_of_a_run_is_told() {
        let mut runs = Runs::default();
        check(&runs, 1, None);
        for ordinal in [3, 7] {
            runs.insert(ordinal, task(1));
        }
        runs.breaks();
        runs.insert(11, task(1));
        runs.insert(13, task(2));
        for (ordinal, owner) in [(1, None), (3, Some(1)), (5, Some(1)), (9, None), (11, Some(1))] {
            check(&runs, ordinal, Some(owner));
        }
        check(&runs, 12, Some(None));
        check(&runs, 13, Some(Some(2)));
        check(&runs, 15, None);
    }

    #[test]
    fn a_number_that_is_left_out_is_not_told() {
        let mut runs = Runs::default();
        for ordinal in [1, 2, 5] {
            runs.insert_next(ordinal, task(1));
        }
        for (ordinal, owner) in [(1, Some(1)), (2, Some(1)), (3, None), (4, None), (5, Some(1))] {
            check(&runs, ordinal, Some(owner));
        }
    }

    #[test]
    fn so_many_runs_are_remembered_and_no_more() {
        let mut runs = Runs::default();
        (1..=2 * MAX_RUNS as u64).for_each(|ordinal| runs.insert_next(10 * ordinal, task(1)));
        assert_eq!(runs.runs.len(), MAX_RUNS);
        check(&runs, 10, Some(None));
    }
}
