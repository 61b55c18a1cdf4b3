//! Siblings that are alike become one node, and so do the things below them, level by level.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use super::forest::{Forest, PerSlot, Slot};
use super::node::{Kind, Node};
use crate::id::SpanId;

/// When two siblings are alike. The name and the outcome must always be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alike {
    /// The same names and outcomes are below them, however often each.
    ByShape,
    ByName,
}

/// What becomes of roots whose parents are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Orphans {
    /// They are siblings: the parents will not come.
    Together,
    /// Only those that wait for the same parent are.
    ByParent,
}

/// A forest, and which nodes of the forest before it each of its nodes stands for.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) forest: Forest,
    pub(super) members: PerSlot<Vec<Slot>>,
}

#[derive(Hash, PartialEq, Eq)]
struct Key {
    shape: u64,
    orphan_of: Option<SpanId>,
    alone: Option<Slot>,
}

/// Single spans longer than `spared` stay as they are.
pub(super) fn fold(forest: &Forest, alike: Alike, orphans: Orphans, spared: Duration) -> Folded {
    let shapes = shapes(forest, alike);
    let mut nodes: PerSlot<Node> = PerSlot::default();
    let mut parents = PerSlot::default();
    let mut members: PerSlot<Vec<Slot>> = PerSlot::default();
    // One entry is a set of siblings: the members' children, under the node they now share.
    let mut work = vec![(None, forest.roots.clone())];
    while let Some((above, siblings)) = work.pop() {
        let above_id = above.and_then(|above| nodes.get(above)).map(|node| node.id);
        let mut groups = HashMap::new();
        let mut made = Vec::new();
        for slot in siblings {
            let Some(node) = forest.nodes.get(slot) else { continue };
            let is_spared = node.is_single() && node.longest > spared;
            let key = Key {
                shape: shapes.at(slot),
                orphan_of: match (above, orphans) {
                    (None, Orphans::ByParent) => node.parent,
                    (None, Orphans::Together) | (Some(_), _) => None,
                },
                alone: is_spared.then_some(slot),
            };
            match groups.entry(key) {
                Entry::Occupied(group) => {
                    let group = *group.get();
                    if let (Some(into), Some(list)) = (nodes.get_mut(group), members.get_mut(group))
                    {
                        into.absorb(node);
                        list.push(slot);
                    }
                }
                Entry::Vacant(vacant) => {
                    let parent = above_id.or(node.parent);
                    let group = nodes.push(Node { parent, ..node.clone() });
                    parents.push(above);
                    members.push(vec![slot]);
                    vacant.insert(group);
                    made.push(group);
                }
            }
        }
        for group in made {
            let list = members.get(group).map_or(&[][..], Vec::as_slice);
            let mut below: Vec<Slot> =
                list.iter().flat_map(|member| forest.children(*member)).copied().collect();
            if list.len() > 1 {
                below.sort_by_key(|slot| forest.nodes.get(*slot).map(|node| node.start));
            }
            if !below.is_empty() {
                work.push((Some(group), below));
            }
        }
    }
    Folded { forest: Forest::assemble(nodes, parents), members }
}

/// Each node for itself.
pub(super) fn unfolded(forest: &Forest) -> Folded {
    let mut copy = Folded::default();
    let mut nodes = PerSlot::default();
    let mut parents = PerSlot::default();
    for slot in forest.nodes.slots() {
        if let Some(node) = forest.nodes.get(slot) {
            nodes.push(node.clone());
            parents.push(forest.parents.at(slot));
            copy.members.push(vec![slot]);
        }
    }
    copy.forest = Forest::assemble(nodes, parents);
    copy
}

/// Equal for nodes that are alike. Two that are not may collide, in one of 2⁶⁴: the row would
/// be called after the first, and its counts would still be right.
fn shapes(forest: &Forest, alike: Alike) -> PerSlot<u64> {
    let mut shapes: PerSlot<u64> = PerSlot::filled(forest.nodes.len());
    for &slot in forest.preorder.iter().rev() {
        let Some(node) = forest.nodes.get(slot) else { continue };
        let mut hash = DefaultHasher::new();
        node.kind.hash(&mut hash);
        match node.kind {
            Kind::Rest => {}
            Kind::Alike => (&node.name, node.outcome).hash(&mut hash),
        }
        match alike {
            Alike::ByName => {}
            Alike::ByShape => {
                let mut below: Vec<u64> =
                    forest.children(slot).iter().map(|child| shapes.at(*child)).collect();
                below.sort_unstable();
                below.dedup();
                below.hash(&mut hash);
            }
        }
        shapes.set(slot, hash.finish());
    }
    shapes
}
