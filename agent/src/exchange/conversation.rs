//! A connection while it lasts: what of its messages came until now.

use super::{
    Ending, MAX_WAITING, Released, Told,
    multiplexed::Multiplexed,
    open::{Open, Piece},
    threads::{Thread, Threads},
};
use crate::{
    event::{BootNanos, CloseReason, Closed, Connection, Head, Way},
    protocol::{
        RequestHead, Version,
        http1::{self, NoHead},
        http2,
    },
};

#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) announced: Option<Connection>,
    pub(super) received: Piece,
    pub(super) sent: Piece,
    /// Where it speaks HTTP/2.
    pub(super) frames: Option<Box<Multiplexed>>,
    /// Requests in their order, those whose response came first at the front.
    pub(super) waiting: Vec<Open>,
    exchanges: u64,
    /// Records that go with the next exchange.
    pub(super) records: u32,
}

impl Conversation {
    /// The head of which this is the last piece is complete.
    pub(super) fn whole(
        &mut self,
        threads: &mut Threads,
        head: &Head<'_>,
        piece: Piece,
    ) -> Released {
        if piece.tid.is_none() {
            threads.interleaves(head.owner);
        }
        let lost = Released { unpaired: piece.records, ..Released::default() };
        match http1::head(&piece.bytes) {
            Ok(http1::Head::Request(request, version)) => {
                self.asked(threads, head, piece, *request, version)
            }
            Ok(http1::Head::Response(response, _)) => {
                let is_interim = response.status < 200 && response.status != 101;
                let Some(open) = self.waiting_for(head.ordinal, is_interim) else { return lost };
                if is_interim {
                    open.records += piece.records;
                    return Released::default();
                }
                let by = Thread { process: head.process, tid: head.tid };
                match head.way {
                    Way::Sent => {
                        threads.answers(open.thread, by, open.owner, head.connection, open.ordinal);
                    }
                    Way::Received => threads.hears(open.thread, by, open.owner),
                }
                open.answered(response, piece.first, piece.records);
                Released::default()
            }
            Err(NoHead) => lost,
        }
    }

    fn asked(
        &mut self,
        threads: &mut Threads,
        head: &Head<'_>,
        piece: Piece,
        request: RequestHead,
        version: Version,
    ) -> Released {
        if self.waiting.len() >= MAX_WAITING {
            threads.interleaves(head.owner);
            return Released { refused: piece.records, ..Released::default() };
        }
        let mut open = Open::new(head, request, version, piece.first, piece.records);
        match head.way {
            Way::Received => threads.serves(open.thread, open.as_cause(self.announced)),
            Way::Sent => open.cause = threads.asks(open.thread, open.owner, open.user_agent()),
        }
        self.waiting.push(open);
        Released::default()
    }

    /// The request that a response with this number answers. Those before it are never answered.
    fn waiting_for(&mut self, ordinal: u32, is_interim: bool) -> Option<&mut Open> {
        // The number of an interim response is that of the final one before it.
        let ordinal = if is_interim { ordinal.wrapping_add(1) } else { ordinal };
        self.waiting.iter_mut().find(|open| open.ordinal == ordinal)
    }

    pub(super) fn message_ended(
        &mut self,
        way: Way,
        ordinal: u32,
        time: BootNanos,
        body_bytes: u64,
        out: &mut Vec<Told>,
    ) {
        let Some(at) = self.waiting.iter().position(|open| open.ordinal == ordinal) else { return };
        let Some(open) = self.waiting.get_mut(at) else { return };
        if way == open.request_way {
            open.request_body_bytes = Some(body_bytes);
        } else if open.response.is_some() {
            open.response_body_bytes = Some(body_bytes);
            if open.is_upgraded_to_http2() {
                // The answer follows, in frames; or it does not.
                return;
            }
            let open = self.waiting.remove(at);
            self.tell(open, Ending::Whole, time, out);
        }
    }

    fn tell(&mut self, open: Open, ending: Ending, last: BootNanos, out: &mut Vec<Told>) {
        let first = self.exchanges == 0;
        self.exchanges += 1;
        let records = std::mem::take(&mut self.records);
        out.push(Told::Exchange(Box::new(open.told(self.announced, first, ending, last, records))));
    }

    /// Its frames; with the first of them an upgraded request becomes stream 1.
    pub(super) fn multiplexed(&mut self, announced: Connection) -> &mut Multiplexed {
        let Self { frames, waiting, records, .. } = self;
        frames.get_or_insert_with(|| {
            let upgraded = waiting.iter().position(Open::is_upgraded_to_http2);
            Box::new(match upgraded.map(|at| waiting.remove(at)) {
                Some(open) => {
                    *records += open.records;
                    Multiplexed::upgraded(announced, open)
                }
                None => Multiplexed::new(announced),
            })
        })
    }

    /// What of HTTP/2 is complete.
    pub(super) fn tell_multiplexed(&mut self, out: &mut Vec<Told>) {
        let Some(multiplexed) = &mut self.frames else { return };
        for mut exchange in multiplexed.told() {
            exchange.records = std::mem::take(&mut self.records);
            exchange.connect_ns = exchange.connect_ns.filter(|_| self.exchanges == 0);
            self.exchanges += 1;
            out.push(Told::Exchange(Box::new(exchange)));
        }
    }

    pub(super) fn take_counts(&mut self) -> http2::Counts {
        self.frames.as_mut().map(|frames| frames.take_counts()).unwrap_or_default()
    }

    pub(super) fn close(
        &mut self,
        closed: &Closed,
        ending: Ending,
        out: &mut Vec<Told>,
    ) -> Released {
        if let Some(multiplexed) = &mut self.frames {
            multiplexed.closed(closed.last);
            self.tell_multiplexed(out);
        }
        for mut open in std::mem::take(&mut self.waiting) {
            if let Some(upgraded) = open.response_first.filter(|_| open.is_upgraded()) {
                self.tell(open, Ending::Whole, upgraded, out);
                continue;
            }
            let is_until_close = open.response.is_some() && closed.reason == CloseReason::Socket;
            if is_until_close {
                open.response_body_bytes = Some(match open.request_way {
                    Way::Sent => closed.received_body_bytes,
                    Way::Received => closed.sent_body_bytes,
                });
            }
            let ending = match (ending, is_until_close) {
                (Ending::Closed(0), true) => Ending::Whole,
                (ending, _) => ending,
            };
            let last = if closed.last.0 == 0 { open.request_first } else { closed.last };
            self.tell(open, ending, last, out);
        }
        let torn = self.received.records + self.sent.records;
        let left = std::mem::take(&mut self.records);
        if self.exchanges > 0 {
            Released { settled: left, unpaired: torn, refused: 0 }
        } else {
            Released { unpaired: left + torn, ..Released::default() }
        }
    }
}
