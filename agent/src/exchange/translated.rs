//! Clients whose server has another address than the one that they asked: a Service's, which the node
//! translates on the way to a pod's.
//!
//! The client's own end is the same on both sides, unless it was translated, too. A system may give one end to
//! several connections at one time, if they go to different addresses: so the request has to be the same one,
//! by its number on the connection and by what it asks of whom, and no other client of that end may have asked
//! the like. Where two have, neither is taken.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use crate::{event::Endpoint, protocol::RequestHead};

/// Requests of a connection that are remembered: one is looked for when it was answered.
const MAX_REQUESTS: usize = 8;

/// What a request asks of whom, which is the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likeness(u64);

impl Likeness {
    pub(super) fn of(request: &RequestHead) -> Self {
        let mut hasher = DefaultHasher::new();
        (&request.method, &request.authority, &request.target).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The last requests of a client.
#[derive(Debug, Default)]
pub(super) struct Requests(VecDeque<(u32, Likeness)>);

impl Requests {
    pub(super) fn insert(&mut self, ordinal: u32, likeness: Likeness) {
        if self.0.len() >= MAX_REQUESTS {
            self.0.pop_front();
        }
        self.0.push_back((ordinal, likeness));
    }

    pub(super) fn contains(&self, ordinal: u64, likeness: Likeness) -> bool {
        self.0.iter().any(|(number, one)| u64::from(*number) == ordinal && *one == likeness)
    }
}

/// Where clients' connections go, by their own end. Of loopback each network has its own, with the same
/// addresses: those are never translated.
#[derive(Debug, Default)]
pub(super) struct ByEnd(HashMap<Endpoint, Vec<Endpoint>>);

impl ByEnd {
    pub(super) fn insert(&mut self, (here, there): (Endpoint, Endpoint)) {
        if let Endpoint::Inet(address) = here
            && !address.ip().is_loopback()
        {
            self.0.entry(here).or_default().push(there);
        }
    }

    pub(super) fn remove(&mut self, (here, there): (Endpoint, Endpoint)) {
        if let Some(all) = self.0.get_mut(&here) {
            all.retain(|one| *one != there);
            if all.is_empty() {
                self.0.remove(&here);
            }
        }
    }

    pub(super) fn of(&self, here: Endpoint) -> impl Iterator<Item = (Endpoint, Endpoint)> {
        self.0.get(&here).into_iter().flatten().map(move |there| (here, *there))
    }
}

#[cfg(test)]
mod tests {
    use abi::socket as wire;
    use zerocopy::{FromBytes as _, IntoBytes as _};

    use crate::{
        event::BootNanos,
        exchange::{
            Exchanges, Told,
            tests::{ID, announced, answer, closed, on as since, piece, play},
            unjoined::AWAITED_NS,
        },
    };

    const CLIENT: ([u8; 4], u16) = ([10, 244, 0, 5], 40_000);
    const SERVICE: ([u8; 4], u16) = ([10, 96, 0, 1], 80);
    const OTHER_SERVICE: ([u8; 4], u16) = ([10, 96, 0, 2], 80);
    const POD: ([u8; 4], u16) = ([10, 244, 0, 6], 8080);
    const LOCAL: ([u8; 4], u16) = ([127, 0, 0, 1], 40_000);

    type End = ([u8; 4], u16);

    fn on(sock: u64, mut record: Vec<u8>) -> Vec<u8> {
        // The field `connection`.
        record[48..56].copy_from_slice(&sock.to_le_bytes());
        record
    }

    fn connection(sock: u64, role: wire::Role, here: End, there: End) -> Vec<u8> {
        let record = announced(role, here.1, there.1, sock);
        let mut fixed = wire::Connection::read_from_bytes(&record).unwrap();
        fixed.local[..4].copy_from_slice(&here.0);
        fixed.remote[..4].copy_from_slice(&there.0);
        fixed.as_bytes().to_vec()
    }

    /// A client that asks.
    fn asks(sock: u64, here: End, there: End, request: &str) -> Vec<Vec<u8>> {
        let opened = connection(sock, wire::Role::CLIENT, here, there);
        vec![opened, on(sock, piece(1, 1, 0, 3, request, 100))]
    }

    /// A server that is asked from there, and answers.
    fn serves(from: End, request: &str) -> Vec<Vec<u8>> {
        const SOCK: u64 = 99;
        let accepted = connection(SOCK, wire::Role::SERVER, POD, from);
        let read = on(SOCK, piece(0, 1, 0, 3, request, 110));
        vec![accepted, read, on(SOCK, piece(1, 1, 0, 3, "HTTP/1.1 204 X\r\n\r\n", 120))]
    }

    /// The connection of the client that the server's exchange was joined with.
    fn joined(records: &[&[Vec<u8>]]) -> Option<u64> {
        let mut exchanges = Exchanges::default();
        let (mut told, lost) = play(&mut exchanges, &records.concat());
        assert_eq!(lost, 0);
        // Where nobody is known, somebody is awaited.
        let _released = exchanges.tick(BootNanos(ID.since_ns + AWAITED_NS), &mut told);
        let [Told::Exchange(served)] = &told[..] else { panic!("{told:?}") };
        served.peer.map(|peer| peer.connection.sock)
    }

    const A: &str = "GET /a HTTP/1.1\r\nHost: shop\r\n\r\n";

    #[test]
    fn a_server_behind_a_service_is_joined_with_who_asked_the_service() {
        let asked = asks(1, CLIENT, SERVICE, A);
        assert_eq!(joined(&[&asked, &serves(CLIENT, A)]), Some(1));
        // The client's call returned later.
        assert_eq!(joined(&[&serves(CLIENT, A), &asked]), Some(1));
    }

    #[test]
    fn who_asked_for_something_else_is_another() {
        let served = serves(CLIENT, A);
        for other in [
            "GET /b HTTP/1.1\r\nHost: shop\r\n\r\n",
            "PUT /a HTTP/1.1\r\nHost: shop\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: bank\r\n\r\n",
            "GET /a HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(joined(&[&asks(1, CLIENT, SERVICE, other), &served]), None, "{other}");
        }
        let neighbour = ([10, 244, 0, 5], 40_001);
        assert_eq!(joined(&[&asks(1, neighbour, SERVICE, A), &served]), None);
        assert_eq!(joined(&[&served]), None);
    }

    #[test]
    fn of_two_with_one_end_the_one_that_asked_this_is_taken_and_none_where_both_did() {
        let (one, served) = (asks(1, CLIENT, SERVICE, A), serves(CLIENT, A));
        let other = asks(2, CLIENT, OTHER_SERVICE, "GET / HTTP/1.1\r\nHost: bank\r\n\r\n");
        assert_eq!(joined(&[&one, &other, &served]), Some(1));
        let alike = asks(2, CLIENT, OTHER_SERVICE, A);
        assert_eq!(joined(&[&one, &alike, &served]), None);
        // Who asked the pod itself is certain.
        let exact = asks(3, CLIENT, POD, A);
        assert_eq!(joined(&[&one, &alike, &exact, &served]), Some(3));
    }

    #[test]
    fn who_was_gone_before_the_connection_was_there_did_not_ask() {
        let is_joined = |since_ns| {
            let mut records = asks(ID.sock, CLIENT, SERVICE, A);
            records.extend([answer(1, 204, 3), closed(0, 0)]);
            records.extend(serves(CLIENT, A).into_iter().map(|record| since(record, since_ns)));
            let (told, _) = play(&mut Exchanges::default(), &records);
            told.iter().any(|one| matches!(one, Told::Exchange(one) if one.peer.is_some()))
        };
        // It is said to have moved its last byte at 350.
        assert!(is_joined(350));
        assert!(!is_joined(351));
    }

    #[test]
    fn loopback_is_not_translated() {
        let asked = asks(1, LOCAL, SERVICE, A);
        assert_eq!(joined(&[&asked, &serves(LOCAL, A)]), None);
    }
}
