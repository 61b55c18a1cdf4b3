//! A connection that speaks HTTP/2: many exchanges at one time.

use super::{Ending, Exchange, open::Open};
use crate::{
    event::{CloseReason, Closed, Connection, Frames, TaskId},
    protocol::{
        self, Direction, Failure,
        http2::{self, PREFACE},
    },
};

/// Exchanges are numbered by their streams, apart from those of HTTP/1 before an upgrade.
pub(super) const BY_STREAM: u64 = 1 << 32;

/// A request begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Begun {
    /// The exchange with this number, which will be told.
    Exchange(u64),
    /// Some of which nothing will be told, or none: a part of the connection was not seen.
    Unseen,
}

#[derive(Debug)]
pub(super) struct Multiplexed {
    announced: Connection,
    /// Whoever last moved requests.
    process: TaskId,
    owner: TaskId,
    connection: http2::Connection,
    done: Vec<protocol::Exchange>,
}

impl Multiplexed {
    pub(super) fn new(announced: Connection) -> Self {
        Self {
            announced,
            process: announced.process,
            owner: announced.owner,
            connection: http2::Connection::new(),
            done: Vec::new(),
        }
    }

    /// Of which the request is stream 1.
    pub(super) fn upgraded(announced: Connection, open: Open) -> Self {
        let (process, owner) = (open.thread.process, open.owner);
        let connection = http2::Connection::upgraded(open.upgrade());
        Self { process, owner, connection, ..Self::new(announced) }
    }

    pub(super) fn bytes(&mut self, frames: &Frames<'_>) {
        let is_request = frames.way == self.announced.role.asks();
        let direction = if is_request { Direction::Request } else { Direction::Response };
        let mut feed = |offset, bytes| {
            self.connection.bytes(direction, frames.time, offset, bytes, &mut self.done);
        };
        match direction {
            Direction::Response => feed(frames.offset, frames.bytes),
            Direction::Request => {
                if frames.offset == 0 {
                    feed(0, PREFACE);
                }
                feed(frames.offset.saturating_add(PREFACE.len() as u64), frames.bytes);
                (self.process, self.owner) = (frames.process, frames.owner);
            }
        }
        if let Some(counted) = &frames.counted {
            self.connection.counted(direction, counted);
        }
    }

    pub(super) fn closed(&mut self, closed: &Closed) {
        match closed.reason {
            CloseReason::Socket | CloseReason::Tunnel => {
                self.connection.closed(closed.last, &mut self.done);
            }
            CloseReason::OutOfStep => self.connection.unseen(closed.last, &mut self.done),
        }
    }

    /// What began since this was asked last.
    pub(super) fn take_begun(&mut self) -> Vec<Begun> {
        let opened = self.connection.take_opened();
        let begun = opened.into_iter().map(|stream| match stream {
            Some(stream) => Begun::Exchange(BY_STREAM | u64::from(stream)),
            None => Begun::Unseen,
        });
        begun.collect()
    }

    /// What was counted since this was asked last.
    pub(super) fn take_counts(&mut self) -> http2::Counts {
        self.connection.take_counts()
    }

    /// What is complete. Which records it is made of its connection knows.
    pub(super) fn told(&mut self) -> Vec<Exchange> {
        let done = std::mem::take(&mut self.done);
        done.into_iter().map(|exchange| self.exchange(exchange)).collect()
    }

    fn exchange(&self, exchange: protocol::Exchange) -> Exchange {
        let known = self.announced;
        let connect = known.connect.zip(known.connected);
        let has_response = exchange.response.is_some();
        Exchange {
            connection: known.connection,
            ordinal: exchange
                .stream
                .map_or(exchange.ordinal, |stream| BY_STREAM | u64::from(stream)),
            role: known.role,
            process: self.process,
            owner: self.owner,
            // Frames of several requests leave in one call of whoever comes first.
            tid: None,
            ends: Some(known.ends),
            peer: None,
            cause: None,
            version: exchange.version,
            request: exchange.request,
            response: exchange.response,
            request_first: exchange.request_first,
            response_first: exchange.response_first,
            last: exchange.end.max(exchange.request_first),
            request_body_bytes: Some(exchange.request_body_bytes),
            response_body_bytes: has_response.then_some(exchange.response_body_bytes),
            connect_ns: connect.map(|(began, there)| there.0.saturating_sub(began.0)),
            ending: exchange.failure.map_or(Ending::Whole, ending),
            grpc: exchange.grpc,
            joined_late: exchange.joined_late,
            records: 0,
        }
    }
}

fn ending(failure: Failure) -> Ending {
    match failure {
        Failure::Reset => Ending::Reset,
        Failure::Cancelled => Ending::Cancelled,
        Failure::Refused => Ending::Refused,
        Failure::GoAway => Ending::GoneAway,
        Failure::Closed => Ending::Closed(0),
        Failure::Lost => Ending::Unseen,
    }
}
