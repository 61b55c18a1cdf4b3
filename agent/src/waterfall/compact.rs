//! The nodes of a trace within a bound on their number, while spans keep coming.
//!
//! Spans arrive as they end, so children come before their parents, and some parents never. Past
//! the bound what repeats folds, as it would when drawn; what is long stays apart as long as it
//! can, for the critical path. Nothing is dropped: a span without a node is counted in one.

use std::collections::HashMap;
use std::time::Duration;

use super::fold::{Alike, Folded, Orphans, fold};
use super::forest::Forest;
use super::node::{Node, Tally};
use super::select::{Room, select};
use crate::id::SpanId;

/// Below this there is no room for a tree.
const SMALLEST_LIMIT: usize = 16;
/// How often a span's parent may have become another's.
const MOST_MOVES: usize = 16;

#[derive(Debug)]
pub(super) struct Collection {
    limit: usize,
    /// `nodes.len() <= limit`.
    nodes: Vec<Node>,
    moved: Moved,
    pub(super) total: Tally,
    pub(super) forks: u64,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Each span has a node of its own.
    Exact,
    /// The limit was met: some are folded, and when each of those ran is not known any more.
    Compacted,
}

/// Which node took in the span of an id, for its children that are still to come. It knows of the
/// last two compactions, at most `2 * limit` ids: the children of older ones hang at the root.
#[derive(Debug, Default)]
struct Moved {
    young: HashMap<SpanId, SpanId>,
    old: HashMap<SpanId, SpanId>,
}

impl Collection {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(SMALLEST_LIMIT),
            nodes: Vec::new(),
            moved: Moved::default(),
            total: Tally::default(),
            forks: 0,
            state: State::Exact,
        }
    }

    pub(super) fn push(&mut self, mut node: Node) {
        self.total.add(node.own);
        self.forks = self.forks.saturating_add(node.forks);
        if self.nodes.len() >= self.limit {
            self.compact();
        }
        // After that: the parent may have moved just now.
        node.parent = node.parent.map(|parent| self.moved.resolve(parent));
        self.nodes.push(node);
    }

    pub(super) fn forest(&self) -> Forest {
        Forest::plant(self.nodes.clone())
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Leaves at most half of the limit, so that the work is constant for each span pushed.
    fn compact(&mut self) {
        self.state = State::Compacted;
        self.moved.age();
        let spared = nth_longest(self.nodes.iter(), self.limit / 4);
        let goal = self.limit / 2;
        for (alike, spared) in [(Alike::ByShape, spared), (Alike::ByName, Duration::MAX)] {
            let before = Forest::plant(std::mem::take(&mut self.nodes));
            let folded = fold(&before, alike, Orphans::ByParent, spared);
            self.remember(&before, &folded);
            self.nodes = folded.forest.into_nodes();
            if self.nodes.len() <= goal {
                return;
            }
        }
        // Nothing is alike: the shortest lose their rows.
        let before = Forest::plant(std::mem::take(&mut self.nodes));
        let all = fold(&before, Alike::ByName, Orphans::ByParent, Duration::MAX);
        let room = Room { rows: goal.saturating_sub(1), depth: usize::MAX };
        let kept = select(&all, |_| false, room);
        self.nodes = by_id(kept);
    }

    fn remember(&mut self, before: &Forest, folded: &Folded) {
        for slot in folded.members.slots() {
            let Some(group) = folded.forest.nodes.get(slot) else { continue };
            for member in folded.members.get(slot).into_iter().flatten() {
                match before.nodes.get(*member) {
                    Some(node) if node.id != group.id => {
                        self.moved.young.insert(node.id, group.id);
                    }
                    Some(_) | None => {}
                }
            }
        }
    }
}

impl Moved {
    fn age(&mut self) {
        self.old = std::mem::take(&mut self.young);
    }

    fn resolve(&self, mut id: SpanId) -> SpanId {
        for _ in 0..MOST_MOVES {
            match self.young.get(&id).or_else(|| self.old.get(&id)) {
                Some(next) => id = *next,
                None => break,
            }
        }
        id
    }
}

/// At most `n` of the nodes are longer.
pub(super) fn nth_longest<'a>(nodes: impl Iterator<Item = &'a Node>, n: usize) -> Duration {
    let mut lengths: Vec<Duration> = nodes.map(|node| node.longest).collect();
    if n >= lengths.len() {
        return Duration::ZERO;
    }
    let (_, nth, _) = lengths.select_nth_unstable_by(n, |a, b| b.cmp(a));
    *nth
}

/// The parents that `select` knows by place, written back as ids.
fn by_id(mut kept: Folded) -> Vec<Node> {
    let ids: Vec<Option<SpanId>> = (kept.forest.nodes.slots())
        .map(|slot| kept.forest.parents.at(slot))
        .map(|parent| parent.and_then(|parent| kept.forest.nodes.get(parent)).map(|node| node.id))
        .collect();
    for (slot, parent) in kept.forest.nodes.slots().zip(ids) {
        if let Some(node) = kept.forest.nodes.get_mut(slot) {
            node.parent = parent.or(node.parent);
        }
    }
    kept.forest.into_nodes()
}
