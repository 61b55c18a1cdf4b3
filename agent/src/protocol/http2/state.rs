//! Frames of both directions -> exchanges that are over.

use std::borrow::Cow;

use super::{
    Upgrade,
    block::{Block, Gathering, Opening, Purpose, Unusable},
    frame::{self, Header, Kind, StreamId},
    head::Fields,
    hpack::Decoder,
    limit::{Counts, MAX_DOUBT_NS},
    settings::{Settings, TooMany},
    stream::{Stream, Streams, Times},
    walk::{Item, Unread},
};
use crate::{
    event::{BootNanos, Counted},
    protocol::{Direction, Exchange, Failure, Sides},
};

/// How the connection came to speak HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Direct,
    Upgraded,
}

/// The time of what is taken, and where exchanges go that it ends.
#[derive(Debug)]
pub(super) struct Out<'a> {
    pub(super) time: BootNanos,
    pub(super) exchanges: &'a mut Vec<Exchange>,
}

#[derive(Debug)]
pub(super) struct State {
    start: Start,
    decoders: Sides<Decoder>,
    gathering: Sides<Gathering>,
    settings: Settings,
    /// The last stream that a side will do anything for, if it said that there is one.
    goaway: Sides<Option<StreamId>>,
    streams: Streams,
    /// The last stream that the client opened: later ones have higher ids.
    last_request: StreamId,
    next_ordinal: u64,
    /// The client's streams that whoever asks next has not heard of; `None` is any number of unseen ones.
    pub(super) opened: Vec<Option<u32>>,
    /// No exchange is in doubt since earlier; `None` if none is.
    doubt: Option<BootNanos>,
    pub(super) counts: Counts,
}

impl State {
    pub(super) fn new() -> Self {
        let decoders = Sides { request: Decoder::joined(), response: Decoder::joined() };
        Self {
            start: Start::Direct,
            decoders,
            gathering: Sides::default(),
            settings: Settings::default(),
            goaway: Sides::default(),
            streams: Streams::default(),
            last_request: StreamId::CONNECTION,
            next_ordinal: 0,
            opened: Vec::new(),
            doubt: None,
            counts: Counts::default(),
        }
    }

    pub(super) fn upgraded(upgrade: Upgrade) -> Self {
        let mut state = Self { start: Start::Upgraded, ..Self::new() };
        let Upgrade { ordinal, request, request_first, request_last, request_body_bytes } = upgrade;
        let times = Times { first: request_first, last: request_last };
        let mut stream = Stream::new(ordinal, request, times);
        stream.add_request_body(request_body_bytes);
        stream.end(Direction::Request);
        state.streams.insert(StreamId::UPGRADED, stream);
        state.last_request = StreamId::UPGRADED;
        state.next_ordinal = ordinal.saturating_add(1);
        state.counts.exchanges = 1;
        // What the client allows stands in a header of its request, which is not looked at.
        state.decoders.response = Decoder::from_start();
        state.decoders.response.forget_limit();
        state
    }

    pub(super) fn open(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn item(&mut self, direction: Direction, item: Item<'_>, out: &mut Out<'_>) {
        match item {
            Item::Preface => self.preface(),
            Item::Data(frame) => {
                self.interrupt(direction, frame, out);
                self.data(direction, frame, out);
            }
            Item::Body { stream, at, bytes } => {
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.body_bytes(direction, at, bytes);
                }
            }
            Item::Frame { header, payload, started } => {
                self.interrupt(direction, header, out);
                let times = Times { first: started, last: out.time };
                self.frame(direction, header, payload, times, out);
            }
            Item::OutOfStep => {
                self.counts.out_of_step += 1;
                self.miss(direction, out);
            }
            Item::Dropped(bytes) => self.counts.dropped_bytes += bytes,
        }
    }

    pub(super) fn counted(&mut self, direction: Direction, counted: &Counted) {
        if let Some(stream) = self.streams.get_mut(StreamId(counted.stream)) {
            stream.counted(direction, counted);
        }
    }

    /// The connection is seen from its start: nothing was set before.
    fn preface(&mut self) {
        self.decoders.request = Decoder::from_start();
        if self.start == Start::Direct {
            self.decoders.response = Decoder::from_start();
        }
    }

    /// So many bytes are missing.
    pub(super) fn hole(&mut self, bytes: u64) {
        self.counts.holes += 1;
        self.counts.hole_bytes = self.counts.hole_bytes.saturating_add(bytes);
    }

    /// Frames of a direction are missing: which, is not known.
    pub(super) fn miss(&mut self, direction: Direction, out: &mut Out<'_>) {
        if let Some(block) = self.gathering.of_mut(direction).interrupt(Unusable::Lost) {
            self.block(direction, block, out);
        }
        self.decoders.of_mut(direction).forget();
        self.forget_settings();
        if direction == Direction::Request {
            self.may_miss_request();
        }
        self.streams.iter_mut().for_each(|stream| stream.mark_in_doubt(direction, out.time));
        if self.streams.len() > 0 {
            self.doubt.get_or_insert(out.time);
        }
    }

    /// A request may have begun that has no exchange.
    fn may_miss_request(&mut self) {
        if self.opened.last() != Some(&None) {
            self.opened.push(None);
        }
    }

    fn forget_settings(&mut self) {
        self.decoders.request.forget_limit();
        self.decoders.response.forget_limit();
        self.settings = Settings::default();
    }

    /// Gives up what may have ended in a hole, if that is long ago.
    pub(super) fn settle(&mut self, out: &mut Out<'_>) {
        let Some(until) = out.time.0.checked_sub(MAX_DOUBT_NS).map(BootNanos) else { return };
        if self.doubt.is_some_and(|since| since < until) {
            self.give_up(until, out);
        }
    }

    /// Gives up what is in doubt since before then.
    fn give_up(&mut self, until: BootNanos, out: &mut Out<'_>) {
        let is_so = |_, stream: &Stream| stream.doubt().is_some_and(|since| since < until);
        out.exchanges.extend(self.streams.take(is_so).map(|stream| {
            let last = stream.last();
            stream.finish(Failure::Lost, last)
        }));
        self.doubt = self.streams.iter_mut().filter_map(|stream| stream.doubt()).min();
    }

    /// Nothing comes any more, for this reason.
    pub(super) fn over(&mut self, reason: Failure, out: &mut Out<'_>) {
        for direction in [Direction::Request, Direction::Response] {
            if let Some(block) = self.gathering.of_mut(direction).interrupt(Unusable::Malformed) {
                self.block(direction, block, out);
            }
        }
        let open = self.streams.take(|_, _| true);
        out.exchanges.extend(open.map(|stream| stream.finish(reason, out.time)));
    }

    fn interrupt(&mut self, direction: Direction, frame: Header, out: &mut Out<'_>) {
        let gathering = self.gathering.of_mut(direction);
        if !gathering.is_continued_by(frame)
            && let Some(block) = gathering.interrupt(Unusable::Malformed)
        {
            self.block(direction, block, out);
        }
    }

    fn data(&mut self, direction: Direction, frame: Header, out: &mut Out<'_>) {
        if let Some(stream) = self.streams.get_mut(frame.stream) {
            stream.body(direction, frame, out.time);
        }
        if frame.ends_stream() {
            self.end(direction, frame.stream, out);
        }
    }

    fn frame(
        &mut self,
        direction: Direction,
        frame: Header,
        payload: Result<&[u8], Unread>,
        times: Times,
        out: &mut Out<'_>,
    ) {
        match frame.kind {
            Kind::HEADERS | Kind::PUSH_PROMISE | Kind::CONTINUATION => {
                let gathering = self.gathering.of_mut(direction);
                if let Some(block) = gathering.frame(frame, payload, times.first) {
                    self.block(direction, block, out);
                }
            }
            Kind::RST_STREAM => {
                let failure = frame::failure(payload.ok().and_then(frame::error_code));
                self.counts.frames_unread += u64::from(payload.is_err());
                self.finish(frame.stream, failure, out);
            }
            Kind::SETTINGS => self.settings(direction, frame, payload),
            Kind::GOAWAY => match payload.ok().and_then(frame::last_stream) {
                Some(last) => self.goaway(direction, last, out),
                None => self.counts.frames_unread += 1,
            },
            Kind(_) => {}
        }
    }

    fn settings(&mut self, direction: Direction, frame: Header, payload: Result<&[u8], Unread>) {
        if frame.is_ack() {
            if let Some(max_bytes) = self.settings.acknowledge(direction) {
                self.decoders.of_mut(direction).allow(max_bytes);
            }
            return;
        }
        let size = payload.map(frame::header_table_size);
        match size.map(|size| self.settings.ask(direction, size)) {
            Ok(Ok(())) => {}
            Ok(Err(TooMany)) | Err(_) => {
                self.counts.frames_unread += 1;
                self.forget_settings();
            }
        }
    }

    fn goaway(&mut self, direction: Direction, last: StreamId, out: &mut Out<'_>) {
        let said = self.goaway.of_mut(direction);
        let last = said.map_or(last, |earlier| earlier.min(last));
        *said = Some(last);
        let refuses_clients = direction == Direction::Response;
        let refused = self.streams.take(|id, _| id > last && id.is_clients() == refuses_clients);
        out.exchanges.extend(refused.map(|stream| stream.finish(Failure::GoAway, out.time)));
    }

    fn block(&mut self, direction: Direction, block: Block<'_>, out: &mut Out<'_>) {
        let Opening { stream: id, purpose, ends_stream, started } = block.opening;
        let times = Times { first: started, last: out.time };
        let fields = self.fields(direction, block.bytes);
        match purpose {
            Purpose::Promise(promised) => {
                self.promise(direction, promised, fields, times, out);
                return;
            }
            Purpose::Headers => {}
        }
        if let Some(stream) = self.streams.get_mut(id) {
            match &fields {
                Some(fields) => stream.block(direction, fields, times),
                None => stream.unreadable_block(direction, times),
            }
        } else if direction == Direction::Request {
            self.request(id, fields, times, out);
        } else if fields.and_then(|fields| fields.response()).is_some_and(|head| head.status >= 200)
        {
            self.counts.responses_unmatched += 1;
        }
        if ends_stream {
            self.end(direction, id, out);
        }
    }

    fn fields(
        &mut self,
        direction: Direction,
        block: Result<Cow<'_, [u8]>, Unusable>,
    ) -> Option<Fields> {
        let decoder = self.decoders.of_mut(direction);
        let mut fields = Fields::default();
        let read = block.and_then(|block| {
            let read = decoder.decode(&block, &mut |field| fields.field(field));
            read.map_err(|_malformed| Unusable::Malformed)
        });
        fields.count(&mut self.counts);
        let Err(unusable) = read else { return Some(fields) };
        decoder.forget();
        let count = match unusable {
            Unusable::Lost => &mut self.counts.blocks_lost,
            Unusable::TooLong => &mut self.counts.blocks_too_long,
            Unusable::Malformed => &mut self.counts.blocks_malformed,
        };
        *count += 1;
        None
    }

    /// A header block of the client on a stream that is not open.
    fn request(&mut self, id: StreamId, fields: Option<Fields>, times: Times, out: &mut Out<'_>) {
        let is_new = id.is_clients() && id > self.last_request;
        self.last_request = self.last_request.max(id);
        match fields {
            Some(fields) if is_new => self.open_stream(id, fields, times, out),
            Some(_) => self.counts.requests_unmatched += 1,
            None => {
                self.counts.requests_unreadable += 1;
                self.may_miss_request();
            }
        }
        if self.goaway.response.is_some_and(|last| id > last) {
            self.finish(id, Failure::GoAway, out);
        }
    }

    /// RFC 9113 §8.4: the server says what the client would ask, and answers on a stream of its own.
    fn promise(
        &mut self,
        direction: Direction,
        promised: Option<StreamId>,
        fields: Option<Fields>,
        times: Times,
        out: &mut Out<'_>,
    ) {
        let Some((id, fields)) = promised.zip(fields) else {
            self.counts.requests_unreadable += 1;
            return;
        };
        let is_new = !id.is_clients() && id != StreamId::CONNECTION && !self.streams.contains(id);
        if direction == Direction::Request || !is_new {
            self.counts.requests_unmatched += 1;
            return;
        }
        self.open_stream(id, fields, times, out);
        self.end(Direction::Request, id, out);
    }

    fn open_stream(&mut self, id: StreamId, fields: Fields, times: Times, out: &mut Out<'_>) {
        let has_unknown = fields.has_unknown();
        let Some(head) = fields.request() else {
            self.counts.requests_unmatched += 1;
            self.may_miss_request();
            return;
        };
        let mut stream = Stream::new(self.next_ordinal, head, times);
        stream.set_id(id.0);
        if has_unknown {
            stream.mark_joined_late();
        }
        if !self.streams.has_room_for(&stream) && self.doubt.is_some() {
            // Those that may be over make room for those that are not.
            self.give_up(BootNanos(u64::MAX), out);
        }
        if !self.streams.has_room_for(&stream) {
            self.counts.streams_refused += 1;
            self.may_miss_request();
            return;
        }
        self.streams.insert(id, stream);
        if id.is_clients() {
            self.opened.push(Some(id.0));
        }
        self.next_ordinal = self.next_ordinal.saturating_add(1);
        self.counts.exchanges += 1;
    }

    fn end(&mut self, direction: Direction, id: StreamId, out: &mut Out<'_>) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.end(direction);
        if stream.has_ended() {
            // Whole as its answer is, it has not failed in any way that is to be said here.
            self.finish(id, Failure::Closed, out);
        }
    }

    fn finish(&mut self, id: StreamId, reason: Failure, out: &mut Out<'_>) {
        let stream = self.streams.remove(id);
        out.exchanges.extend(stream.map(|stream| stream.finish(reason, out.time)));
    }
}
