//! Layouts of RFC 9113 §4.1 and §6: the nine bytes before a frame's payload, and what the payloads
//! hold that is read at all.

use crate::{protocol::Failure, reader::Reader};

pub(crate) const HEADER_LEN: usize = 9;

/// RFC 9113 §3.4: what a client's bytes begin with.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// RFC 9113 §6.5.2: frames are not longer until the peer says that they may be.
const INITIAL_MAX_FRAME: u32 = 16 * 1024;

const HEADER_TABLE_SIZE: u16 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(pub(super) u32);

impl StreamId {
    pub(super) const CONNECTION: Self = Self(0);
    /// The request that asked for the upgrade (RFC 7540 §3.2).
    pub(super) const UPGRADED: Self = Self(1);

    pub(super) fn is_clients(self) -> bool {
        self.0 % 2 == 1
    }

    fn new([a, b, c, d]: [u8; 4]) -> Self {
        Self(u32::from_be_bytes([a & 0x7f, b, c, d]))
    }
}

/// Unknown ones are allowed and mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(pub(super) u8);

impl Kind {
    pub(super) const DATA: Self = Self(0);
    pub(super) const HEADERS: Self = Self(1);
    pub(super) const PRIORITY: Self = Self(2);
    pub(super) const RST_STREAM: Self = Self(3);
    pub(super) const SETTINGS: Self = Self(4);
    pub(super) const PUSH_PROMISE: Self = Self(5);
    pub(super) const PING: Self = Self(6);
    pub(super) const GOAWAY: Self = Self(7);
    pub(super) const WINDOW_UPDATE: Self = Self(8);
    pub(super) const CONTINUATION: Self = Self(9);

    /// Whether a frame's payload says anything about an exchange. That of DATA is never kept.
    pub(super) fn is_read(self) -> bool {
        matches!(
            self,
            Self::HEADERS
                | Self::RST_STREAM
                | Self::SETTINGS
                | Self::PUSH_PROMISE
                | Self::GOAWAY
                | Self::CONTINUATION
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ErrorCode(pub(super) u32);

impl ErrorCode {
    pub(super) const REFUSED_STREAM: Self = Self(7);
    pub(super) const CANCEL: Self = Self(8);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) len: u32,
    pub(super) kind: Kind,
    pub(super) stream: StreamId,
    flags: u8,
    /// RFC 9113 §4.1: unset by who sends it, ignored by who receives it.
    reserved: bool,
}

impl Header {
    const END_STREAM: u8 = 0x1;
    const ACK: u8 = 0x1;
    const END_HEADERS: u8 = 0x4;
    const PADDED: u8 = 0x8;
    const PRIORITY: u8 = 0x20;

    pub(super) fn parse([a, b, c, kind, flags, d, e, f, g]: [u8; HEADER_LEN]) -> Self {
        Self {
            len: u32::from_be_bytes([0, a, b, c]),
            kind: Kind(kind),
            stream: StreamId::new([d, e, f, g]),
            flags,
            reserved: d & 0x80 != 0,
        }
    }

    pub(super) fn ends_stream(self) -> bool {
        self.flags & Self::END_STREAM != 0
    }

    pub(super) fn ends_headers(self) -> bool {
        self.flags & Self::END_HEADERS != 0
    }

    pub(super) fn is_ack(self) -> bool {
        self.flags & Self::ACK != 0
    }

    pub(super) fn is_padded(self) -> bool {
        self.flags & Self::PADDED != 0
    }

    /// Whether RFC 9113 §6 lets a frame be of that length, on that stream. A peer that receives
    /// another ends the connection.
    pub(super) fn is_legal(self) -> bool {
        let of_connection = self.stream == StreamId::CONNECTION;
        match self.kind {
            Kind::DATA | Kind::HEADERS | Kind::CONTINUATION => !of_connection,
            Kind::PRIORITY => !of_connection && self.len == 5,
            Kind::RST_STREAM => !of_connection && self.len == 4,
            Kind::SETTINGS if self.is_ack() => of_connection && self.len == 0,
            Kind::SETTINGS => of_connection && self.len.is_multiple_of(6),
            Kind::PUSH_PROMISE => !of_connection && self.len >= 4,
            Kind::PING => of_connection && self.len == 8,
            Kind::GOAWAY => of_connection && self.len >= 8,
            Kind::WINDOW_UPDATE => self.len == 4,
            Kind(_) => true,
        }
    }

    /// Whether nine bytes that stand anywhere can be taken for this header: it is legal, of a known
    /// kind and a usual length, and has no bit that means nothing. Of nine bytes drawn at random
    /// one in 2^22 is.
    pub(super) fn is_certain(self) -> bool {
        let flags = match self.kind {
            Kind::DATA => Self::END_STREAM | Self::PADDED,
            Kind::HEADERS => Self::END_STREAM | Self::END_HEADERS | Self::PADDED | Self::PRIORITY,
            Kind::SETTINGS | Kind::PING => Self::ACK,
            Kind::PUSH_PROMISE => Self::END_HEADERS | Self::PADDED,
            Kind::CONTINUATION => Self::END_HEADERS,
            Kind(_) => 0,
        };
        let is_known = self.kind.0 <= Kind::CONTINUATION.0;
        let is_usual = self.len <= INITIAL_MAX_FRAME && self.flags & !flags == 0 && !self.reserved;
        is_known && is_usual && self.is_legal()
    }

    /// The part of a header block in a payload of HEADERS, CONTINUATION or PUSH_PROMISE, and the
    /// stream that the last of these promises. `None` if the lengths contradict each other.
    pub(super) fn fragment(self, payload: &[u8]) -> Option<(Option<StreamId>, &[u8])> {
        if self.kind == Kind::CONTINUATION {
            return Some((None, payload));
        }
        let mut reader = Reader::new(payload);
        let mut padding = 0;
        if self.is_padded() {
            let [len] = reader.value::<[u8; 1]>()?;
            padding = usize::from(len);
        }
        let mut promised = None;
        if self.kind == Kind::PUSH_PROMISE {
            promised = Some(StreamId::new(reader.value()?));
        } else if self.flags & Self::PRIORITY != 0 {
            reader.take(5)?;
        }
        let len = reader.rest().len().checked_sub(padding)?;
        Some((promised, reader.take(len)?))
    }
}

pub(super) fn error_code(payload: &[u8]) -> Option<ErrorCode> {
    Reader::new(payload).value().map(u32::from_be_bytes).map(ErrorCode)
}

/// Of GOAWAY: the last stream that the sender has done or may do anything for.
pub(super) fn last_stream(payload: &[u8]) -> Option<StreamId> {
    Reader::new(payload).value().map(StreamId::new)
}

/// Of SETTINGS: the last value that it gives, if it gives one.
pub(super) fn header_table_size(payload: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(payload);
    let mut size = None;
    while let Some([id, id_low, a, b, c, d]) = reader.value::<[u8; 6]>() {
        if u16::from_be_bytes([id, id_low]) == HEADER_TABLE_SIZE {
            size = Some(u32::from_be_bytes([a, b, c, d]));
        }
    }
    size
}

/// What RST_STREAM means; `None` is one whose code was lost.
pub(super) fn failure(code: Option<ErrorCode>) -> Failure {
    match code {
        Some(ErrorCode::CANCEL) => Failure::Cancelled,
        Some(ErrorCode::REFUSED_STREAM) => Failure::Refused,
        Some(ErrorCode(_)) => Failure::Reset,
        None => Failure::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_and_priority_are_taken_off() {
        let check = |kind: Kind, flags: u8, payload: &[u8], expected: Option<&[u8]>| {
            let header = Header { len: 0, kind, stream: StreamId(1), flags, reserved: false };
            let fragment = header.fragment(payload).map(|(_, fragment)| fragment);
            assert_eq!(fragment, expected, "{kind:?} {flags:#x} {payload:?}");
        };
        check(Kind::HEADERS, 0, b"abc", Some(b"abc"));
        check(Kind::HEADERS, 0x8, b"\x02abc", Some(b"a"));
        check(Kind::HEADERS, 0x8, b"\x03abc", Some(b""));
        check(Kind::HEADERS, 0x8, b"\x04abc", None);
        check(Kind::HEADERS, 0x8, b"", None);
        check(Kind::HEADERS, 0x20, b"12345abc", Some(b"abc"));
        check(Kind::HEADERS, 0x28, b"\x0112345abc", Some(b"ab"));
        check(Kind::HEADERS, 0x20, b"1234", None);
        check(Kind::CONTINUATION, 0x28, b"abc", Some(b"abc"));
        check(Kind::PUSH_PROMISE, 0x8, b"\x01\0\0\0\x02abc", Some(b"ab"));
        check(Kind::PUSH_PROMISE, 0, b"\0\0\0", None);
    }

    #[test]
    fn only_what_can_be_nothing_else_is_a_header() {
        let check = |bytes: [u8; HEADER_LEN], legal: bool, certain: bool| {
            let header = Header::parse(bytes);
            assert_eq!((header.is_legal(), header.is_certain()), (legal, certain), "{bytes:02x?}");
        };
        check([0, 0, 12, 4, 0, 0, 0, 0, 0], true, true);
        check([0, 0, 0, 4, 1, 0, 0, 0, 0], true, true);
        check([0, 0, 11, 4, 0, 0, 0, 0, 0], false, false);
        check([0, 0, 6, 4, 1, 0, 0, 0, 0], false, false);
        check([0, 0x40, 0, 0, 1, 0, 0, 0, 1], true, true);
        check([0, 0x40, 1, 0, 1, 0, 0, 0, 1], true, false);
        check([0, 0, 9, 1, 0x25, 0x80, 0, 0, 1], true, false);
        check([0, 0, 9, 1, 0x35, 0, 0, 0, 1], true, false);
        check([0, 0, 9, 1, 0x25, 0, 0, 0, 0], false, false);
        check([0, 0, 9, 16, 0, 0, 0, 0, 0], true, false);
        check([0; HEADER_LEN], false, false);
        check(*b"PRI * HTT", true, false);
        check(*b"GET / HTT", true, false);
    }

    #[test]
    fn the_last_of_a_setting_counts() {
        let check = |payload: &[u8], expected: Option<u32>| {
            assert_eq!(header_table_size(payload), expected, "{payload:?}");
        };
        check(b"", None);
        check(b"\0\x03\0\0\0\x64", None);
        check(b"\0\x01\0\0\x10\0\0\x03\0\0\0\x64\0\x01\0\0\0\0", Some(0));
        check(b"\0\x01\0\0", None);
    }
}
