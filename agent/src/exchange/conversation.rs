//! A connection while it lasts: what of its messages came until now.

use super::{
    Ending, MAX_WAITING, Released, Told,
    multiplexed::Multiplexed,
    open::{Open, Piece},
    threads::{Thread, Threads},
};
use crate::{
    event::{BootNanos, CloseReason, Closed, Connection, Frames, Head, Role, Way},
    protocol::{
        RequestHead, Version,
        http1::{self, NoHead},
        http2::{self, HEADER_LEN, PREFACE},
    },
};

#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) announced: Option<Connection>,
    received: Piece,
    sent: Piece,
    /// Where it speaks HTTP/2.
    pub(super) frames: Option<Box<Multiplexed>>,
    /// Requests in their order, those whose response came first at the front. None but the last is
    /// answered: what is before another has ended.
    pub(super) waiting: Vec<Open>,
    /// The last request that was told before it ended, and which way it went.
    told_early: Option<(Way, u32)>,
    /// Something of it goes with nothing, or could not be read.
    pub(super) has_losses: bool,
    exchanges: u64,
    /// Records that go with the next exchange.
    pub(super) records: u32,
}

/// What became of an exchange with the end of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is answered, but its request has not ended.
    AwaitsRequest,
    /// It was told, or its response has not ended.
    Other,
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
                let request = RequestHead { is_cut: piece.is_cut, ..*request };
                self.asked(threads, head, piece, request, version)
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
                open.answer(response, piece.first, piece.records);
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

    /// Whether this is the first piece of a request.
    pub(super) fn asks(&self, head: &Head<'_>) -> bool {
        head.offset == 0 && self.announced.is_some_and(|known| known.role.asks() == head.way)
    }

    /// The request that this complete head is of, where a client sent it.
    pub(super) fn asked_by_client(&self, head: &Head<'_>) -> Option<(&Connection, &Open)> {
        let client = self.announced.as_ref().filter(|one| one.role == Role::Client)?;
        let request = self.waiting.last()?;
        let is_it = head.way == Way::Sent && request.ordinal == head.ordinal;
        is_it.then_some((client, request))
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
    ) -> Ended {
        let is_it = |open: &Open| open.ordinal == ordinal;
        let Some(at) = self.waiting.iter().position(is_it) else { return Ended::Other };
        let is_last = at + 1 == self.waiting.len();
        let Some(open) = self.waiting.get_mut(at) else { return Ended::Other };
        if way == open.request_way {
            open.request_body_bytes = Some(body_bytes);
        } else if open.response.is_some() && open.answered.is_none() {
            open.response_body_bytes = Some(body_bytes);
            if open.is_upgraded_to_http2() {
                // The answer follows, in frames; or it does not.
                return Ended::Other;
            }
            open.answered = Some(time);
            if is_last && open.request_body_bytes.is_none() {
                return Ended::AwaitsRequest;
            }
        }
        self.tell_answered(at, out);
        Ended::Other
    }

    /// A message begins: what went this way before it has ended, though nothing may have told of that.
    pub(super) fn begins(&mut self, way: Way, out: &mut Vec<Told>) {
        if self.waiting.last().is_some_and(|open| open.request_way == way) {
            self.tell_answered(self.waiting.len() - 1, out);
        }
    }

    /// The end of this request was awaited for long enough.
    pub(super) fn overdue(&mut self, ordinal: u32, out: &mut Vec<Told>) {
        if let Some(at) = self.waiting.iter().position(|open| open.ordinal == ordinal) {
            self.tell_answered(at, out);
        }
    }

    fn tell_answered(&mut self, at: usize, out: &mut Vec<Told>) {
        let Some(answered) = self.waiting.get(at).and_then(|open| open.answered) else { return };
        let open = self.waiting.remove(at);
        if open.request_body_bytes.is_none() {
            self.told_early = Some((open.request_way, open.ordinal));
        }
        self.tell(open, Ending::Whole, answered, out);
    }

    /// Whether the end of this message is that of an exchange, open or told before it.
    pub(super) fn expects(&self, way: Way, ordinal: u32) -> bool {
        self.told_early == Some((way, ordinal))
            || self.waiting.iter().any(|open| open.ordinal == ordinal)
    }

    fn tell(&mut self, open: Open, ending: Ending, last: BootNanos, out: &mut Vec<Told>) {
        let first = self.exchanges == 0;
        self.exchanges += 1;
        let records = std::mem::take(&mut self.records);
        out.push(Told::Exchange(Box::new(open.told(self.announced, first, ending, last, records))));
    }

    /// Keeps the beginning of the first frame of a server that speaks first, which comes before it is
    /// known that it is one. Gives whether it is that.
    pub(super) fn may_be_frames(&mut self, frames: &Frames<'_>) -> bool {
        let piece = self.piece(frames.way);
        let have = piece.bytes.len() as u64;
        let is_beginning =
            have == frames.offset && have + (frames.bytes.len() as u64) < HEADER_LEN as u64;
        if is_beginning {
            piece.bytes.extend_from_slice(frames.bytes);
            piece.records += 1;
        }
        is_beginning
    }

    /// Frames come. Gives what came of the first before it was known to be one; what else came this
    /// way may be the beginning of the preface, before that was known.
    pub(super) fn begins_frames(&mut self, way: Way) -> Vec<u8> {
        let piece = self.piece(way);
        let is_preface = PREFACE.starts_with(&piece.bytes);
        if !is_preface && piece.bytes.first() != Some(&0) {
            return Vec::new();
        }
        let piece = std::mem::take(piece);
        self.records += piece.records;
        if is_preface { Vec::new() } else { piece.bytes }
    }

    /// What came until now of the head that goes this way.
    pub(super) fn piece(&mut self, way: Way) -> &mut Piece {
        match way {
            Way::Received => &mut self.received,
            Way::Sent => &mut self.sent,
        }
    }

    /// Its frames; with the first of them an upgraded request becomes stream 1.
    pub(super) fn multiplexed(&mut self, announced: Connection) -> &mut Multiplexed {
        let Self { frames, waiting, records, told_early, .. } = self;
        frames.get_or_insert_with(|| {
            let upgraded = waiting.iter().position(Open::is_upgraded_to_http2);
            Box::new(match upgraded.map(|at| waiting.remove(at)) {
                Some(open) => {
                    *records += open.records;
                    if open.request_body_bytes.is_none() {
                        *told_early = Some((open.request_way, open.ordinal));
                    }
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
        let Some(frames) = &mut self.frames else { return http2::Counts::default() };
        let counts = frames.take_counts();
        self.has_losses |= counts.losses().into_iter().any(|(_, count)| count > 0);
        counts
    }

    /// No frame comes any more.
    pub(super) fn close_frames(&mut self, closed: &Closed, out: &mut Vec<Told>) {
        if let Some(multiplexed) = &mut self.frames {
            multiplexed.closed(closed);
            self.tell_multiplexed(out);
        }
    }

    pub(super) fn close(
        &mut self,
        closed: &Closed,
        ending: Ending,
        out: &mut Vec<Told>,
    ) -> Released {
        for mut open in std::mem::take(&mut self.waiting) {
            let upgraded = open.response_first.filter(|_| open.is_upgraded());
            if let Some(over) = open.answered.or(upgraded) {
                self.tell(open, Ending::Whole, over, out);
                continue;
            }
            let is_there = open.response.is_some() && closed.reason == CloseReason::Socket;
            let (body_bytes, is_cut) = match open.request_way {
                Way::Sent => (closed.received_body_bytes, closed.received_cut),
                Way::Received => (closed.sent_body_bytes, closed.sent_cut),
            };
            if is_there {
                open.response_body_bytes = Some(body_bytes);
            }
            // The end of the connection is that of the body.
            let is_whole = ending == Ending::Closed(0) && is_there && !is_cut;
            let ending = if is_whole { Ending::Whole } else { ending };
            let last = if closed.last.0 == 0 { open.request_first } else { closed.last };
            self.tell(open, ending, last, out);
        }
        let torn = self.received.records + self.sent.records;
        let left = std::mem::take(&mut self.records);
        // Of HTTP/2 there may be nothing but what the connection needs itself: no exchange is lost then.
        let has_losses = self.has_losses || torn > 0;
        if self.announced.is_none() && self.exchanges == 0 && !self.has_losses {
            // It began like HTTP, and was none.
            return Released { settled: left + torn, ..Released::default() };
        }
        if self.exchanges > 0 || !has_losses {
            Released { settled: left, unpaired: torn, ..Released::default() }
        } else {
            Released { unpaired: left + torn, ..Released::default() }
        }
    }
}
