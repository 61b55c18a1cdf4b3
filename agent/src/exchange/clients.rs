//! Clients on this host: the exchange that a server's is, seen from its other end.
//!
//! A server may be told of a request before its client is told to have sent it, and of the end of it
//! after the client is gone: so both are joined when the server's exchange is complete.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};

use super::{Ends, Exchange, Peer};
use crate::event::{BootNanos, Connection, ConnectionId, Role};

/// Connections that are remembered; the oldest are forgotten first.
const MAX_CLIENTS: usize = 32 * 1024;

/// The two ends of a connection, the client's first.
type Pair = (SocketAddr, SocketAddr);

#[derive(Debug)]
struct Client {
    peer: Peer,
    /// When it moved its last byte, where it is closed: another may have its port since.
    last: Option<BootNanos>,
}

#[derive(Debug, Default)]
pub(super) struct Clients {
    by_ends: HashMap<Pair, Client>,
    /// Oldest first; every key of `by_ends` is in it.
    order: VecDeque<Pair>,
}

impl Clients {
    pub(super) fn insert(&mut self, connection: &Connection) {
        let pair = (connection.local, connection.remote);
        let peer = Peer { owner: connection.owner, connection: connection.connection };
        if self.by_ends.insert(pair, Client { peer, last: None }).is_none() {
            self.order.push_back(pair);
        }
        if self.order.len() > MAX_CLIENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_ends.remove(&oldest);
        }
    }

    pub(super) fn closed(&mut self, connection: &Connection, last: BootNanos) {
        let client = self.by_ends.get_mut(&(connection.local, connection.remote));
        if let Some(client) = client.filter(|one| one.peer.connection == connection.connection) {
            client.last = Some(last);
        }
    }

    /// Gives a server's exchange the client's, and likewise the one that a client's was made for.
    pub(super) fn join(&self, exchange: &mut Exchange) {
        if exchange.role == Role::Server {
            exchange.peer = self.peer(exchange.ends, exchange.connection);
        }
        if let Some(cause) = &mut exchange.cause {
            cause.peer = self.peer(cause.ends, cause.connection);
        }
    }

    /// At the other end of a server's connection. A client may be gone before its request is read, but
    /// not before the connection was there.
    fn peer(&self, ends: Option<Ends>, server: ConnectionId) -> Option<Peer> {
        let ends = ends?;
        let client = self.by_ends.get(&(ends.remote, ends.local))?;
        let is_another = client.last.is_some_and(|last| last.0 < server.since_ns);
        (!is_another).then_some(client.peer)
    }
}
