//! Heads and ends of messages -> exchanges: a request and the response to it.
//!
//! A request without a response, and a response without a request, are what they are: nothing is
//! invented to go with them.

mod budget;
#[cfg(test)]
mod causes;
mod clients;
mod conversation;
#[cfg(test)]
mod early;
mod late;
mod multiplexed;
mod open;
mod pods;
mod programs;
mod recent;
mod runs;
mod settle;
#[cfg(test)]
mod tests;
mod threads;
mod translated;
mod unjoined;
#[cfg(test)]
mod upgrades;

use std::collections::{HashMap, HashSet};

use self::{
    budget::Budgets,
    clients::Clients,
    conversation::{Conversation, Ended},
    late::Late,
    multiplexed::Begun,
    threads::Threads,
    unjoined::Unjoined,
};
pub use self::{budget::Limits, threads::Cause, translated::Likeness};
use crate::{
    event::{
        Beyond, BootNanos, CloseReason, Closed, Connection, ConnectionId, End, Ends, Exec, Exit,
        Frames, Head, Role, TaskId,
    },
    protocol::{Grpc, RequestHead, ResponseHead, Version, http2},
};

/// Connections that are kept track of at one time.
const MAX_CONNECTIONS: usize = 16 * 1024;
/// `ECANCELED`: the program closed it before it was open.
const CANCELLED: u32 = 125;
/// As long as Linux waits for an answer before it asks again. Go gives up connections within microseconds
/// that it needs no longer, and who asks over IPv4 and IPv6 at one time the slower one of two.
const PATIENCE_NS: u64 = 1_000_000_000;
/// Requests of one connection that wait for their response.
const MAX_WAITING: usize = 256;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Whole,
    /// The connection ended before the response did; errno where there was one.
    Closed(u32),
    /// One side ended it with an error.
    Reset,
    /// One side wanted no more of it.
    Cancelled,
    /// It was turned away before anything was done for it.
    Refused,
    /// The server stopped taking requests before this one.
    GoneAway,
    /// What followed was not seen: the response may be there or not.
    Unseen,
}

/// The exchange that a server's is, seen at its client on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub owner: TaskId,
    pub connection: ConnectionId,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    pub connection: ConnectionId,
    pub ordinal: u64,
    pub role: Role,
    pub process: TaskId,
    pub owner: TaskId,
    /// The thread that moved the request, where one did.
    pub tid: Option<u32>,
    pub ends: Option<Ends>,
    pub peer: Option<Peer>,
    /// Of a client's, where it is certain.
    pub cause: Option<Cause>,
    pub version: Version,
    pub request: RequestHead,
    pub response: Option<ResponseHead>,
    pub request_first: BootNanos,
    pub response_first: Option<BootNanos>,
    /// The end of the response, where there is one, also if the request ended later.
    pub last: BootNanos,
    pub request_body_bytes: Option<u64>,
    pub response_body_bytes: Option<u64>,
    /// How long `connect(2)` took, of the first exchange of a connection.
    pub connect_ns: Option<u64>,
    pub ending: Ending,
    pub grpc: Option<Grpc>,
    /// Parts of its heads could not be read, for tracing met the connection half-way.
    pub joined_late: bool,
    pub records: u32,
}

/// What came of a record.
#[derive(Debug)]
pub enum Told {
    Exchange(Box<Exchange>),
    /// A connection that could not be opened.
    Refused(Box<Connection>),
}

/// Records of which nothing is held any more, beside those of what was told.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Released {
    /// They told that a connection is over of which exchanges were told, or of which there was nothing
    /// to tell.
    pub settled: u32,
    /// They are of messages that go with nothing.
    pub unpaired: u32,
    /// There was no room for them.
    pub refused: u32,
    /// They are of requests beyond those that are told in one second.
    pub over_budget: u32,
}

#[derive(Debug, Default)]
pub struct Exchanges {
    conversations: HashMap<ConnectionId, Conversation>,
    late: Late,
    clients: Clients,
    unjoined: Unjoined,
    threads: Threads,
    budgets: Budgets,
    http2: http2::Counts,
    held: u64,
}

impl Exchanges {
    pub fn new(limits: Limits) -> Self {
        Self { budgets: Budgets::new(limits), ..Self::default() }
    }

    /// A process begins another program.
    pub fn exec(&mut self, exec: &Exec<'_>) {
        self.threads.exec(exec);
        self.budgets.pods.enters(exec.process, exec.pod_id);
        if !exec.taken_up {
            self.budgets.pods.begins(exec.process, exec.time);
        }
    }

    /// A process ended: its requests that were not told, of those that this could tell.
    pub fn exit(&mut self, exit: &Exit) -> Beyond {
        if exit.owner != exit.process {
            self.budgets.pods.begins(exit.owner, exit.time);
        }
        self.budgets.pods.leaves(exit.process);
        self.budgets.take(exit.process)
    }

    pub fn connection(&mut self, connection: &Connection, out: &mut Vec<Told>) -> Released {
        if connection.error != 0 {
            self.held += 1;
            let since = connection.connect.unwrap_or(connection.time);
            let waited_ns = connection.time.0.saturating_sub(since.0);
            if connection.error == CANCELLED && waited_ns < PATIENCE_NS {
                // The program thought better of it: nothing failed.
                let settled = Released { settled: 1, ..Released::default() };
                return self.release(out, settled, connection.time);
            }
            out.push(Told::Refused(Box::new(*connection)));
            return self.release(out, Released::default(), connection.time);
        }
        let Some(conversation) = room(&mut self.conversations, connection.connection) else {
            return Released { refused: 1, ..Released::default() };
        };
        conversation.announced = Some(*connection);
        conversation.records += 1;
        if connection.role == Role::Client {
            self.clients.insert(connection);
            self.unjoined.joined(connection);
        }
        self.held += 1;
        self.release(out, Released::default(), connection.time)
    }

    /// A client was seen whose records are held elsewhere: they come later, or [`Self::give_up_client`] does.
    pub fn hold_client(&mut self, client: &Connection) {
        if client.error == 0 {
            self.unjoined.hold(client);
        }
    }

    pub fn give_up_client(&mut self, client: &Connection) {
        self.unjoined.give_up(client);
    }

    pub fn head(&mut self, head: &Head<'_>, out: &mut Vec<Told>) -> Released {
        let Some(conversation) = room(&mut self.conversations, head.connection) else {
            self.threads.interleaves(head.owner);
            return Released { refused: 1, ..Released::default() };
        };
        if head.has_untold {
            self.threads.interleaves(head.owner);
        }
        conversation.begins(head.way, out);
        if conversation.asks(head) {
            self.budgets.begins(head.process, head.owner, head.time);
        }
        let torn = conversation.piece(head.way).take(head);
        let mut released = Released { unpaired: torn, ..Released::default() };
        if head.head_ended {
            let piece = std::mem::take(conversation.piece(head.way));
            let whole = conversation.whole(&mut self.threads, head, piece);
            released.unpaired += whole.unpaired;
            released.refused += whole.refused;
            if let Some((client, request)) = conversation.asked_by_client(head) {
                self.clients.asked(client, request);
                self.unjoined.asked(client.connection, request.ordinal.into());
            }
        }
        conversation.has_losses |= released.unpaired > 0;
        if head.message_ended {
            let ended = conversation.message_ended(head.way, head.ordinal, head.time, 0, out);
            if ended == Ended::AwaitsRequest {
                self.late.awaits(head.time, head.connection, head.ordinal);
            }
        }
        self.held += 1;
        self.overdue(head.time, out);
        self.release(out, released, head.time)
    }

    pub fn frames(&mut self, frames: &Frames<'_>, out: &mut Vec<Told>) -> Released {
        let Some(conversation) = room(&mut self.conversations, frames.connection) else {
            return Released { refused: 1, ..Released::default() };
        };
        let Some(announced) = conversation.announced else {
            if conversation.may_be_frames(frames) {
                self.held += 1;
                return Released::default();
            }
            conversation.has_losses = true;
            return Released { unpaired: 1, ..Released::default() };
        };
        conversation.records += 1;
        self.held += 1;
        let before = conversation.begins_frames(frames.way);
        let multiplexed = conversation.multiplexed(announced);
        if announced.role == Role::Server {
            // It serves many requests at one time, or may at any.
            self.threads.interleaves(frames.owner);
        }
        if !before.is_empty() {
            multiplexed.bytes(&Frames { offset: 0, bytes: &before, counted: None, ..*frames });
        }
        multiplexed.bytes(frames);
        let begun = multiplexed.take_begun();
        if announced.role == Role::Client {
            self.clients.opened(&announced, frames.owner, &begun);
            if let Some(Begun::Exchange(latest)) = begun.last() {
                self.unjoined.asked(frames.connection, *latest);
            }
        }
        self.http2 += conversation.take_counts();
        conversation.tell_multiplexed(out);
        self.overdue(frames.time, out);
        self.release(out, Released::default(), frames.time)
    }

    pub fn end(&mut self, end: &End, out: &mut Vec<Told>) -> Released {
        let Some(conversation) = self.conversations.get_mut(&end.connection) else {
            return Released { unpaired: 1, ..Released::default() };
        };
        self.held += 1;
        if !conversation.expects(end.way, end.ordinal) {
            conversation.has_losses = true;
            let unpaired = Released { unpaired: 1, ..Released::default() };
            return self.release(out, unpaired, end.time);
        }
        conversation.records += 1;
        let ended = conversation.message_ended(end.way, end.ordinal, end.time, end.body_bytes, out);
        if ended == Ended::AwaitsRequest {
            self.late.awaits(end.time, end.connection, end.ordinal);
        }
        self.overdue(end.time, out);
        self.release(out, Released::default(), end.time)
    }

    /// Whether HTTP was spoken on it: what begins alike may be something else.
    pub fn speaks(&self, connection: ConnectionId) -> bool {
        let conversation = self.conversations.get(&connection);
        conversation.is_some_and(|conversation| conversation.announced.is_some())
    }

    pub fn closed(&mut self, closed: &Closed, out: &mut Vec<Told>) -> Released {
        let Some(mut conversation) = self.conversations.remove(&closed.connection) else {
            return Released { unpaired: 1, ..Released::default() };
        };
        self.held += 1;
        conversation.records += 1;
        if let Some(announced) = &conversation.announced {
            self.clients.closed(announced, closed.last);
            self.unjoined.asked(closed.connection, u64::MAX);
        }
        let ending = match closed.reason {
            CloseReason::Socket => Ending::Closed(closed.error),
            CloseReason::Tunnel | CloseReason::OutOfStep => Ending::Unseen,
        };
        let released = self.close(&mut conversation, closed, ending, out);
        self.release(out, released, closed.last)
    }

    fn close(
        &mut self,
        conversation: &mut Conversation,
        closed: &Closed,
        ending: Ending,
        out: &mut Vec<Told>,
    ) -> Released {
        conversation.close_frames(closed, out);
        self.http2 += conversation.take_counts();
        conversation.close(closed, ending, out)
    }

    /// Nothing more of these processes is told: their requests that were not.
    pub fn stop_beyond(&mut self, owners: &HashSet<TaskId>) -> Vec<(TaskId, Beyond)> {
        self.budgets.stop(owners)
    }

    /// Nothing comes any more: whose requests were not told, of those that still run.
    pub fn beyond(&mut self) -> impl Iterator<Item = (TaskId, Beyond)> {
        self.budgets.drain()
    }

    pub fn held(&self) -> u64 {
        self.held
    }

    /// What of HTTP/2 was counted since this was asked last.
    pub fn take_http2_counts(&mut self) -> http2::Counts {
        std::mem::take(&mut self.http2)
    }
}

fn room(
    conversations: &mut HashMap<ConnectionId, Conversation>,
    connection: ConnectionId,
) -> Option<&mut Conversation> {
    let is_full = conversations.len() >= MAX_CONNECTIONS;
    if is_full && !conversations.contains_key(&connection) {
        return None;
    }
    Some(conversations.entry(connection).or_default())
}

impl Told {
    pub fn records(&self) -> u32 {
        match self {
            Self::Exchange(exchange) => exchange.records,
            Self::Refused(_) => 1,
        }
    }
}
