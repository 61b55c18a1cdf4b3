//! What each row says, before anyone knows how much room there is for it.

use std::collections::HashMap;

use super::bar::Shape;
use super::critical::{Path, Window};
use super::duration::human;
use super::fold::Folded;
use super::forest::{Forest, PerSlot, Slot};
use super::node::{Kind, Node};
use super::outcome::Verdict;
use super::paint::{Ink, Line};
use super::request;

/// How many names the row of the rest gives.
const NAMES: usize = 3;

pub(super) struct Row {
    /// The tree's lines, then what ran.
    pub(super) label: Line,
    /// The answer to a request, and how many; cut last.
    pub(super) count: Line,
    pub(super) time: String,
    pub(super) note: Line,
    pub(super) shape: Shape,
    /// `None` off the critical path.
    pub(super) waited: Option<Vec<Window>>,
    pub(super) ink: Ink,
}

/// `base` is the forest that `shown` has its members in, and `path` the path through it.
pub(super) fn rows(shown: &Folded, base: &Forest, path: &Path, deepest: usize) -> Vec<Row> {
    let forest = &shown.forest;
    let mut depths: PerSlot<usize> = PerSlot::filled(forest.nodes.len());
    // For each level below the roots, the line that goes on to the next sibling there.
    let mut rails: Vec<&'static str> = Vec::new();
    let mut rows = Vec::with_capacity(forest.nodes.len());
    for &slot in &forest.preorder {
        let Some(node) = forest.nodes.get(slot) else { continue };
        let parent = forest.parents.at(slot);
        let depth = parent.map_or(0, |parent| depths.at(parent) + 1);
        depths.set(slot, depth);
        let is_last = forest.below(parent).last() == Some(&slot);
        rails.truncate(depth.saturating_sub(1));

        let members = shown.members.get(slot).map_or(&[][..], Vec::as_slice);
        let has_rows_below = !forest.children(slot).is_empty();
        let waited = waited(members, path, has_rows_below);
        let mut label = tree(&rails, parent, is_last, deepest);
        label.push(
            if waited.is_some() { Ink::Critical } else { Ink::Faint },
            match (waited.is_some(), parent) {
                (true, _) => "● ",
                (false, None) => "○ ",
                (false, Some(_)) => "─ ",
            },
        );
        name(node, members, base, waited.is_some(), &mut label);
        rows.push(Row {
            label,
            count: count(node),
            time: time(node),
            note: note(node),
            shape: shape(node, members, base),
            waited,
            ink: ink(node),
        });
        if parent.is_some() {
            rails.push(if is_last { "  " } else { "│ " });
        }
    }
    rows
}

fn tree(rails: &[&str], parent: Option<Slot>, is_last: bool, deepest: usize) -> Line {
    let mut line = Line::default();
    let skipped = rails.len().saturating_sub(deepest);
    if skipped > 0 {
        line.push(Ink::Faint, "⋯ ");
    }
    rails.iter().skip(skipped).for_each(|rail| line.push(Ink::Faint, rail));
    if parent.is_some() {
        line.push(Ink::Faint, if is_last { "└" } else { "├" });
    }
    line
}

fn name(node: &Node, members: &[Slot], base: &Forest, is_critical: bool, line: &mut Line) {
    match node.kind {
        Kind::Rest => {
            line.push(Ink::Faint, &format!("… {} more", node.all().spans));
            let names = names(members, base);
            if !names.is_empty() {
                line.push(Ink::Faint, &format!(": {names}"));
            }
        }
        Kind::Alike => {
            let (label, _) = request::apart(&node.label);
            let (program, arguments) = match label.strip_prefix(&*node.name) {
                Some(arguments) => (&*node.name, arguments),
                None => (label, ""),
            };
            let program_ink = match node.outcome.verdict() {
                Verdict::Failed => Ink::Failed,
                Verdict::Open => Ink::Open,
                Verdict::Fine if is_critical => Ink::Strong,
                Verdict::Fine => Ink::Text,
            };
            line.push(program_ink, program);
            line.push(Ink::Faint, arguments);
        }
    }
}

/// The most frequent first: `sh ×243, gcc ×40, …`.
fn names(members: &[Slot], base: &Forest) -> String {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for node in members.iter().filter_map(|member| base.nodes.get(*member)) {
        match node.kind {
            Kind::Rest => {}
            Kind::Alike => *counts.entry(&node.name).or_default() += node.own.spans,
        }
    }
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let shown = counts.iter().take(NAMES).map(|(name, count)| match count {
        1 => (*name).to_owned(),
        _ => format!("{name} ×{count}"),
    });
    let mut shown: Vec<String> = shown.collect();
    if counts.len() > NAMES {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

fn count(node: &Node) -> Line {
    let mut line = Line::default();
    match node.kind {
        Kind::Rest => {}
        Kind::Alike => {
            line.push(Ink::Faint, request::apart(&node.label).1);
            if node.own.spans > 1 {
                line.push(Ink::Strong, &format!(" ×{}", node.own.spans));
            }
            if node.inside.spans > 0 {
                line.push(Ink::Faint, &format!(" (+{} below)", node.inside.spans));
            }
        }
    }
    line
}

fn time(node: &Node) -> String {
    if node.is_single() { human(node.longest) } else { format!("Σ {}", human(node.busy)) }
}

fn note(node: &Node) -> Line {
    let mut notes = Vec::new();
    let mut say = |ink, text| notes.push((ink, text));
    if let Some(text) = node.outcome.note() {
        say(ink(node), text);
    }
    match node.kind {
        Kind::Rest if node.all().failed > 0 => {
            say(Ink::Failed, format!("✗ {} failed", node.all().failed));
        }
        Kind::Alike if node.inside.failed > 0 => {
            say(Ink::Failed, format!("✗ {} failed below", node.inside.failed));
        }
        Kind::Rest | Kind::Alike => {}
    }
    if !node.is_single() {
        say(Ink::Faint, format!("max {}", human(node.longest)));
    }
    if node.forks > 0 {
        say(Ink::Faint, plural(node.forks, "fork", "forks"));
    }
    if node.untold > 0 {
        say(Ink::Faint, format!("+{} without a span", plural(node.untold, "request", "requests")));
    }
    let mut line = Line::default();
    for (place, (ink, text)) in notes.into_iter().enumerate() {
        if place > 0 {
            line.push(Ink::Faint, " · ");
        }
        line.push(ink, &text);
    }
    line
}

pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn ink(node: &Node) -> Ink {
    match (node.kind, node.outcome.verdict()) {
        (Kind::Rest, _) => Ink::Bar,
        (Kind::Alike, Verdict::Fine) => Ink::Bar,
        (Kind::Alike, Verdict::Open) => Ink::Open,
        (Kind::Alike, Verdict::Failed) => Ink::Failed,
    }
}

fn shape(node: &Node, members: &[Slot], base: &Forest) -> Shape {
    if node.is_single() {
        return Shape::Line(Window { from: node.start, to: node.end });
    }
    let members = members.iter().filter_map(|member| base.nodes.get(*member));
    Shape::Crowd(members.map(|one| (Window { from: one.start, to: one.end }, one.busy)).collect())
}

/// What is below has rows that say for themselves when they were waited for, or has none.
fn waited(members: &[Slot], path: &Path, has_rows_below: bool) -> Option<Vec<Window>> {
    let mut on_path = members.iter().filter_map(|member| path.get(*member)?.as_ref()).peekable();
    on_path.peek()?;
    Some(if has_rows_below {
        on_path.flat_map(|waited| &waited.own).copied().collect()
    } else {
        on_path.map(|waited| waited.whole).collect()
    })
}
