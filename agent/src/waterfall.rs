//! A trace as text: a tree with bars to scale, how each part ended, and what the run waited for.
//!
//! It is bounded in memory whatever the trace, and in lines unless asked for all. It looks
//! nothing up: the width, the colours and how much to show are the caller's to decide.

mod bar;
mod compact;
mod critical;
mod draw;
mod duration;
mod fold;
mod forest;
mod label;
mod node;
mod outcome;
mod paint;
mod request;
mod rows;
mod select;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::compact::{Collection, State, nth_longest};
use self::critical::{Path, Window};
use self::draw::{Header, Left};
use self::fold::{Alike, Folded, Orphans};
use self::forest::{Forest, Slot};
use self::node::Node;
pub use self::rows::plural;
use self::select::Room;
use crate::id::TraceId;
use crate::span::{Span, key};

/// What a screen or two hold; the header, the axis and the legend come on top.
const FOLDED: Room = Room { rows: 48, depth: 24 };
/// When alike is what has the same name, so many of the longest still have rows of their own.
const SPARED: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// No escape sequence at all.
    Plain,
    Ansi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// What repeats is one row, and a screen or two are enough.
    Folded,
    /// Each span that was kept has its row.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// In cells: no line is wider.
    pub width: usize,
    pub colour: Colour,
    pub fold: Fold,
}

/// Collects the spans of one trace, in any order, and draws them.
#[derive(Debug)]
pub struct Waterfall {
    kept: Collection,
    /// Of the first span: the caller pushes one trace.
    trace: Option<TraceId>,
    /// `processes <= kept.total.spans`.
    processes: u64,
    whole: Option<Window>,
}

impl Waterfall {
    /// Keeps at most `limit` rows in memory; past it what repeats is counted, not kept.
    pub fn new(limit: usize) -> Self {
        Self { kept: Collection::new(limit), trace: None, processes: 0, whole: None }
    }

    pub fn push(&mut self, span: &Span) {
        let node = Node::of(span);
        self.trace.get_or_insert(span.trace_id);
        self.processes += u64::from(is_process(span));
        let whole = self.whole.get_or_insert(Window { from: node.start, to: node.end });
        whole.from = whole.from.min(node.start);
        whole.to = whole.to.max(node.end);
        self.kept.push(node);
    }

    /// Lines that each end with a newline; none for no span.
    pub fn render(&self, look: &Look) -> String {
        let (Some(trace), Some(whole)) = (self.trace, self.whole) else { return String::new() };
        let base = self.kept.forest();
        let path = critical::path(&base);
        let shown = match look.fold {
            Fold::Folded => summary(&base, &path),
            Fold::Full => fold::unfolded(&base),
        };
        let total = self.kept.total;
        let left = match self.kept.state {
            State::Compacted => Left::Limited(self.kept.limit()),
            State::Exact if shown.forest.nodes.len() < base.nodes.len() => Left::Folded,
            State::Exact => Left::Nothing,
        };
        let header = Header {
            trace,
            whole,
            processes: self.processes,
            others: total.spans.saturating_sub(self.processes),
            failed: total.failed,
            forks: self.kept.forks,
        };
        // Two cells a level: the lines of the tree take a quarter of the width at most.
        let rows = rows::rows(&shown, &base, &path, look.width / 8);
        draw::draw(&header, rows, &left, look)
    }
}

/// The fewest losses that make it short: equal subtrees, then equal names, then the unimportant.
fn summary(base: &Forest, path: &Path) -> Folded {
    let mut folded = fold::fold(base, Alike::ByShape, Orphans::Together, Duration::MAX);
    if folded.forest.nodes.len() > FOLDED.rows {
        let spared = nth_longest(base.nodes.iter(), SPARED);
        folded = fold::fold(base, Alike::ByName, Orphans::Together, spared);
    }
    let is_critical = |slot: Slot| {
        let mut members = folded.members.get(slot).into_iter().flatten();
        members.any(|member| path.get(*member).is_some_and(Option::is_some))
    };
    select::select(&folded, is_critical, FOLDED)
}

fn is_process(span: &Span) -> bool {
    [key::PROCESS_PID, key::PROCESS_COMMAND_ARGS, key::PROCESS_EXECUTABLE_NAME]
        .iter()
        .any(|key| span.attribute(key).is_some())
}
