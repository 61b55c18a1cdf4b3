//! The critical path: what the run was waiting for, at each moment, followed back from its end.
//!
//! From the end of a span one walks back to the child that ended last before, which is what the
//! span was waiting for, goes through that child in the same way, and goes on from its start. A child that
//! was told to end, with others begun and ended beside it, was in the background and is left out.

use super::forest::{Forest, PerSlot, Slot};
use super::node::{Node, Origin};
use super::outcome::Outcome;
use crate::span::UnixNanos;

/// How many groups of one parent are looked at for one gap.
const MOST_GROUPS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: UnixNanos,
    /// `from <= to`.
    pub(super) to: UnixNanos,
}

/// When the run waited for a node, and for nothing below it.
#[derive(Debug, Clone)]
pub(super) struct Waited {
    /// With what is below it.
    pub(super) whole: Window,
    /// Latest first; within `whole`.
    pub(super) own: Vec<Window>,
}

/// `None` off the path.
pub(super) type Path = PerSlot<Option<Waited>>;

pub(super) fn path(forest: &Forest) -> Path {
    let mut path: Path = PerSlot::filled(forest.nodes.len());
    let is_entry =
        |slot: &Slot| forest.nodes.get(*slot).is_some_and(|node| node.origin == Origin::Entry);
    let mut entries: Vec<Slot> = forest.roots.iter().copied().filter(is_entry).collect();
    if entries.is_empty() {
        entries.clone_from(&forest.roots);
    }
    let ends = entries.iter().filter_map(|slot| forest.nodes.get(*slot));
    let Some(whole) = ends
        .map(|node| Window { from: node.start, to: node.end })
        .reduce(|a, b| Window { from: a.from.min(b.from), to: a.to.max(b.to) })
    else {
        return path;
    };
    let mut work = Vec::new();
    walk(forest, None, &entries, whole, &mut work);
    // No node is walked twice: each is the child of one parent, taken at most once from it.
    while let Some((slot, window)) = work.pop() {
        let parent = forest.nodes.get(slot);
        let own = walk(forest, parent, forest.children(slot), window, &mut work);
        path.set(slot, Some(Waited { whole: window, own }));
    }
    path
}

/// Gives `work` the children waited for within the window; returns the time between them.
fn walk(
    forest: &Forest,
    parent: Option<&Node>,
    children: &[Slot],
    within: Window,
    work: &mut Vec<(Slot, Window)>,
) -> Vec<Window> {
    let mut singles = Vec::new();
    let mut groups = Vec::new();
    for &slot in children {
        let Some(node) = forest.nodes.get(slot) else { continue };
        if node.is_single() { singles.push((slot, node)) } else { groups.push((slot, node, None)) }
    }
    // Of those that end together the one that started first explains more.
    singles.sort_by_key(|(slot, node)| (std::cmp::Reverse(node.end), node.start, *slot));
    groups.sort_by_key(|(slot, node, _)| (std::cmp::Reverse(node.busy), *slot));
    // What a parent was ended with, it may have waited for.
    if !parent.is_some_and(was_told_to_end) {
        let besides: Vec<&Node> = groups.iter().map(|(_, node, _)| *node).collect();
        drop_background(&mut singles, &besides);
    }
    groups.truncate(MOST_GROUPS);

    let mut own = Vec::new();
    let mut at = within.to;
    for (slot, node) in singles {
        if node.end > at {
            continue;
        }
        if at <= within.from || node.end < within.from {
            break;
        }
        own.push(Window { from: node.end, to: at });
        at = node.start.max(within.from);
        work.push((slot, Window { from: at, to: node.end }));
    }
    own.push(Window { from: within.from, to: at });
    own.retain(|gap| gap.from < gap.to);

    let own = share_out(own, &mut groups);
    work.extend(groups.into_iter().filter_map(|(slot, _, taken)| Some((slot, taken?))));
    own
}

/// Whether another process ended it: by SIGHUP, SIGINT, SIGKILL or SIGTERM (signal(7)).
fn was_told_to_end(node: &Node) -> bool {
    matches!(node.outcome, Outcome::Signal(1 | 2 | 9 | 15))
}

/// Drops what was told to end after others had begun and ended: whoever did that had waited for those. The
/// latest end is first.
fn drop_background(singles: &mut Vec<(Slot, &Node)>, groups: &[&Node]) {
    let mut latest_start = None;
    singles.reverse();
    singles.retain(|(_, node)| {
        let contains = |other: &&Node| other.start >= node.start && other.end <= node.end;
        let has_others = latest_start >= Some(node.start) || groups.iter().any(contains);
        latest_start = latest_start.max(Some(node.start));
        !(has_others && was_told_to_end(node))
    });
    singles.reverse();
}

/// When each member of a group ran is not known: it gets the gaps in which one had room. What is
/// left of the gaps is returned.
fn share_out(gaps: Vec<Window>, groups: &mut [(Slot, &Node, Option<Window>)]) -> Vec<Window> {
    let mut left = Vec::with_capacity(gaps.len());
    for gap in gaps {
        let shared =
            |node: &Node| node.end.min(gap.to).0.saturating_sub(node.start.max(gap.from).0);
        let best = groups
            .iter_mut()
            .filter(|(_, node, _)| {
                let mean = node.busy.as_nanos() / u128::from(node.own.spans.max(1));
                u128::from(shared(node)) >= mean.max(1)
            })
            .max_by_key(|(_, node, _)| (shared(node), node.busy));
        let Some((_, node, taken)) = best else {
            left.push(gap);
            continue;
        };
        let clipped = Window { from: gap.from.max(node.start), to: gap.to.min(node.end) };
        let earlier = taken.get_or_insert(clipped);
        earlier.from = earlier.from.min(clipped.from);
        earlier.to = earlier.to.max(clipped.to);
        left.push(Window { from: clipped.to, to: gap.to });
        left.push(Window { from: gap.from, to: clipped.from });
    }
    left.retain(|gap| gap.from < gap.to);
    left
}

#[cfg(test)]
mod tests {
    use super::super::tests::{process, with};
    use super::*;
    use crate::span::{Span, key};

    fn check(spans: &[Span], expected: &[(&str, &[(u64, u64)])]) {
        let forest = Forest::plant(spans.iter().map(Node::of).collect());
        let path = path(&forest);
        let mut found = Vec::new();
        for &slot in &forest.preorder {
            if let Some(Some(waited)) = path.get(slot) {
                let windows: Vec<_> = waited.own.iter().map(|w| (w.from.0, w.to.0)).collect();
                found.push((&*forest.nodes.get(slot).unwrap().name, windows));
            }
        }
        let expected: Vec<_> = expected.iter().map(|(name, list)| (*name, list.to_vec())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn it_goes_back_through_what_ended_last() {
        check(
            &[
                process(1, 0, "root", 0..100),
                process(2, 1, "first", 10..40),
                process(3, 1, "beside", 5..30),
                process(4, 1, "second", 45..90),
                process(5, 4, "inner", 50..80),
                process(6, 1, "daemon", 20..200),
            ],
            &[
                ("root", &[(90, 100), (40, 45), (0, 10)]),
                ("first", &[(10, 40)]),
                ("second", &[(80, 90), (45, 50)]),
                ("inner", &[(50, 80)]),
            ],
        );
    }

    #[test]
    fn a_child_that_outlives_its_parent_was_not_waited_for() {
        check(
            &[process(1, 0, "root", 0..100), process(2, 1, "daemon", 0..101)],
            &[("root", &[(0, 100)])],
        );
    }

    #[test]
    fn what_was_told_to_end_beside_others_was_in_the_background() {
        let ended = |time, signal| with(process(2, 1, "killed", time), key::SIGNAL, signal);
        let killed = |time| ended(time, 15);
        let root = process(1, 0, "root", 0..100);
        let one = process(3, 1, "one", 30..60);
        check(
            &[root.clone(), killed(10..90), one.clone()],
            &[("root", &[(60, 100), (0, 30)]), ("one", &[(30, 60)])],
        );
        // As `timeout` does with what it waits for.
        check(
            &[root.clone(), killed(10..90)],
            &[("root", &[(90, 100), (0, 10)]), ("killed", &[(10, 90)])],
        );
        let after = [
            ("root", &[(90, 100), (60, 70), (0, 30)][..]),
            ("one", &[(30, 60)]),
            ("killed", &[(70, 90)]),
        ];
        check(&[root.clone(), killed(70..90), one.clone()], &after);
        // One that crashed, and one that was ended together with its parent.
        let waited = [("root", &[(90, 100), (0, 10)][..]), ("killed", &[(10, 90)])];
        check(&[root.clone(), ended(10..90, 11), one.clone()], &waited);
        check(&[with(root, key::SIGNAL, 15), killed(10..90), one], &waited);
    }

    #[test]
    fn a_group_gets_the_gaps_that_a_member_had_room_in() {
        let mut many = Node::of(&process(3, 1, "many", 10..60));
        many.own.spans = 5;
        let spans = [process(1, 0, "root", 0..100), process(2, 1, "one", 20..30)];
        let forest = Forest::plant(spans.iter().map(Node::of).chain([many]).collect());
        let path = path(&forest);
        let own = |slot| path.get(slot).unwrap().as_ref().map(|waited| waited.own.clone());
        let times = |from, to| Window { from: UnixNanos(from), to: UnixNanos(to) };
        assert_eq!(own(Slot(0)), Some(vec![times(60, 100), times(0, 10)]));
        assert_eq!(own(Slot(2)), Some(vec![times(10, 60)]));
    }

    #[test]
    fn without_an_entry_the_orphans_are_walked() {
        check(
            &[process(1, 9, "a", 0..10), process(2, 8, "b", 20..30)],
            &[("a", &[(0, 10)]), ("b", &[(20, 30)])],
        );
    }
}
