//! What the two ends of a connection say to each other, and the calls in which a process moves it.

use std::fmt;

use proptest::prelude::*;

use crate::protocol::{
    Direction::{self, Request, Response},
    Sides,
};

/// In bodies and between their chunks. Nowhere else.
pub(super) const CANARY: &[u8] = b"c4n4ry";
/// In the heads of some requests.
pub(super) const CONTEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Bodies look like what is not to be found in them.
const BODY: &[u8] =
    b"c4n4ry\r\n\r\nGET / HTTP/1.1\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\0\0\x06\x04\0\0\0\0\0";

/// Some bytes of a direction, and what may become of them.
#[derive(Clone)]
pub(super) enum Part {
    /// They are to reach user space as they are.
    Shown(Vec<u8>),
    /// Nothing of it does.
    Passed(Vec<u8>),
    /// Likewise; and it may be moved where no program sees it.
    Body(Vec<u8>),
}

impl fmt::Debug for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Shown(bytes) | Self::Passed(bytes) | Self::Body(bytes)) = self;
        let kind = match self {
            Self::Shown(_) => "shown",
            Self::Passed(_) => "passed",
            Self::Body(_) => "body",
        };
        write!(out, "{kind} \"{}\"", bytes.escape_ascii())
    }
}

/// What is in a body so long.
pub(super) fn bytes(len: usize) -> Vec<u8> {
    BODY.iter().copied().cycle().take(len).collect()
}

pub(super) fn body(len: usize) -> Part {
    Part::Body(bytes(len))
}

/// What is said, in rounds. A round begins when all of the one before it was moved; within one
/// both directions go at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    pub(super) rounds: Vec<Sides<Vec<Part>>>,
    /// What each end is to tell, in any order: see [`line`](super::line).
    pub(super) expected: Vec<String>,
}

impl Script {
    /// In a round of its own.
    pub(super) fn say(&mut self, direction: Direction, parts: impl IntoIterator<Item = Part>) {
        let mut round = Sides::<Vec<Part>>::default();
        round.of_mut(direction).extend(parts);
        self.rounds.push(round);
    }

    /// As a part of the round at hand, if it has none but this direction.
    pub(super) fn join(&mut self, direction: Direction, parts: Vec<Part>) {
        match self.rounds.last_mut() {
            Some(round) if round.of(direction.opposite()).is_empty() => {
                round.of_mut(direction).extend(parts);
            }
            _ => self.say(direction, parts),
        }
    }

    pub(super) fn say_both(&mut self, request: Vec<Part>, response: Vec<Part>) {
        self.rounds.push(Sides { request, response });
    }

    /// What of a direction is to reach user space.
    pub(super) fn shown(&self, direction: Direction) -> Vec<u8> {
        let parts = self.rounds.iter().flat_map(|round| round.of(direction));
        let shown = parts.filter_map(|part| match part {
            Part::Shown(bytes) => Some(bytes.as_slice()),
            Part::Passed(_) | Part::Body(_) => None,
        });
        shown.flatten().copied().collect()
    }
}

/// Where what is said is cut into calls. Each list is gone through again and again.
#[derive(Debug, Clone)]
pub(super) struct Cuts {
    /// Bytes of a call.
    lens: Vec<usize>,
    /// Which part of a body nobody sees: from and to, in sixteenths.
    hidden: Vec<(usize, usize)>,
    /// Which direction is next, where both have something to say.
    order: Vec<bool>,
    /// Lies behind the bytes of a piece.
    pub(super) behind: u8,
}

impl Cuts {
    /// A call for all that a round has in a direction.
    pub(super) fn none() -> Self {
        Self::every(usize::MAX)
    }

    /// All calls as long as this.
    pub(super) fn every(len: usize) -> Self {
        Self { lens: vec![len], hidden: vec![(0, 0)], order: vec![true], behind: b'A' }
    }

    pub(super) fn any() -> impl Strategy<Value = Self> {
        let len = prop_oneof![2 => 1..12_usize, 2 => 1..100_usize, 1 => 1..6000_usize];
        let lens = prop::collection::vec(len, 1..10);
        let seen = Just((0, 0));
        let hidden = prop::collection::vec(prop_oneof![seen, (0..16_usize, 1..17_usize)], 1..5);
        let order = prop::collection::vec(any::<bool>(), 1..20);
        let behind = prop::sample::select(b"\n0Aa: \0\r".to_vec());
        (lens, hidden, order, behind).prop_map(|(lens, hidden, order, behind)| Self {
            lens,
            hidden,
            order,
            behind,
        })
    }
}

#[derive(Debug)]
pub(super) enum Call {
    Seen(Vec<u8>),
    Hidden(usize),
}

/// Goes through [`Cuts`].
#[derive(Debug)]
pub(super) struct Cutter {
    cuts: Cuts,
    at: usize,
}

impl Cutter {
    pub(super) fn new(cuts: Cuts) -> Self {
        Self { cuts, at: 0 }
    }

    /// The calls of a round, in their order.
    pub(super) fn calls(&mut self, round: &Sides<Vec<Part>>) -> Vec<(Direction, Call)> {
        let mut request = self.pieces(&round.request).into_iter().peekable();
        let mut response = self.pieces(&round.response).into_iter().peekable();
        let mut calls = Vec::new();
        loop {
            let is_request = response.peek().is_none()
                || (request.peek().is_some() && next(&self.cuts.order, &mut self.at));
            let (direction, pieces) =
                if is_request { (Request, &mut request) } else { (Response, &mut response) };
            let Some(piece) = pieces.next() else { return calls };
            calls.push((direction, piece));
        }
    }

    fn pieces(&mut self, parts: &[Part]) -> Vec<Call> {
        let (mut pieces, mut run) = (Vec::new(), Vec::new());
        for part in parts {
            let (bytes, (from, to)) = match part {
                Part::Body(bytes) => (bytes, next(&self.cuts.hidden, &mut self.at)),
                Part::Shown(bytes) | Part::Passed(bytes) => (bytes, (0, 0)),
            };
            let (from, to) = (bytes.len() * from / 16, bytes.len() * to / 16);
            if from >= to {
                run.extend_from_slice(bytes);
                continue;
            }
            run.extend_from_slice(&bytes[..from]);
            self.cut(&mut run, &mut pieces);
            let mut left = to - from;
            while left > 0 {
                let len = next(&self.cuts.lens, &mut self.at).min(left);
                pieces.push(Call::Hidden(len));
                left -= len;
            }
            run.extend_from_slice(&bytes[to..]);
        }
        self.cut(&mut run, &mut pieces);
        pieces
    }

    fn cut(&mut self, run: &mut Vec<u8>, pieces: &mut Vec<Call>) {
        let mut rest = run.as_slice();
        while !rest.is_empty() {
            let len = next(&self.cuts.lens, &mut self.at).min(rest.len());
            pieces.push(Call::Seen(rest[..len].to_vec()));
            rest = &rest[len..];
        }
        run.clear();
    }
}

fn next<T: Copy>(list: &[T], at: &mut usize) -> T {
    *at += 1;
    list[*at % list.len()]
}
