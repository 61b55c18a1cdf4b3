//! Runs of bytes of one direction -> frames. Knows where it is in the stream of bytes, or that it
//! does not know; keeps no payload of DATA.

use super::{
    frame::{HEADER_LEN, Header, Kind, PREFACE, StreamId},
    limit::MAX_BLOCK_BYTES,
};
use crate::{event::BootNanos, reader::Reader};

/// A buffer that grew beyond this is not kept from frame to frame.
const KEPT_CAPACITY: usize = 4 * 1024;

/// Of GOAWAY only this is read: behind it is what the peer wishes to tell whoever debugs it.
const GOAWAY_READ: usize = 8;

#[derive(Debug)]
pub(super) enum Item<'a> {
    Preface,
    /// DATA begins. Its payload is not waited for: mostly it does not come.
    Data(Header),
    /// A part of DATA's payload that came nevertheless, and where in the payload it is.
    Body {
        stream: StreamId,
        at: u32,
        bytes: &'a [u8],
    },
    /// A frame of a kind that is read, when all of it came.
    Frame {
        header: Header,
        payload: Result<&'a [u8], Unread>,
        started: BootNanos,
    },
    /// These bytes are no frame. What follows is of no use until a run begins with one.
    OutOfStep,
    /// So many bytes were of no use.
    Dropped(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// A part of it was lost.
    Lost,
    /// It is longer than what is kept.
    TooLong,
}

/// How a run joins what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// It follows, or what is between is a payload that is not read.
    Close,
    /// So many bytes of it came before, and are taken off.
    Overlap(u64),
    /// So many bytes are missing of one frame, which is known and whose end is.
    HoleInFrame(u64),
    /// So many bytes are missing, of which frames is not known.
    Hole(u64),
}

#[derive(Debug)]
enum State {
    Preface {
        matched: usize,
    },
    Header {
        bytes: [u8; HEADER_LEN],
        have: usize,
        started: BootNanos,
        trust: Trust,
    },
    /// `left`: bytes of the payload that did not pass by yet.
    Payload {
        header: Header,
        left: u32,
        started: BootNanos,
        unread: Option<Unread>,
    },
    OutOfStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// A frame ended here: what follows is a header.
    Follows,
    /// It is a header only if it can be nothing else.
    Search,
}

const fn header(trust: Trust) -> State {
    State::Header { bytes: [0; HEADER_LEN], have: 0, started: BootNanos(0), trust }
}

#[derive(Debug)]
pub(super) struct Walker {
    /// Where the next run begins if nothing is between; `None` before the first.
    next: Option<u64>,
    state: State,
    /// The payload of a frame that came in more than one run.
    payload: Vec<u8>,
}

enum Step<'a> {
    Item(Item<'a>),
    /// As [`Item::Frame`], where the payload is in the walker.
    Gathered {
        header: Header,
        unread: Option<Unread>,
        started: BootNanos,
    },
    Nothing,
}

impl Walker {
    /// Of the direction that has a preface, if it is seen from its start.
    pub(super) fn request() -> Self {
        Self { next: None, state: State::Preface { matched: 0 }, payload: Vec::new() }
    }

    pub(super) fn response() -> Self {
        Self { next: None, state: header(Trust::Search), payload: Vec::new() }
    }

    /// A run comes. What of it came before is taken off it.
    pub(super) fn begin(&mut self, offset: u64, run: &mut Reader<'_>) -> Joint {
        let len = run.rest().len() as u64;
        let next = self.next.unwrap_or(offset);
        self.next = Some(next.max(offset.saturating_add(len)));
        if let Some(overlap) = next.checked_sub(offset).filter(|overlap| *overlap > 0) {
            let overlap = overlap.min(len);
            let taken = usize::try_from(overlap).ok().and_then(|overlap| run.take(overlap));
            debug_assert!(taken.is_some(), "no more than there is");
            return Joint::Overlap(overlap);
        }
        let joint = self.gap(offset.saturating_sub(next));
        if matches!(self.state, State::OutOfStep) && !run.is_empty() {
            self.state = header(Trust::Search);
        }
        joint
    }

    fn gap(&mut self, gap: u64) -> Joint {
        if gap == 0 {
            return Joint::Close;
        }
        let mut missing = gap;
        if let State::Payload { header, left, unread, .. } = &mut self.state {
            if !header.kind.is_read() {
                missing = gap.saturating_sub(u64::from(*left));
            }
            if let Some(after) = u32::try_from(gap).ok().and_then(|gap| left.checked_sub(gap)) {
                *left = after;
                if missing == 0 {
                    return Joint::Close;
                }
                *unread = unread.or(Some(Unread::Lost));
                return Joint::HoleInFrame(missing);
            }
        }
        self.state = header(Trust::Search);
        Joint::Hole(missing)
    }

    /// What comes next in the run; `None` at its end.
    pub(super) fn next<'a, 'r: 'a>(
        &'a mut self,
        time: BootNanos,
        run: &mut Reader<'r>,
    ) -> Option<Item<'a>> {
        loop {
            match self.step(time, run)? {
                Step::Nothing => {}
                Step::Item(item) => return Some(item),
                Step::Gathered { header, unread, started } => {
                    let payload = unread.map_or(Ok(self.payload.as_slice()), Err);
                    return Some(Item::Frame { header, payload, started });
                }
            }
        }
    }

    fn step<'a>(&mut self, time: BootNanos, run: &mut Reader<'a>) -> Option<Step<'a>> {
        match self.state {
            State::OutOfStep => {
                let dropped = run.take(run.rest().len()).filter(|dropped| !dropped.is_empty())?;
                Some(Step::Item(Item::Dropped(dropped.len() as u64)))
            }
            State::Preface { matched } => self.preface(matched, run),
            State::Header { .. } => self.header(time, run),
            State::Payload { .. } => self.payload(run),
        }
    }

    fn preface<'a>(&mut self, matched: usize, run: &mut Reader<'a>) -> Option<Step<'a>> {
        let expected = PREFACE.get(matched..).unwrap_or_default();
        let rest = run.rest();
        let came = rest.get(..expected.len()).unwrap_or(rest);
        if came.is_empty() {
            return None;
        }
        if expected.starts_with(came) {
            run.take(came.len())?;
            if came.len() < expected.len() {
                self.state = State::Preface { matched: matched + came.len() };
                return Some(Step::Nothing);
            }
            self.state = header(Trust::Follows);
            return Some(Step::Item(Item::Preface));
        }
        if matched == 0 && expected.first() != came.first() {
            self.state = header(Trust::Search);
            return Some(Step::Nothing);
        }
        self.state = State::OutOfStep;
        Some(Step::Item(Item::OutOfStep))
    }

    fn header<'a>(&mut self, time: BootNanos, run: &mut Reader<'a>) -> Option<Step<'a>> {
        let State::Header { bytes, have, started, trust } = &mut self.state else { return None };
        let want = HEADER_LEN.saturating_sub(*have).min(run.rest().len());
        let part = run.take(want).filter(|part| !part.is_empty())?;
        if *have == 0 {
            *started = time;
        }
        bytes.iter_mut().skip(*have).zip(part).for_each(|(to, from)| *to = *from);
        *have += part.len();
        if *have < HEADER_LEN {
            return None;
        }
        let (header, started) = (Header::parse(*bytes), *started);
        let is_header = match trust {
            Trust::Follows => header.is_legal(),
            Trust::Search => header.is_certain(),
        };
        if !is_header {
            self.state = State::OutOfStep;
            return Some(Step::Item(Item::OutOfStep));
        }
        if self.payload.capacity() > KEPT_CAPACITY {
            self.payload = Vec::new();
        }
        self.payload.clear();
        self.state = State::Payload { header, left: header.len, started, unread: None };
        let is_data = header.kind == Kind::DATA;
        Some(if is_data { Step::Item(Item::Data(header)) } else { Step::Nothing })
    }

    fn payload<'a>(&mut self, run: &mut Reader<'a>) -> Option<Step<'a>> {
        let State::Payload { header: frame, left, started, unread } = &mut self.state else {
            return None;
        };
        let (frame, started, at) = (*frame, *started, frame.len - *left);
        let part = run.take((*left as usize).min(run.rest().len()))?;
        if part.is_empty() && *left > 0 {
            return None;
        }
        // No more than `left` was taken.
        *left -= u32::try_from(part.len()).unwrap_or(*left);
        let ends = *left == 0;
        let stands_whole = ends && at == 0;
        let (kept, too_long) = kept(frame.kind, self.payload.len(), part);
        if too_long {
            *unread = unread.or(Some(Unread::TooLong));
        }
        if frame.kind.is_read() && !stands_whole && unread.is_none() {
            self.payload.extend_from_slice(kept);
        }
        let unread = *unread;
        if ends {
            self.state = header(Trust::Follows);
        }
        Some(match frame.kind {
            Kind::DATA if part.is_empty() => Step::Nothing,
            Kind::DATA => Step::Item(Item::Body { stream: frame.stream, at, bytes: part }),
            kind if !kind.is_read() || !ends => Step::Nothing,
            _ if stands_whole => {
                let payload = unread.map_or(Ok(kept), Err);
                Step::Item(Item::Frame { header: frame, payload, started })
            }
            _ => Step::Gathered { header: frame, unread, started },
        })
    }
}

/// What is kept of a part of a payload of which so many bytes are kept, and whether the payload is
/// too long to be read without the rest.
fn kept(kind: Kind, have: usize, part: &[u8]) -> (&[u8], bool) {
    let max = if kind == Kind::GOAWAY { GOAWAY_READ } else { MAX_BLOCK_BYTES };
    let room = max.saturating_sub(have);
    match part.get(..room) {
        Some(kept) => (kept, kind != Kind::GOAWAY && part.len() > room),
        None => (part, false),
    }
}
