//! A head that is not complete, and a request that is not answered.

use super::{Ending, Ends, Exchange};
use crate::{
    event::{BootNanos, Connection, ConnectionId, Head, Role, TaskId, Way},
    protocol::{RequestHead, ResponseHead, Version},
};

/// The pieces of a head until now.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u32,
    pub(super) first: BootNanos,
}

impl Piece {
    /// Adds a piece. Gives how many records go with nothing: those of a head whose rest was lost.
    pub(super) fn take(&mut self, head: &Head<'_>) -> u32 {
        let mut torn = 0;
        if head.offset == 0 {
            torn = self.records;
            *self = Self { first: head.time, ..Self::default() };
        }
        // Behind a gap, or behind what is kept of a long head, bytes are of no use; the rest stands.
        if head.offset as usize == self.bytes.len() {
            self.bytes.extend_from_slice(head.bytes);
        }
        self.records += 1;
        torn
    }
}

/// A request that waits for the end of its response.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) ordinal: u32,
    pub(super) request_way: Way,
    connection: ConnectionId,
    process: TaskId,
    owner: TaskId,
    version: Version,
    request: RequestHead,
    pub(super) request_first: BootNanos,
    pub(super) request_body_bytes: Option<u64>,
    pub(super) response: Option<ResponseHead>,
    response_first: Option<BootNanos>,
    pub(super) response_body_bytes: Option<u64>,
    pub(super) records: u32,
}

impl Open {
    pub(super) fn new(
        head: &Head<'_>,
        request: RequestHead,
        version: Version,
        first: BootNanos,
        records: u32,
    ) -> Self {
        Self {
            ordinal: head.ordinal,
            request_way: head.way,
            connection: head.connection,
            process: head.process,
            owner: head.owner,
            version,
            request,
            request_first: first,
            request_body_bytes: None,
            response: None,
            response_first: None,
            response_body_bytes: None,
            records,
        }
    }

    pub(super) fn answered(&mut self, response: ResponseHead, first: BootNanos, records: u32) {
        self.response = Some(response);
        self.response_first = Some(first);
        self.records += records;
    }

    pub(super) fn told(
        self,
        announced: Option<Connection>,
        is_first: bool,
        ending: Ending,
        last: BootNanos,
        records: u32,
    ) -> Exchange {
        let connected = announced.filter(|_| is_first).and_then(|known| {
            let (began, there) = known.connect.zip(known.connected)?;
            Some(there.0.saturating_sub(began.0))
        });
        Exchange {
            connection: self.connection,
            ordinal: u64::from(self.ordinal),
            role: if self.request_way == Way::Sent { Role::Client } else { Role::Server },
            process: self.process,
            owner: self.owner,
            ends: announced.map(|known| Ends { local: known.local, remote: known.remote }),
            peer: None,
            version: self.version,
            request: self.request,
            response: self.response,
            request_first: self.request_first,
            response_first: self.response_first,
            last: last.max(self.request_first),
            request_body_bytes: self.request_body_bytes,
            response_body_bytes: self.response_body_bytes,
            connect_ns: connected,
            ending,
            grpc: None,
            joined_late: false,
            records: self.records.saturating_add(records),
        }
    }
}
