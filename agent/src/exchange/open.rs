//! A head that is not complete, and a request that is not answered.

use abi::socket::HEAD_MAX;

use super::{Cause, Ending, Exchange, threads::Thread, translated::Likeness};
use crate::{
    event::{BootNanos, Connection, ConnectionId, Head, Role, TaskId, Way},
    protocol::{RequestHead, ResponseHead, Version, http2},
};

/// The pieces of a head until now.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u32,
    pub(super) first: BootNanos,
    /// Who moved it, where one thread did.
    pub(super) tid: Option<u32>,
    /// Something is missing between its beginning and its end.
    pub(super) is_cut: bool,
}

impl Piece {
    /// Adds a piece. Gives how many records go with nothing: those of a head whose rest was lost.
    pub(super) fn take(&mut self, head: &Head<'_>) -> u32 {
        let mut torn = 0;
        if head.offset == 0 {
            torn = self.records;
            *self = Self { first: head.time, tid: Some(head.tid), ..Self::default() };
        }
        self.tid = self.tid.filter(|tid| *tid == head.tid);
        // Behind a gap, or behind what is kept of a long head, bytes are of no use; the rest stands.
        if head.offset as usize == self.bytes.len() {
            // The kernel side looks only at where a piece begins; what is read of a head must not hang
            // on how its bytes were cut.
            let room = (HEAD_MAX as usize).saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(head.bytes.get(..room).unwrap_or(head.bytes));
        } else {
            self.is_cut = true;
        }
        self.is_cut |= head.is_cut;
        self.records += 1;
        torn
    }
}

/// A request that waits for the end of its response, or for its own.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) ordinal: u32,
    pub(super) request_way: Way,
    pub(super) owner: TaskId,
    /// Who moved the request.
    pub(super) thread: Thread,
    pub(super) cause: Option<Cause>,
    connection: ConnectionId,
    version: Version,
    request: RequestHead,
    pub(super) request_first: BootNanos,
    pub(super) request_body_bytes: Option<u64>,
    pub(super) response: Option<ResponseHead>,
    pub(super) response_first: Option<BootNanos>,
    pub(super) response_body_bytes: Option<u64>,
    /// When the response ended, where it is only the request's body that has not.
    pub(super) answered: Option<BootNanos>,
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
            owner: head.owner,
            thread: Thread { process: head.process, tid: head.tid },
            cause: None,
            connection: head.connection,
            version,
            request,
            request_first: first,
            request_body_bytes: None,
            response: None,
            response_first: None,
            response_body_bytes: None,
            answered: None,
            records,
        }
    }

    /// As that for which its process makes others.
    pub(super) fn as_cause(&self, announced: Option<Connection>) -> Cause {
        Cause {
            owner: self.owner,
            connection: self.connection,
            ordinal: u64::from(self.ordinal),
            context: self.request.context.clone(),
            ends: announced.map(|known| known.ends),
            peer: None,
            request_first: self.request_first,
            likeness: self.likeness(),
        }
    }

    pub(super) fn likeness(&self) -> Likeness {
        Likeness::of(&self.request)
    }

    /// It was answered with 101.
    pub(super) fn is_upgraded(&self) -> bool {
        self.response.is_some_and(|response| response.status == 101)
    }

    pub(super) fn is_upgraded_to_http2(&self) -> bool {
        self.is_upgraded() && self.request.asks_for_h2c
    }

    /// As what goes on in HTTP/2.
    pub(super) fn upgrade(self) -> http2::Upgrade {
        http2::Upgrade {
            ordinal: u64::from(self.ordinal),
            request: self.request,
            request_first: self.request_first,
            request_last: self.request_first,
            request_body_bytes: self.request_body_bytes.unwrap_or_default(),
        }
    }

    pub(super) fn user_agent(&self) -> Option<&str> {
        self.request.user_agent.as_deref()
    }

    pub(super) fn answer(&mut self, response: ResponseHead, first: BootNanos, records: u32) {
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
            process: self.thread.process,
            owner: self.owner,
            tid: Some(self.thread.tid),
            ends: announced.map(|known| known.ends),
            peer: None,
            cause: self.cause,
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
