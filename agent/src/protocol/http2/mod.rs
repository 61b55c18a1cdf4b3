//! HTTP/2 (RFC 9113) as it is seen from aside: bytes of both directions -> exchanges. Takes no part:
//! what only whoever does takes care of, as windows and priorities, is not looked at.

mod block;
mod frame;
mod grpc;
mod head;
mod hpack;
pub mod limit;
mod settings;
mod state;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod walk;

pub(crate) use self::frame::{HEADER_LEN, PREFACE};
pub use self::limit::Counts;
use self::{
    state::{Out, State},
    walk::{Joint, Walker},
};
use super::{Direction, Exchange, Failure, RequestHead, Sides};
use crate::{
    event::{BootNanos, Counted},
    reader::Reader,
};

/// A connection that speaks HTTP/2, from its preface on or from anywhere.
///
/// What was set before its time, or in a hole, is unknown and not guessed at: such exchanges are
/// `joined_late`, or lack what could not be read. Requests of which nothing is known give no
/// exchange at all; they are in the [`Counts`].
#[derive(Debug)]
pub struct Connection {
    walkers: Sides<Walker>,
    state: State,
}

/// A request of HTTP/1.1 that was answered with 101 and goes on as stream 1 (RFC 7540 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// Its own; the next on the connection has the next.
    pub ordinal: u64,
    pub request: RequestHead,
    pub request_first: BootNanos,
    pub request_last: BootNanos,
    pub request_body_bytes: u64,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    pub fn new() -> Self {
        Self::with(State::new())
    }

    /// Of which the bytes behind the request, and behind the answer 101, are HTTP/2.
    pub fn upgraded(upgrade: Upgrade) -> Self {
        Self::with(State::upgraded(upgrade))
    }

    fn with(state: State) -> Self {
        let walkers = Sides { request: Walker::request(), response: Walker::response() };
        Self { walkers, state }
    }

    /// Takes bytes of one direction, which begin at `offset` of it; the first run may begin at any.
    ///
    /// Runs may end anywhere. Payloads of DATA need not come, nor those of frames that are not read;
    /// of the former, the prefixes of gRPC's messages are of use, where nobody counted them before. Anything else that is left out is
    /// a hole: it ends what can be known of the frames in it and of all headers set before it, and
    /// frames are found again at the next run that begins with what can only be one.
    ///
    /// Exchanges that are over are put into `out`, in the order in which they end.
    pub fn bytes(
        &mut self,
        direction: Direction,
        time: BootNanos,
        offset: u64,
        bytes: &[u8],
        out: &mut Vec<Exchange>,
    ) {
        let Self { walkers, state } = self;
        let out = &mut Out { time, exchanges: out };
        state.settle(out);
        let walker = walkers.of_mut(direction);
        let mut run = Reader::new(bytes);
        match walker.begin(offset, &mut run) {
            Joint::Close => {}
            Joint::Overlap(bytes) => state.counts.overlap_bytes += bytes,
            Joint::HoleInFrame(bytes) => state.hole(bytes),
            Joint::Hole(bytes) => {
                state.hole(bytes);
                state.miss(direction, out);
            }
        }
        while let Some(item) = walker.next(time, &mut run) {
            state.item(direction, item, out);
        }
    }

    /// Takes what was counted in the DATA frame that began last, before the bytes behind it come.
    pub fn counted(&mut self, direction: Direction, counted: &Counted) {
        self.state.counted(direction, counted);
    }

    /// The connection ended: all that is open is over.
    pub fn closed(&mut self, time: BootNanos, out: &mut Vec<Exchange>) {
        self.state.over(Failure::Closed, &mut Out { time, exchanges: out });
    }

    /// Nothing more of the connection is seen: how it goes on is not known.
    pub fn unseen(&mut self, time: BootNanos, out: &mut Vec<Exchange>) {
        self.state.over(Failure::Lost, &mut Out { time, exchanges: out });
    }

    /// Exchanges that are not over.
    pub fn open(&self) -> usize {
        self.state.open()
    }

    /// The client's streams that were opened since this was asked last, and `None` where others may have been
    /// that were not seen, or have no exchange.
    pub fn take_opened(&mut self) -> Vec<Option<u32>> {
        std::mem::take(&mut self.state.opened)
    }

    /// What was counted since this was asked last.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.state.counts)
    }
}
