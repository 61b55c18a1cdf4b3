//! Nodes and who is below whom, for any parent ids at all: unknown, repeated, or in a circle.
//!
//! Every walk over it is a loop over `preorder` or over a stack: a trace may nest 100 000 deep.

use std::collections::HashMap;

use super::node::Node;

/// A place in one forest; of no meaning in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot(pub(super) usize);

/// One `T` for each slot. A slot of another forest finds nothing rather than panics.
#[derive(Debug)]
pub(super) struct PerSlot<T>(Vec<T>);

impl<T> PerSlot<T> {
    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        self.0.get(slot.0)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.0.get_mut(slot.0)
    }

    pub(super) fn push(&mut self, value: T) -> Slot {
        self.0.push(value);
        Slot(self.0.len() - 1)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + use<T> {
        (0..self.0.len()).map(Slot)
    }

    pub(super) fn set(&mut self, slot: Slot, value: T) {
        if let Some(place) = self.get_mut(slot) {
            *place = value;
        }
    }
}

impl<T: Clone + Default> PerSlot<T> {
    pub(super) fn filled(length: usize) -> Self {
        Self(vec![T::default(); length])
    }
}

impl<T: Copy + Default> PerSlot<T> {
    pub(super) fn at(&self, slot: Slot) -> T {
        self.get(slot).copied().unwrap_or_default()
    }
}

impl<T> Default for PerSlot<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[derive(Debug, Default)]
pub(super) struct Forest {
    pub(super) nodes: PerSlot<Node>,
    pub(super) parents: PerSlot<Option<Slot>>,
    children: PerSlot<Vec<Slot>>,
    /// By start, as the children of every node are.
    pub(super) roots: Vec<Slot>,
    /// Each node once, above all that is below it; backwards, below all that is above it.
    pub(super) preorder: Vec<Slot>,
}

impl Forest {
    /// From the ids alone. The first of two nodes with one id gets the children of both.
    pub(super) fn plant(nodes: Vec<Node>) -> Self {
        let nodes = PerSlot(nodes);
        let mut by_id = HashMap::with_capacity(nodes.len());
        for slot in nodes.slots() {
            if let Some(node) = nodes.get(slot) {
                by_id.entry(node.id).or_insert(slot);
            }
        }
        let named = nodes.0.iter().map(|node| by_id.get(&node.parent?).copied());
        let mut parents = PerSlot(named.collect());
        break_circles(&mut parents);
        Self::assemble(nodes, parents)
    }

    /// `parents` has no circle in it.
    pub(super) fn assemble(nodes: PerSlot<Node>, parents: PerSlot<Option<Slot>>) -> Self {
        let mut by_start: Vec<Slot> = nodes.slots().collect();
        // Of two that start together the longer stands first: it is the likelier cause.
        by_start.sort_by_cached_key(|slot| {
            nodes.get(*slot).map(|node| (node.start, std::cmp::Reverse(node.end), node.id))
        });
        let mut children: PerSlot<Vec<Slot>> = PerSlot::filled(nodes.len());
        let mut roots = Vec::new();
        for slot in by_start {
            match parents.at(slot).and_then(|parent| children.get_mut(parent)) {
                Some(siblings) => siblings.push(slot),
                None => roots.push(slot),
            }
        }
        let mut preorder = Vec::with_capacity(nodes.len());
        let mut open: Vec<Slot> = roots.iter().rev().copied().collect();
        while let Some(slot) = open.pop() {
            preorder.push(slot);
            open.extend(children.get(slot).into_iter().flatten().rev());
        }
        Self { nodes, parents, children, roots, preorder }
    }

    pub(super) fn children(&self, slot: Slot) -> &[Slot] {
        self.children.get(slot).map_or(&[], Vec::as_slice)
    }

    /// The siblings below `slot`, or the roots.
    pub(super) fn below(&self, slot: Option<Slot>) -> &[Slot] {
        slot.map_or(self.roots.as_slice(), |slot| self.children(slot))
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes.0
    }
}

/// Makes one node of each circle a root. Linear: no node is walked over twice.
fn break_circles(parents: &mut PerSlot<Option<Slot>>) {
    // The walk in which a node was first met; 0 is none.
    let mut met: PerSlot<usize> = PerSlot::filled(parents.len());
    for slot in parents.slots() {
        let walk = slot.0 + 1;
        let mut at = slot;
        while met.at(at) == 0 {
            met.set(at, walk);
            match parents.at(at) {
                Some(parent) if met.at(parent) == walk => parents.set(at, None),
                Some(parent) => at = parent,
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_circle_gets_one_root() {
        let check = |parents: &[Option<usize>], expected: usize| {
            let mut parents = PerSlot(parents.iter().map(|parent| parent.map(Slot)).collect());
            break_circles(&mut parents);
            assert_eq!(parents.0.iter().filter(|parent| parent.is_none()).count(), expected);
        };
        check(&[Some(0)], 1);
        check(&[Some(1), Some(0)], 1);
        check(&[Some(1), Some(2), Some(0), Some(0), None], 2);
        check(&[None, Some(0), Some(1)], 1);
        check(&[Some(1), Some(0), Some(3), Some(2)], 2);
    }
}
