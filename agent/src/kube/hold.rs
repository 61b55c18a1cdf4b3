//! Records of containers that are not decided yet: kept as they came, until somebody says whose they are.

use std::collections::HashMap;

use crate::event::{BootNanos, ConnectionId, Event, TaskId};

/// Records of all containers together, bytes. What comes when they are there is lost.
const MAX_BYTES: usize = 32 << 20;

/// A record, and the how manieth it was that came to be held.
pub(super) type Record = (u64, Box<[u8]>);

#[derive(Debug)]
struct Held {
    records: Vec<Record>,
    since: BootNanos,
}

#[derive(Debug, Default)]
pub(super) struct Hold {
    by_cgroup: HashMap<u64, Held>,
    /// Of connections of which records are held: their ends name no process.
    connections: HashMap<ConnectionId, u64>,
    bytes: usize,
    records: u64,
    next: u64,
}

/// There was no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Hold {
    /// The container whose held records this one belongs to, where only its connection tells.
    pub(super) fn of_connection(&self, connection: ConnectionId) -> Option<u64> {
        self.connections.get(&connection).copied()
    }

    pub(super) fn push(
        &mut self,
        cgroup_id: u64,
        event: &Event<'_>,
        record: &[u8],
        now: BootNanos,
    ) -> Result<(), Full> {
        if self.bytes.saturating_add(record.len()) > MAX_BYTES {
            return Err(Full);
        }
        match (connection(event), event) {
            (Some(ended), Event::Closed(_)) => drop(self.connections.remove(&ended)),
            // What begins like frames may turn out to be none: then nothing announces the connection.
            (Some(seen), _) => drop(self.connections.insert(seen, cgroup_id)),
            (None, _) => {}
        }
        self.bytes += record.len();
        self.records += 1;
        self.next += 1;
        let held = self.by_cgroup.entry(cgroup_id);
        held.or_insert(Held { records: Vec::new(), since: now })
            .records
            .push((self.next, record.into()));
        Ok(())
    }

    /// All that is held of a container, in the order in which it came.
    pub(super) fn take(&mut self, cgroup_id: u64) -> Vec<Record> {
        let records = self.by_cgroup.remove(&cgroup_id).map(|held| held.records);
        let records = records.unwrap_or_default();
        self.connections.retain(|_, of| *of != cgroup_id);
        self.bytes -= records.iter().map(|(_, record)| record.len()).sum::<usize>();
        self.records -= records.len() as u64;
        records
    }

    /// The containers of which something has been held since then or longer.
    pub(super) fn since(&self, then: BootNanos) -> Vec<u64> {
        let old = self.by_cgroup.iter().filter(|(_, held)| held.since <= then);
        old.map(|(cgroup_id, _)| *cgroup_id).collect()
    }

    /// Gives up all that is held. Gives how many records.
    pub(super) fn all(&mut self) -> u64 {
        let records = self.records;
        *self = Self::default();
        records
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }
}

/// The process that a record is of, or the one that has the span; `None` where it names none.
pub(super) fn owner(event: &Event<'_>) -> Option<TaskId> {
    match event {
        Event::Chunk(chunk) => Some(chunk.process),
        Event::Exec(exec) => Some(exec.process),
        Event::Exit(exit) => Some(exit.owner),
        Event::Connection(connection) => Some(connection.owner),
        Event::Head(head) => Some(head.owner),
        Event::Frames(frames) => Some(frames.owner),
        Event::End(_) | Event::Closed(_) | Event::CgroupMade(_) | Event::CgroupGone(_) => None,
    }
}

pub(super) fn connection(event: &Event<'_>) -> Option<ConnectionId> {
    match event {
        Event::Connection(connection) => Some(connection.connection),
        Event::Head(head) => Some(head.connection),
        Event::Frames(frames) => Some(frames.connection),
        Event::End(end) => Some(end.connection),
        Event::Closed(closed) => Some(closed.connection),
        Event::Chunk(_)
        | Event::Exec(_)
        | Event::Exit(_)
        | Event::CgroupMade(_)
        | Event::CgroupGone(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::decode,
        event::{CloseReason, Closed, Frames, Way},
        record::tests::{exec_record, task},
    };

    #[test]
    fn the_end_of_a_connection_is_held_where_anything_of_it_is() {
        const ID: ConnectionId = ConnectionId { sock: 7, since_ns: 1 };
        let frames = Frames {
            process: task(10),
            owner: task(10),
            connection: ID,
            time: BootNanos(1),
            way: Way::Sent,
            offset: 0,
            bytes: &[0],
            counted: None,
        };
        let closed = Closed {
            connection: ID,
            reason: CloseReason::OutOfStep,
            error: 0,
            sent_body_bytes: 0,
            received_body_bytes: 0,
            last: BootNanos(2),
            sent_cut: false,
            received_cut: false,
        };
        let mut hold = Hold::default();
        assert_eq!(hold.of_connection(ID), None);
        assert_eq!(hold.push(5, &Event::Frames(frames), &[1], BootNanos(1)), Ok(()));
        assert_eq!(hold.of_connection(ID), Some(5));
        assert_eq!(hold.push(5, &Event::Closed(closed), &[2], BootNanos(2)), Ok(()));
        assert_eq!(hold.of_connection(ID), None);
    }

    #[test]
    fn so_much_is_held_and_no_more_until_some_is_taken() {
        const NOW: BootNanos = BootNanos(1);
        let exec = exec_record(10, 0, &["sh"], &[]);
        let event = decode(&exec).unwrap();
        // What a record says does not matter here: only how long it is.
        let quarter = vec![0; MAX_BYTES / 4];
        let mut hold = Hold::default();
        for cgroup_id in [1, 2, 1, 2] {
            assert_eq!(hold.push(cgroup_id, &event, &quarter, NOW), Ok(()));
        }
        assert_eq!(hold.push(3, &event, &[0], NOW), Err(Full));
        assert_eq!(hold.push(1, &event, &[0], NOW), Err(Full));
        assert_eq!(hold.records(), 4);
        let taken: Vec<u64> = hold.take(1).into_iter().map(|(place, _)| place).collect();
        assert_eq!((taken, hold.records()), (vec![1, 3], 2));
        assert_eq!(hold.push(3, &event, &quarter, NOW), Ok(()));
        assert_eq!(hold.push(3, &event, &quarter, NOW), Ok(()));
        assert_eq!(hold.push(3, &event, &[0], NOW), Err(Full));
        assert_eq!((hold.all(), hold.records()), (4, 0));
        assert_eq!(hold.push(3, &event, &quarter, NOW), Ok(()));
    }
}
