//! An exchange while it is open, and all of a connection's that are.

use std::collections::BTreeMap;

use super::{
    frame::{Header, StreamId},
    grpc::Messages,
    head::Fields,
    limit::{MAX_STREAMS, MAX_TEXT_BYTES},
};
use crate::{
    event::{BootNanos, Counted},
    protocol::{Direction, Exchange, Failure, Grpc, RequestHead, Sides, Version},
};

/// When something began to come, and when it had come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) first: BootNanos,
    pub(super) last: BootNanos,
}

#[derive(Debug)]
pub(super) struct Stream {
    exchange: Exchange,
    ended: Sides<bool>,
    messages: Sides<Messages>,
    is_grpc: bool,
    grpc_status: Option<u32>,
    /// A part of it was in a hole.
    is_cut: bool,
    /// Its end may have been in a hole, the first of them at this time: nothing of it came since.
    doubt: Option<BootNanos>,
}

impl Stream {
    /// Its number, where it is known at both ends.
    pub(super) fn set_id(&mut self, id: u32) {
        self.exchange.stream = Some(id);
    }

    pub(super) fn new(ordinal: u64, request: RequestHead, time: Times) -> Self {
        let content_type = request.content_type.as_deref();
        let is_grpc = content_type.is_some_and(super::grpc::is_content_type);
        Self {
            exchange: Exchange {
                ordinal,
                stream: None,
                version: Version::Http2,
                request,
                response: None,
                request_first: time.first,
                request_last: time.last,
                response_first: None,
                response_last: None,
                end: time.last,
                request_body_bytes: 0,
                response_body_bytes: 0,
                grpc: None,
                failure: None,
                joined_late: false,
            },
            ended: Sides::default(),
            messages: Sides::default(),
            is_grpc,
            grpc_status: None,
            is_cut: false,
            doubt: None,
        }
    }

    pub(super) fn add_request_body(&mut self, bytes: u64) {
        self.exchange.request_body_bytes = self.exchange.request_body_bytes.saturating_add(bytes);
    }

    /// Something in one of its header blocks could not be known.
    pub(super) fn mark_joined_late(&mut self) {
        self.exchange.joined_late = true;
    }

    /// A part of it was lost, or could not be read.
    pub(super) fn mark_cut(&mut self) {
        self.is_cut = true;
        self.messages.request.give_up();
        self.messages.response.give_up();
    }

    /// Bytes of a direction are missing, which may be this stream's. Answers that did not begin
    /// can still come whole.
    pub(super) fn mark_in_doubt(&mut self, direction: Direction, time: BootNanos) {
        self.doubt.get_or_insert(time);
        let begun = match direction {
            Direction::Request => true,
            Direction::Response => self.exchange.response_first.is_some(),
        };
        if begun && !*self.ended.of(direction) {
            self.mark_cut();
        }
    }

    pub(super) fn doubt(&self) -> Option<BootNanos> {
        self.doubt
    }

    /// A header block came behind the request's first.
    pub(super) fn block(&mut self, direction: Direction, fields: &Fields, time: Times) {
        self.exchange.joined_late |= fields.has_unknown();
        self.is_grpc |= fields.is_grpc();
        self.touch(direction, time.last);
        if direction == Direction::Request {
            return;
        }
        match fields.response() {
            Some(head) if head.status < 200 => return,
            Some(head) => self.exchange.response = self.exchange.response.or(Some(head)),
            None => {}
        }
        self.exchange.response_first.get_or_insert(time.first);
        self.exchange.response_last = Some(time.last);
        self.grpc_status = fields.grpc_status().or(self.grpc_status);
    }

    /// A header block came that could not be read.
    pub(super) fn unreadable_block(&mut self, direction: Direction, time: Times) {
        self.mark_cut();
        self.touch(direction, time.last);
        if direction == Direction::Response {
            self.exchange.response_first.get_or_insert(time.first);
            self.exchange.response_last = Some(time.last);
        }
    }

    /// DATA came. How much of it is padding is not known, as its payload is not.
    pub(super) fn body(&mut self, direction: Direction, frame: Header, time: BootNanos) {
        self.touch(direction, time);
        let exchange = &mut self.exchange;
        let bytes = match direction {
            Direction::Request => &mut exchange.request_body_bytes,
            Direction::Response => {
                exchange.response_last = Some(time);
                &mut exchange.response_body_bytes
            }
        };
        *bytes = bytes.saturating_add(u64::from(frame.len));
        let messages = self.messages.of_mut(direction);
        messages.frame(frame.len);
        if frame.is_padded() {
            messages.give_up();
        }
    }

    pub(super) fn body_bytes(&mut self, direction: Direction, at: u32, bytes: &[u8]) {
        self.messages.of_mut(direction).bytes(at, bytes);
    }

    pub(super) fn counted(&mut self, direction: Direction, counted: &Counted) {
        self.messages.of_mut(direction).counted(counted);
    }

    pub(super) fn end(&mut self, direction: Direction) {
        *self.ended.of_mut(direction) = true;
    }

    /// When anything of it came last.
    pub(super) fn last(&self) -> BootNanos {
        self.exchange.response_last.unwrap_or_default().max(self.exchange.request_last)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.request && self.ended.response
    }

    fn touch(&mut self, direction: Direction, time: BootNanos) {
        self.doubt = None;
        if direction == Direction::Request {
            self.exchange.request_last = time;
        }
    }

    /// Nothing of it comes any more, for this reason if the answer is not whole.
    pub(super) fn finish(self, reason: Failure, time: BootNanos) -> Exchange {
        let whole = self.exchange.response_last.filter(|_| self.ended.response);
        let may_be_lost = self.is_cut || self.doubt.is_some();
        let failure = match (whole, reason) {
            (Some(_), _) => self.is_cut.then_some(Failure::Lost),
            (None, Failure::Closed) if may_be_lost => Some(Failure::Lost),
            (None, reason) => Some(reason),
        };
        let Sides { request, response } = self.messages;
        let grpc = self.is_grpc.then(|| Grpc {
            status: self.grpc_status,
            request_messages: request.count(),
            response_messages: response.count(),
        });
        Exchange { grpc, failure, end: whole.unwrap_or(time), ..self.exchange }
    }

    /// What its texts take: as long as it is open only the request has any.
    fn text_bytes(&self) -> usize {
        let RequestHead { method, scheme, authority, target, user_agent, content_type, .. } =
            &self.exchange.request;
        let optional = [scheme, authority, user_agent, content_type];
        let state = self.exchange.request.context.as_ref().map_or(0, |c| c.trace_state.len());
        let lens = optional.into_iter().flatten().map(String::len);
        method.len() + target.len() + state + lens.sum::<usize>()
    }
}

/// `streams.len() <= MAX_STREAMS`, and `text_bytes`, the sum of theirs, is at most `MAX_TEXT_BYTES`.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: BTreeMap<StreamId, Stream>,
    text_bytes: usize,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn contains(&self, id: StreamId) -> bool {
        self.streams.contains_key(&id)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.streams.values_mut()
    }

    pub(super) fn has_room_for(&self, stream: &Stream) -> bool {
        let text_bytes = self.text_bytes + stream.text_bytes();
        self.streams.len() < MAX_STREAMS && text_bytes <= MAX_TEXT_BYTES
    }

    /// Where it has room, and only if no other is open there.
    pub(super) fn insert(&mut self, id: StreamId, stream: Stream) {
        if !self.contains(id) {
            self.text_bytes += stream.text_bytes();
            self.streams.insert(id, stream);
        }
    }

    pub(super) fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        self.text_bytes -= stream.text_bytes();
        Some(stream)
    }

    /// Takes out those that are so, in the order of their ids.
    pub(super) fn take(
        &mut self,
        mut is_so: impl FnMut(StreamId, &Stream) -> bool,
    ) -> impl Iterator<Item = Stream> {
        let taken = self.streams.extract_if(.., move |id, stream| is_so(*id, stream));
        let text_bytes = &mut self.text_bytes;
        taken.map(move |(_, stream)| {
            *text_bytes -= stream.text_bytes();
            stream
        })
    }
}
