//! Which nodes stay when not all can: the failed, the critical and the long, each under its parent.
//!
//! What does not stay is summed up where it was, so that every span is still counted once.

use std::collections::BinaryHeap;
use std::sync::Arc;

use super::fold::Folded;
use super::forest::{Forest, PerSlot, Slot};
use super::node::{Kind, Node, Tally};
use super::outcome::Outcome;

#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) rows: usize,
    /// Nodes deeper than this are summed up in the one above them.
    pub(super) depth: usize,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Rank {
    Ordinary,
    Marked,
}

/// `is_marked` are the nodes of `all` to prefer next to the failed ones. The result has at most
/// `room.rows + 1` nodes: one choice may need a row for itself and one for the siblings left out.
pub(super) fn select(all: &Folded, is_marked: impl Fn(Slot) -> bool, room: Room) -> Folded {
    let forest = &all.forest;
    let totals = totals(forest);
    let mut chosen: PerSlot<bool> = PerSlot::filled(forest.nodes.len());
    // Children of a node, or roots, that are not chosen yet; and how many rows all this takes.
    let mut left: PerSlot<usize> = PerSlot::filled(forest.nodes.len());
    let mut left_roots = forest.roots.len();
    let mut rows = 0_usize;
    let mut open = BinaryHeap::new();
    let offer = |open: &mut BinaryHeap<_>, slots: &[Slot], depth: usize| {
        for &slot in slots {
            let Some(node) = forest.nodes.get(slot) else { continue };
            let is_first_rank = totals.at(slot).failed > 0 || is_marked(slot);
            let rank = if is_first_rank { Rank::Marked } else { Rank::Ordinary };
            // Breadth before depth: a chain must not take all the room.
            let weight = node.busy.as_nanos() / (1 + depth as u128);
            open.push((rank, weight, std::cmp::Reverse(slot), depth));
        }
    };
    offer(&mut open, &forest.roots, 0);
    while rows < room.rows {
        let Some((_, _, std::cmp::Reverse(slot), depth)) = open.pop() else { break };
        chosen.set(slot, true);
        let parent = forest.parents.at(slot);
        let siblings = forest.below(parent).len();
        let left_here = match parent {
            Some(parent) => left.get_mut(parent),
            None => Some(&mut left_roots),
        };
        if let Some(left_here) = left_here {
            // The row that sums up the others comes with the first choice, goes with the last.
            let is_first = *left_here == siblings;
            *left_here = left_here.saturating_sub(1);
            rows += 1 + usize::from(is_first && *left_here > 0);
            rows -= usize::from(!is_first && *left_here == 0);
        }
        let children = forest.children(slot);
        left.set(slot, children.len());
        if depth < room.depth {
            offer(&mut open, children, depth + 1);
        }
    }
    cut(all, &chosen, &totals)
}

/// Of each node with all that is below it.
fn totals(forest: &Forest) -> PerSlot<Tally> {
    let mut totals: PerSlot<Tally> = PerSlot::filled(forest.nodes.len());
    for &slot in forest.preorder.iter().rev() {
        let Some(node) = forest.nodes.get(slot) else { continue };
        let mut total = node.all();
        for child in forest.children(slot) {
            total.add(totals.at(*child));
        }
        totals.set(slot, total);
    }
    totals
}

fn cut(all: &Folded, chosen: &PerSlot<bool>, totals: &PerSlot<Tally>) -> Folded {
    let mut nodes: PerSlot<Node> = PerSlot::default();
    let mut parents = PerSlot::default();
    let mut members = PerSlot::default();
    let mut work: Vec<(Option<Slot>, Option<Slot>)> = vec![(None, None)];
    while let Some((old, new)) = work.pop() {
        let below = all.forest.below(old);
        let (mut shown, mut hidden): (Vec<Slot>, Vec<Slot>) =
            below.iter().partition(|slot| chosen.at(**slot));
        if shown.is_empty() && new.is_some() {
            if let Some(node) = new.and_then(|new| nodes.get_mut(new)) {
                hidden.iter().for_each(|slot| node.inside.add(totals.at(*slot)));
            }
            continue;
        }
        // A row that sums up one other row is no shorter than that row.
        if hidden.len() == 1 {
            shown.append(&mut hidden);
        }
        for slot in shown {
            let Some(node) = all.forest.nodes.get(slot) else { continue };
            let kept = nodes.push(node.clone());
            parents.push(new);
            members.push(all.members.get(slot).cloned().unwrap_or_default());
            work.push((Some(slot), Some(kept)));
        }
        if let Some(rest) = rest(&all.forest, &hidden, totals) {
            nodes.push(rest);
            parents.push(new);
            let lists = hidden.iter().filter_map(|slot| all.members.get(*slot));
            members.push(lists.flatten().copied().collect());
        }
    }
    Folded { forest: Forest::assemble(nodes, parents), members }
}

fn rest(forest: &Forest, hidden: &[Slot], totals: &PerSlot<Tally>) -> Option<Node> {
    let (first, others) = hidden.split_first()?;
    let name: Arc<str> = Arc::from("");
    let bare = |slot: Slot| {
        let node = forest.nodes.get(slot)?;
        let mut bare = Node { name: name.clone(), label: name.clone(), ..node.clone() };
        let total = totals.at(slot);
        bare.inside = Tally {
            spans: total.spans.saturating_sub(node.own.spans),
            failed: total.failed.saturating_sub(node.own.failed),
        };
        Some(bare)
    };
    let mut rest = bare(*first)?;
    rest.kind = Kind::Rest;
    rest.outcome = Outcome::Success;
    others.iter().filter_map(|slot| bare(*slot)).for_each(|node| rest.absorb(&node));
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::fold;
    use super::super::tests::{process, random_spans};
    use super::*;

    fn check(nodes: Vec<Node>, room: Room) -> Folded {
        let spans = nodes.len();
        let all = fold::unfolded(&Forest::plant(nodes));
        let some = select(&all, |_| false, room);
        let mut counted = Tally::default();
        for slot in some.forest.nodes.slots() {
            counted.add(some.forest.nodes.get(slot).unwrap().all());
        }
        assert_eq!(counted.spans, spans as u64);
        assert!(some.forest.nodes.len() <= room.rows.max(1) + 1, "{}", some.forest.nodes.len());
        some
    }

    #[test]
    fn every_span_is_counted_whatever_the_room() {
        for seed in 0..50 {
            for rows in [0, 1, 2, 7, 40, 1000] {
                let nodes = random_spans(seed, 120).iter().map(Node::of).collect();
                check(nodes, Room { rows, depth: 4 });
            }
        }
    }

    #[test]
    fn a_failure_deep_down_is_preferred_to_what_took_long() {
        let mut spans = vec![process(1, 0, "root", 0..1000)];
        spans.extend((2..100).map(|id| process(id, 1, &format!("long{id}"), 0..900)));
        spans.push(process(200, 1, "short", 0..2));
        spans.push(process(201, 200, "broken", 0..1));
        spans
            .last_mut()
            .unwrap()
            .attributes
            .push(crate::span::Attribute::new(crate::span::key::PROCESS_EXIT_CODE, 1_i64));
        let some =
            check(spans.iter().map(Node::of).collect(), Room { rows: 10, depth: usize::MAX });
        let is_here = |slot| &*some.forest.nodes.get(slot).unwrap().name == "broken";
        assert!(some.forest.nodes.slots().any(is_here));
    }
}
