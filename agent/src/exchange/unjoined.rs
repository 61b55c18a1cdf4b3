//! Exchanges of which the client's end is perhaps about to be seen. The probe at that end runs when its
//! call returns, and the server may have answered by then: what joins the two comes last. A client that
//! was seen, but of which nobody knows yet whose it is, is awaited until somebody does.
//!
//! And where the client is known its request is awaited: if the record of it was lost nothing is told of it,
//! and nothing may stand below it.
//!
//! Time is that of records, and of ticks.

use std::collections::{HashSet, VecDeque};

use super::{
    Exchange, Told,
    clients::{Clients, Pair, Served, Sight},
};
use crate::event::{BootNanos, Connection, ConnectionId, TaskId};

/// The age of a connection until which its client is awaited, and of an exchange until which its request is.
pub(super) const AWAITED_NS: u64 = 200_000_000;
/// That wait for their client at one time, and as many for its request; what comes then does not.
pub(super) const MAX_UNJOINED: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Unjoined {
    /// The oldest ends first, and so nearly the oldest connections.
    waiting: VecDeque<Waiting>,
    /// Those of which the client is held, however old they are.
    for_held: Vec<Waiting>,
    /// Clients' ends whose records are held elsewhere, the client's first. Whoever holds them bounds them.
    held: HashSet<Pair>,
    /// Those of which the client is known by its connection, the oldest ends first.
    for_asked: Vec<(ConnectionId, Waiting)>,
    /// They wait no longer.
    given: Vec<Told>,
}

type Waiting = (Served, Box<Exchange>);

/// For what an exchange waits.
enum Awaits {
    Client(Served),
    Request(ConnectionId, Served),
}

impl Unjoined {
    /// Gives a server's exchange the client's, and likewise the one that a client's was made for, where those
    /// are told. Takes what is to wait for that out of `told`.
    pub(super) fn join(&mut self, told: &mut Vec<Told>, clients: &Clients, now: BootNanos) {
        let mut at = 0;
        while let Some(one) = told.get_mut(at) {
            let awaits = match one {
                Told::Exchange(exchange) => self.joined_or_awaits(exchange, clients, now),
                Told::Refused(_) => None,
            };
            let Some(awaits) = awaits else {
                at += 1;
                continue;
            };
            let Told::Exchange(exchange) = told.remove(at) else { continue };
            match awaits {
                Awaits::Client(served) => self.waiting.push_back((served, exchange)),
                Awaits::Request(client, served) => {
                    self.for_asked.push((client, (served, exchange)))
                }
            }
        }
    }

    /// What waits no longer, and was not taken since.
    pub(super) fn given(&mut self) -> &mut Vec<Told> {
        &mut self.given
    }

    /// For what it waits, where it is not known yet whether it has a client's exchange above it.
    fn joined_or_awaits(
        &self,
        exchange: &mut Exchange,
        clients: &Clients,
        now: BootNanos,
    ) -> Option<Awaits> {
        let served = Served::of(exchange)?;
        let (peer, context) = match &mut exchange.cause {
            Some(cause) => (&mut cause.peer, &cause.context),
            None => (&mut exchange.peer, &exchange.request.context),
        };
        // Where a header says what it stands below, it waits for nobody.
        let is_wanted = context.is_none();
        let has_room = self.waiting.len() + self.for_held.len() < MAX_UNJOINED;
        let may_come = || served.is_young(now) || self.held.contains(&served.client());
        match clients.sight(&served) {
            Sight::Told(found) => {
                *peer = Some(found);
                None
            }
            Sight::Awaited(client)
                if is_wanted
                    && self.for_asked.len() < MAX_UNJOINED
                    && is_young(exchange.last, now) =>
            {
                Some(Awaits::Request(client, served))
            }
            Sight::Nobody if is_wanted && has_room && may_come() => Some(Awaits::Client(served)),
            Sight::Awaited(_) | Sight::Untold | Sight::Nobody => None,
        }
    }

    /// The client was seen: it is told later, or never.
    pub(super) fn hold(&mut self, client: &Connection) {
        self.held.insert(client.ends.pair());
    }

    /// It never is.
    pub(super) fn give_up(&mut self, client: &Connection) {
        let pair = client.ends.pair();
        self.held.remove(&pair);
        // They are not young: the next that is due is one of them.
        let its = self.for_held.extract_if(.., |(served, _)| served.client() == pair);
        its.for_each(|one| self.waiting.push_front(one));
    }

    /// Gives those that waited for this client.
    pub(super) fn joined(&mut self, client: &Connection) {
        let pair = client.ends.pair();
        self.held.remove(&pair);
        self.give(|(served, _)| served.client() == pair);
    }

    /// Gives those that waited for the client's request with this number on this connection, or for one
    /// before it, which is not told any more.
    pub(super) fn asked(&mut self, client: ConnectionId, ordinal: u64) {
        self.give_asked(|(on, (served, _))| *on == client && served.ordinal <= ordinal);
    }

    /// Gives those of these processes.
    pub(super) fn stop(&mut self, owners: &HashSet<TaskId>) {
        self.give(|(_, exchange)| owners.contains(&exchange.owner));
    }

    /// Gives all, for nothing comes any more.
    pub(super) fn all(&mut self) {
        self.held.clear();
        self.give(|_| true);
    }

    fn give(&mut self, is_wanted: impl Fn(&Waiting) -> bool) {
        let (wanted, others): (VecDeque<_>, _) = self.waiting.drain(..).partition(&is_wanted);
        self.waiting = others;
        let held = self.for_held.extract_if(.., |one| is_wanted(one));
        self.given.extend(wanted.into_iter().chain(held).map(|(_, one)| Told::Exchange(one)));
        self.give_asked(|(_, one)| is_wanted(one));
    }

    fn give_asked(&mut self, is_wanted: impl Fn(&(ConnectionId, Waiting)) -> bool) {
        let wanted = self.for_asked.extract_if(.., |one| is_wanted(one));
        self.given.extend(wanted.map(|(_, (_, exchange))| Told::Exchange(exchange)));
    }

    /// Gives those that do not wait any longer.
    pub(super) fn due(&mut self, now: BootNanos) {
        while let Some(one) = self.waiting.pop_front_if(|(served, _)| !served.is_young(now)) {
            if self.held.contains(&one.0.client()) {
                self.for_held.push(one);
            } else {
                self.given.push(Told::Exchange(one.1));
            }
        }
        let is_due = |(_, (_, exchange)): &(ConnectionId, Waiting)| !is_young(exchange.last, now);
        if self.for_asked.first().is_some_and(is_due) {
            self.give_asked(is_due);
        }
    }
}

impl Served {
    fn is_young(&self, now: BootNanos) -> bool {
        is_young(BootNanos(self.connection.since_ns), now)
    }
}

fn is_young(since: BootNanos, now: BootNanos) -> bool {
    now.0.saturating_sub(since.0) < AWAITED_NS
}

#[cfg(test)]
mod tests {
    use abi::socket as wire;

    use super::*;
    use crate::decode::decode;
    use crate::event::Event;
    use crate::exchange::{
        Exchanges, Released,
        tests::{ID, announced, client, closed, get, on, piece, play},
    };

    /// Since when the server's connections are.
    const SINCE_NS: u64 = 300;

    /// A request that is served from its first record to its last, at that time.
    fn served(port: u16, time_ns: u64) -> Vec<Vec<u8>> {
        let records = [
            announced(wire::Role::SERVER, 80, port, ID.sock),
            piece(0, 1, 0, 3, "GET /a HTTP/1.1\r\n\r\n", time_ns),
            piece(1, 1, 0, 3, "HTTP/1.1 204 X\r\n\r\n", time_ns),
        ];
        let since_ns = SINCE_NS + u64::from(port);
        records.into_iter().map(|record| on(record, since_ns)).collect()
    }

    /// Whether each that was told is joined.
    fn joined(told: &[Told]) -> Vec<bool> {
        let is_joined = |one: &Told| matches!(one, Told::Exchange(one) if one.peer.is_some());
        told.iter().map(is_joined).collect()
    }

    #[test]
    fn what_is_answered_before_its_client_is_seen_waits_for_it() {
        const NOBODY: [bool; 0] = [];
        let told_of = |then: &[Vec<u8>]| {
            let records = [&served(40_000, 500)[..], then].concat();
            joined(&play(&mut Exchanges::default(), &records).0)
        };
        let of_another_port = on(announced(wire::Role::CLIENT, 9, 80, ID.sock), 9);
        assert_eq!(told_of(&[]), NOBODY);
        assert_eq!(told_of(std::slice::from_ref(&of_another_port)), NOBODY);
        assert_eq!(told_of(&[of_another_port, client()]), NOBODY);
        assert_eq!(told_of(&[client(), get(1)]), [true]);
    }

    #[test]
    fn nothing_stands_below_a_request_of_which_nothing_is_told() {
        let told_of = |then: &[Vec<u8>]| {
            let mut exchanges = Exchanges::default();
            let served = served(40_000, 500).into_iter().map(|record| on(record, SINCE_NS));
            let records: Vec<_> = served.chain(then.iter().cloned()).collect();
            let (mut told, _) = play(&mut exchanges, &records);
            let before = told.len();
            let _released = exchanges.tick(BootNanos(510 + AWAITED_NS), &mut told);
            (before, joined(&told))
        };
        // The next one was seen; the connection is over; it does not come.
        assert_eq!(told_of(&[client(), get(2)]), (1, vec![false]));
        assert_eq!(told_of(&[client(), closed(0, 0)]), (1, vec![false]));
        assert_eq!(told_of(&[client()]), (0, vec![false]));
        // The rest of its head was lost.
        let torn = piece(1, 0, 0, 0, "GET /", 90);
        assert_eq!(told_of(&[client(), torn]), (0, vec![false]));
    }

    #[test]
    fn a_client_that_is_held_is_awaited_until_it_is_told_or_never_will_be() {
        const OLD: BootNanos = BootNanos(100 * AWAITED_NS);
        let client = client();
        let Ok(Event::Connection(seen)) = decode(&client) else { panic!("no connection") };
        let served = || {
            let (mut exchanges, mut told) = (Exchanges::default(), Vec::new());
            play(&mut exchanges, &served(40_000, 500));
            exchanges.hold_client(&seen);
            assert_eq!(exchanges.tick(OLD, &mut told), Released::default());
            assert!(told.is_empty());
            exchanges
        };
        let (mut exchanges, mut told) = (served(), Vec::new());
        assert_eq!(exchanges.connection(&seen, &mut told), Released::default());
        assert!(told.is_empty());
        let request = get(1);
        let Ok(Event::Head(head)) = decode(&request) else { panic!("no head") };
        assert_eq!(exchanges.head(&head, &mut told), Released::default());
        assert_eq!(joined(&told), [true]);
        let (mut exchanges, mut told) = (served(), Vec::new());
        exchanges.give_up_client(&seen);
        assert_eq!(exchanges.tick(OLD, &mut told), Released::default());
        assert_eq!((joined(&told), exchanges.held()), (vec![false], 0));
        let (mut exchanges, mut told) = (served(), Vec::new());
        assert_eq!(exchanges.finish(OLD, &mut told), Released::default());
        assert_eq!(joined(&told), [false]);
    }

    #[test]
    fn no_client_is_awaited_for_ever() {
        let mut exchanges = Exchanges::default();
        let (mut told, _) = play(&mut exchanges, &served(40_000, 500));
        let young = BootNanos(SINCE_NS + 40_000 + AWAITED_NS - 1);
        assert_eq!(exchanges.tick(young, &mut told), Released::default());
        assert_eq!(told.len(), 0);
        let old = BootNanos(young.0 + 1);
        assert_eq!(exchanges.tick(old, &mut told), Released::default());
        assert_eq!((joined(&told), exchanges.held()), (vec![false], 0));
        let (told, _) = play(&mut exchanges, &served(40_001, SINCE_NS + 40_001 + AWAITED_NS));
        assert_eq!(joined(&told), [false]);
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let mut exchanges = Exchanges::default();
        let ports = 1..=u16::try_from(MAX_UNJOINED + 5).unwrap();
        let records: Vec<_> = ports.flat_map(|port| served(port, 500)).collect();
        let (told, _) = play(&mut exchanges, &records);
        assert_eq!(told.len(), 5);
    }
}
