//! Joins the parts of an exec that was too long for one record. Parts come before their exec.

use std::{borrow::Cow, collections::HashMap};

use abi::process::{ARGS_INLINE, ARGS_MAX, ENV_INLINE, ENV_MAX};

use crate::event::{Chunk, Exec, Part, Strings, TaskId};

/// Execs of which parts are held at one time: one a CPU is what can be.
const MAX_PENDING: usize = 1024;

#[derive(Debug, Default)]
struct Pending {
    /// Of the exec that they are parts of.
    exec_id: u32,
    args: Vec<u8>,
    env: Vec<u8>,
    records: u32,
}

#[derive(Debug, Default)]
pub struct Gather {
    pending: HashMap<TaskId, Pending>,
}

/// Records that can belong to nothing.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Orphaned(pub u32);

impl Gather {
    pub fn chunk(&mut self, chunk: Chunk<'_>) -> Orphaned {
        if self.pending.len() >= MAX_PENDING && !self.pending.contains_key(&chunk.process) {
            return Orphaned(1);
        }
        let pending = self.pending.entry(chunk.process).or_default();
        let mut stale = 0;
        if pending.exec_id != chunk.exec_id {
            // What is held of an earlier exec waits for a record that was lost.
            stale = pending.records;
            *pending = Pending { exec_id: chunk.exec_id, ..Pending::default() };
        }
        let (bytes, inline, max) = match chunk.part {
            Part::Args => (&mut pending.args, ARGS_INLINE, ARGS_MAX),
            Part::Env => (&mut pending.env, ENV_INLINE, ENV_MAX),
        };
        // A gap is what a lost chunk leaves: what comes behind it is of no use.
        let follows = chunk.offset == inline + bytes.len();
        if !follows || bytes.len() + chunk.bytes.len() > max - inline {
            return Orphaned(stale + 1);
        }
        bytes.extend_from_slice(chunk.bytes);
        pending.records += 1;
        Orphaned(stale)
    }

    /// The whole exec, as far as its parts came.
    pub fn exec<'a>(&mut self, mut exec: Exec<'a>) -> (Exec<'a>, Orphaned) {
        let Some(parts) = self.pending.remove(&exec.process) else { return (exec, Orphaned(0)) };
        if parts.exec_id != exec.exec_id {
            return (exec, Orphaned(parts.records));
        }
        exec.records += parts.records;
        join(&mut exec.args, &parts.args, ARGS_INLINE);
        join(&mut exec.env, &parts.env, ENV_INLINE);
        (exec, Orphaned(0))
    }

    /// The process ended: what is still held of it waits for an exec that was lost.
    pub fn exit(&mut self, process: TaskId) -> Orphaned {
        Orphaned(self.pending.remove(&process).map_or(0, |parts| parts.records))
    }

    pub fn held(&self) -> u64 {
        self.pending.values().map(|parts| u64::from(parts.records)).sum()
    }

    /// Nothing comes any more.
    pub fn finish(&mut self) -> Orphaned {
        Orphaned(self.pending.drain().map(|(_, parts)| parts.records).sum())
    }
}

fn join(whole: &mut Strings<'_>, more: &[u8], inline: usize) {
    if whole.bytes.len() == inline && !more.is_empty() {
        whole.cut_bytes = whole.cut_bytes.saturating_sub(more.len() as u64);
        let mut bytes = std::mem::take(&mut whole.bytes).into_owned();
        bytes.extend_from_slice(more);
        whole.bytes = Cow::Owned(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::decode,
        event::Event,
        record::tests::{chunk_record, exec_record},
    };

    fn feed(gather: &mut Gather, offset: usize, bytes: &[u8]) -> Orphaned {
        let record = chunk_record(7, abi::process::Part::ARGS, offset, bytes);
        let Ok(Event::Chunk(chunk)) = decode(&record) else { panic!("no chunk") };
        gather.chunk(chunk)
    }

    /// The exec whose parts were fed, or a `later` one of the same process.
    fn exec(gather: &mut Gather, later: u32) -> (usize, u64, u32) {
        let long = "x".repeat(ARGS_INLINE - 1);
        let record = exec_record(7, 0, &[&long], &[]);
        let Ok(Event::Exec(mut exec)) = decode(&record) else { panic!("no exec") };
        exec.args.cut_bytes = 5;
        exec.exec_id += later;
        let (whole, orphaned) = gather.exec(exec);
        assert_eq!(orphaned, Orphaned(later));
        (whole.args.bytes.len(), whole.args.cut_bytes, whole.records)
    }

    #[test]
    fn parts_are_joined_in_order() {
        let mut gather = Gather::default();
        assert_eq!(feed(&mut gather, ARGS_INLINE, b"ab"), Orphaned(0));
        assert_eq!(feed(&mut gather, ARGS_INLINE + 2, b"cd"), Orphaned(0));
        assert_eq!(gather.held(), 2);
        assert_eq!(exec(&mut gather, 0), (ARGS_INLINE + 4, 1, 3));
        assert_eq!(gather.held(), 0);
    }

    #[test]
    fn a_part_behind_a_gap_is_an_orphan() {
        let mut gather = Gather::default();
        assert_eq!(feed(&mut gather, ARGS_INLINE + 2, b"cd"), Orphaned(1));
        assert_eq!(exec(&mut gather, 0), (ARGS_INLINE, 5, 1));
    }

    #[test]
    fn parts_of_an_exec_that_was_lost_do_not_join_the_next() {
        let mut gather = Gather::default();
        assert_eq!(feed(&mut gather, ARGS_INLINE, b"ab"), Orphaned(0));
        assert_eq!(exec(&mut gather, 1), (ARGS_INLINE, 5, 1));
        assert_eq!(gather.held(), 0);
    }

    #[test]
    fn parts_without_an_exec_are_orphans_at_the_end() {
        let mut gather = Gather::default();
        assert_eq!(feed(&mut gather, ARGS_INLINE, b"ab"), Orphaned(0));
        assert_eq!(gather.finish(), Orphaned(1));
        assert_eq!(gather.held(), 0);
    }
}
