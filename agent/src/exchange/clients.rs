//! Clients on this host: the exchange that a server's is, seen from its other end.
//!
//! A server may be told of a request before its client is told to have sent it, and of the end of it
//! after the client is gone: so both are joined when the server's exchange is complete.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    Exchange, Peer,
    multiplexed::Begun,
    open::Open,
    runs::Runs,
    translated::{ByEnd, Likeness, Requests},
};
use crate::{
    event::{BootNanos, Connection, ConnectionId, Endpoint, Ends, Role, TaskId},
    protocol::Version,
};

/// Connections that are remembered; the oldest are forgotten first.
const MAX_CLIENTS: usize = 32 * 1024;

/// The two ends of a connection, the client's first.
pub(super) type Pair = (Endpoint, Endpoint);

#[derive(Debug)]
struct Client {
    peer: Peer,
    /// When it moved its last byte, where it is closed: another may have its port since.
    last: Option<BootNanos>,
    /// Which of its requests are told.
    told: Runs,
    requests: Requests,
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    by_ends: HashMap<Pair, Client>,
    /// Oldest first; every key of `by_ends` is in it.
    order: VecDeque<Pair>,
    /// No other pairs than those of `by_ends` are in it.
    by_end: ByEnd,
}

/// A request as its server knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Served {
    pub(super) ends: Ends,
    pub(super) connection: ConnectionId,
    pub(super) ordinal: u64,
    /// `None` where the client's is known by its connection alone.
    likeness: Option<Likeness>,
}

/// What is known of a request at its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is told, or will be.
    Told(Peer),
    /// The client asked for something on this connection, or will; not for this until now.
    Awaited(ConnectionId),
    /// It never is: its record was lost, or left out.
    Untold,
    /// No client is known.
    Nobody,
}

impl Served {
    /// The request of which the client decides where this exchange stands: it, or what it was made for.
    pub(super) fn of(exchange: &Exchange) -> Option<Self> {
        match (exchange.role, &exchange.cause) {
            (Role::Server, _) => {
                let is_one_by_one = exchange.version != Version::Http2;
                let likeness = is_one_by_one.then(|| Likeness::of(&exchange.request));
                let Exchange { ends, connection, ordinal, .. } = *exchange;
                Some(Self { ends: ends?, connection, ordinal, likeness })
            }
            (Role::Client, Some(cause)) => {
                let likeness = Some(cause.likeness);
                let super::Cause { ends, connection, ordinal, .. } = *cause;
                Some(Self { ends: ends?, connection, ordinal, likeness })
            }
            (Role::Client, None) => None,
        }
    }

    /// The client's end of it.
    pub(super) fn client(&self) -> Pair {
        let (here, there) = self.ends.pair();
        (there, here)
    }
}

impl Clients {
    pub(super) fn insert(&mut self, connection: &Connection) {
        let pair = connection.ends.pair();
        let peer = Peer { owner: connection.owner, connection: connection.connection };
        let (told, requests) = (Runs::default(), Requests::default());
        let client = Client { peer, last: None, told, requests };
        if self.by_ends.insert(pair, client).is_none() {
            self.order.push_back(pair);
            self.by_end.insert(pair);
        }
        if self.order.len() > MAX_CLIENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_ends.remove(&oldest);
            self.by_end.remove(oldest);
        }
    }

    /// A request of HTTP/1: its head is whole.
    pub(super) fn asked(&mut self, connection: &Connection, request: &Open) {
        if let Some(client) = self.at(connection) {
            client.told.insert_next(request.ordinal.into(), request.owner);
            client.requests.insert(request.ordinal, request.likeness());
        }
    }

    /// What began on a connection of HTTP/2.
    pub(super) fn opened(&mut self, connection: &Connection, owner: TaskId, begun: &[Begun]) {
        let Some(client) = self.at(connection) else { return };
        for one in begun {
            match one {
                Begun::Exchange(ordinal) => client.told.insert(*ordinal, owner),
                Begun::Unseen => client.told.breaks(),
            }
        }
    }

    pub(super) fn closed(&mut self, connection: &Connection, last: BootNanos) {
        if let Some(client) = self.at(connection) {
            client.last = Some(last);
        }
    }

    fn at(&mut self, connection: &Connection) -> Option<&mut Client> {
        let client = self.by_ends.get_mut(&connection.ends.pair());
        client.filter(|one| one.peer.connection == connection.connection)
    }

    /// What these processes asked is not told from here on.
    pub(super) fn forget(&mut self, owners: &HashSet<TaskId>) {
        let theirs = self.by_ends.extract_if(|_, client| owners.contains(&client.peer.owner));
        theirs.for_each(|(pair, _)| self.by_end.remove(pair));
        let known = &self.by_ends;
        self.order.retain(|pair| known.contains_key(pair));
    }

    /// What is known of it at its client. A client may be gone before its request is read, but not before
    /// the server's connection was there.
    pub(super) fn sight(&self, served: &Served) -> Sight {
        let exact = self.by_ends.get(&served.client());
        let exact = exact.filter(|client| client.was_there(served.connection));
        let client = exact.or_else(|| self.translated(served));
        client.map_or(Sight::Nobody, |client| client.sight(served.ordinal))
    }

    /// Of a server that its client knows by another address: the only one with that end which asked this.
    fn translated(&self, served: &Served) -> Option<&Client> {
        let (_, there) = served.ends.pair();
        let likeness = served.likeness?;
        let all = self.by_end.of(there).filter_map(|pair| self.by_ends.get(&pair));
        let mut alike = all.filter(|client| {
            client.was_there(served.connection)
                && client.requests.contains(served.ordinal, likeness)
        });
        alike.next().filter(|_| alike.next().is_none())
    }
}

impl Client {
    /// Not over before the server's connection was there.
    fn was_there(&self, server: ConnectionId) -> bool {
        self.last.is_none_or(|last| last.0 >= server.since_ns)
    }

    /// What is known of its request with this number.
    fn sight(&self, ordinal: u64) -> Sight {
        match self.told.owner(ordinal) {
            Some(Some(owner)) => Sight::Told(Peer { owner, ..self.peer }),
            None if self.last.is_none() => Sight::Awaited(self.peer.connection),
            Some(None) | None => Sight::Untold,
        }
    }
}
