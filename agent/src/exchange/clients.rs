//! Clients on this host: the exchange that a server's is, seen from its other end.
//!
//! A server may be told of a request before its client is told to have sent it, and of the end of it
//! after the client is gone: so both are joined when the server's exchange is complete.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    Exchange, Peer,
    recent::Recent,
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
    asked: Asked,
    opened: Opened,
    requests: Requests,
}

/// Which requests of HTTP/2 are told, by the numbers of their exchanges, which grow. 0 is none.
#[derive(Debug, Default)]
struct Opened {
    first: u64,
    /// All from the first to here; behind it those are that are remembered one by one.
    all_until: u64,
    latest: u64,
}

/// Of which requests of HTTP/1 the head was seen: those are told.
#[derive(Debug, Default)]
struct Asked {
    /// The number of the last.
    latest: u32,
    /// A bit each: the lowest is that of the last.
    told: u64,
}

impl Asked {
    fn insert(&mut self, ordinal: u32) {
        let ahead = ordinal.wrapping_sub(self.latest);
        self.told = self.told.checked_shl(ahead).unwrap_or_default() | 1;
        self.latest = ordinal;
    }

    /// `None` where it is not known yet.
    fn contains(&self, ordinal: u32) -> Option<bool> {
        let behind = self.latest.checked_sub(ordinal)?;
        Some(self.told.checked_shr(behind).unwrap_or_default() & 1 != 0)
    }
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    by_ends: HashMap<Pair, Client>,
    /// Oldest first; every key of `by_ends` is in it.
    order: VecDeque<Pair>,
    /// No other pairs than those of `by_ends` are in it.
    by_end: ByEnd,
    /// Requests of HTTP/2 on connections of which something was lost.
    opened: Recent<(ConnectionId, u64)>,
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
        let (asked, opened) = (Asked::default(), Opened::default());
        let client = Client { peer, last: None, asked, opened, requests: Requests::default() };
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

    /// The request with this number is this one.
    pub(super) fn asked(&mut self, connection: &Connection, ordinal: u32, likeness: Likeness) {
        if let Some(client) = self.at(connection) {
            client.asked.insert(ordinal);
            client.requests.insert(ordinal, likeness);
        }
    }

    /// A request of HTTP/2 with this number begins. Where something of the connection was lost, one before
    /// it may have been, too.
    pub(super) fn opened(&mut self, connection: &Connection, ordinal: u64, has_losses: bool) {
        let Some(client) = self.at(connection) else { return };
        let opened = &mut client.opened;
        if opened.first == 0 {
            (opened.first, opened.all_until) = (ordinal, ordinal);
        }
        opened.latest = opened.latest.max(ordinal);
        if has_losses {
            self.opened.insert((connection.connection, ordinal));
        } else {
            opened.all_until = opened.latest;
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

    /// Gives a server's exchange the client's, and likewise the one that a client's was made for: where
    /// those are told.
    pub(super) fn join(&self, exchange: &mut Exchange) {
        let Some(served) = Served::of(exchange) else { return };
        let Sight::Told(peer) = self.sight(&served) else { return };
        match &mut exchange.cause {
            Some(cause) => cause.peer = Some(peer),
            None => exchange.peer = Some(peer),
        }
    }

    /// What is known of it at its client. A client may be gone before its request is read, but not before
    /// the server's connection was there.
    pub(super) fn sight(&self, served: &Served) -> Sight {
        let exact = self.by_ends.get(&served.client());
        match exact.filter(|client| client.was_there(served.connection)) {
            Some(client) => client.sight(served.ordinal, &self.opened),
            None => {
                self.translated(served).map_or(Sight::Nobody, |client| Sight::Told(client.peer))
            }
        }
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
    fn sight(&self, ordinal: u64, opened: &Recent<(ConnectionId, u64)>) -> Sight {
        let connection = self.peer.connection;
        let is_told = match u32::try_from(ordinal) {
            Ok(ordinal) => self.asked.contains(ordinal),
            Err(_by_stream) => {
                let known = self.opened.contains(ordinal);
                known.map(|is_one| is_one || opened.contains(&(connection, ordinal)))
            }
        };
        match is_told {
            Some(true) => Sight::Told(self.peer),
            None if self.last.is_none() => Sight::Awaited(connection),
            Some(false) | None => Sight::Untold,
        }
    }
}

impl Opened {
    /// `None` where it is not known yet.
    fn contains(&self, ordinal: u64) -> Option<bool> {
        (ordinal <= self.latest).then(|| (self.first..=self.all_until).contains(&ordinal))
    }
}

#[cfg(test)]
mod tests {
    use abi::socket as wire;

    use super::*;
    use crate::{
        decode::decode,
        event::Event,
        exchange::tests::{ID, announced, client},
    };

    #[test]
    fn of_http2_all_are_told_until_something_was_lost_and_then_those_that_were_seen() {
        let connection = |record: &[u8]| match decode(record) {
            Ok(Event::Connection(connection)) => connection,
            other => panic!("{other:?}"),
        };
        let client = connection(&client());
        let server = connection(&announced(wire::Role::SERVER, 80, 40_000, ID.sock));
        let stream = |id: u64| (1 << 32) | id;
        let mut clients = Clients::default();
        clients.insert(&client);
        let check = |clients: &Clients, id, expected: Option<bool>| {
            let Connection { ends, connection, .. } = server;
            let served = Served { ends, connection, ordinal: stream(id), likeness: None };
            let found = match clients.sight(&served) {
                Sight::Told(_) => Some(true),
                Sight::Untold => Some(false),
                Sight::Awaited(_) => None,
                Sight::Nobody => panic!("nobody"),
            };
            assert_eq!(found, expected, "{id}");
        };
        check(&clients, 3, None);
        for (id, has_losses) in [(3, false), (7, false), (9, true), (13, true)] {
            clients.opened(&client, stream(id), has_losses);
        }
        for (id, expected) in [(1, false), (3, true), (5, true), (9, true), (11, false), (13, true)]
        {
            check(&clients, id, Some(expected));
        }
        check(&clients, 15, None);
        clients.closed(&client, BootNanos(u64::MAX));
        check(&clients, 15, Some(false));
    }

    #[test]
    fn of_the_last_requests_is_known_which_were_told() {
        let mut asked = Asked::default();
        let check = |asked: &Asked, ordinal, expected| {
            assert_eq!(asked.contains(ordinal), expected, "{ordinal} of {asked:?}");
        };
        check(&asked, 1, None);
        for ordinal in [1, 2, 5] {
            asked.insert(ordinal);
        }
        let expected = [Some(true), Some(true), Some(false), Some(false), Some(true), None];
        (1..).zip(expected).for_each(|(ordinal, expected)| check(&asked, ordinal, expected));
        asked.insert(500);
        check(&asked, 5, Some(false));
        check(&asked, 500, Some(true));
    }
}
