//! HEADERS or PUSH_PROMISE and the CONTINUATIONs behind it -> one header block.

use std::borrow::Cow;

use super::{
    frame::{Header, Kind, StreamId},
    limit::MAX_BLOCK_BYTES,
    walk::Unread,
};
use crate::event::BootNanos;

/// What the first frame of a block says of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) stream: StreamId,
    pub(super) purpose: Purpose,
    pub(super) ends_stream: bool,
    pub(super) started: BootNanos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Headers,
    /// The stream that is promised, where that could be read.
    Promise(Option<StreamId>),
}

/// Why there is no block to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    Lost,
    TooLong,
    Malformed,
}

impl From<Unread> for Unusable {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Lost => Self::Lost,
            Unread::TooLong => Self::TooLong,
        }
    }
}

/// A block that ended, well or not.
#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) opening: Opening,
    pub(super) bytes: Result<Cow<'a, [u8]>, Unusable>,
}

/// The block of one direction that goes on: there is one at a time (RFC 9113 §4.3).
#[derive(Debug, Default)]
pub(super) struct Gathering {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    opening: Opening,
    bytes: Result<Vec<u8>, Unusable>,
}

impl Gathering {
    /// Something else came, or nothing will: the block that went on does not end.
    pub(super) fn interrupt(&mut self, reason: Unusable) -> Option<Block<'static>> {
        let open = self.open.take()?;
        Some(Block { opening: open.opening, bytes: Err(open.bytes.err().unwrap_or(reason)) })
    }

    /// Whether the frame is what the block that goes on must be followed by.
    pub(super) fn is_continued_by(&self, frame: Header) -> bool {
        let continues =
            |open: &Open| frame.kind == Kind::CONTINUATION && frame.stream == open.opening.stream;
        self.open.as_ref().is_none_or(continues)
    }

    /// Takes a frame that does not interrupt; gives the block if it ends with it.
    pub(super) fn frame<'a>(
        &mut self,
        frame: Header,
        payload: Result<&'a [u8], Unread>,
        started: BootNanos,
    ) -> Option<Block<'a>> {
        let read = payload.map_err(Unusable::from);
        let read = read.and_then(|payload| frame.fragment(payload).ok_or(Unusable::Malformed));
        let fragment = read.map(|(_, fragment)| fragment);
        let Some(mut open) = self.open.take() else {
            let purpose = match frame.kind {
                Kind::PUSH_PROMISE => {
                    Purpose::Promise(read.ok().and_then(|(promised, _)| promised))
                }
                _ => Purpose::Headers,
            };
            // A block that begins with its continuation began in a hole.
            let is_opening = frame.kind != Kind::CONTINUATION;
            let fragment = if is_opening { fragment } else { Err(Unusable::Lost) };
            let ends_stream = frame.kind == Kind::HEADERS && frame.ends_stream();
            let opening = Opening { stream: frame.stream, purpose, ends_stream, started };
            if frame.ends_headers() {
                return Some(Block { opening, bytes: fragment.map(Cow::Borrowed) });
            }
            self.open = Some(Open { opening, bytes: fragment.map(<[u8]>::to_vec) });
            return None;
        };
        open.bytes = open.bytes.and_then(|bytes| append(bytes, fragment?));
        if frame.ends_headers() {
            return Some(Block { opening: open.opening, bytes: open.bytes.map(Cow::Owned) });
        }
        self.open = Some(open);
        None
    }
}

fn append(mut bytes: Vec<u8>, fragment: &[u8]) -> Result<Vec<u8>, Unusable> {
    if bytes.len() + fragment.len() > MAX_BLOCK_BYTES {
        return Err(Unusable::TooLong);
    }
    bytes.extend_from_slice(fragment);
    Ok(bytes)
}
