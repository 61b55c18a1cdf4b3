//! gRPC over HTTP/2: which exchanges are calls, their status, and how many messages went each way as
//! far as that can be known.
//!
//! A message is five bytes of prefix, which say its length, and so many bytes. Messages do not begin
//! with frames, nor end with them. So they are counted by their prefixes alone, along the bytes that
//! the frames say there are: the messages' own bytes need not come, their prefixes must, or somebody
//! must tell how many there are in a frame. From the first prefix on of which neither is known, or if
//! what is told does not fit the frames, how many there are is unknown.

use crate::event::{Counted, Position as Told};

/// `application/grpc`, also with a suffix (`+proto`) or parameters; not `application/grpc-web`.
pub(super) fn is_content_type(value: &str) -> bool {
    let rest = value.get(..16).filter(|start| start.eq_ignore_ascii_case("application/grpc"));
    rest.is_some() && matches!(value.as_bytes().get(16), None | Some(b'+' | b';' | b' '))
}

/// `grpc-status`: a decimal number.
pub(super) fn status(value: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(value).ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// `grpc-timeout`: at most eight digits, and a unit.
pub(super) fn timeout_ns(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let unit_ns: u64 = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    let is_short = digits.len() <= 8;
    let number = u64::from(status(digits).filter(|_| is_short)?);
    number.checked_mul(unit_ns)
}

/// Counts the messages of one direction of one stream.
#[derive(Debug, Default)]
pub(super) struct Messages {
    whole: u64,
    position: Position,
    /// Bytes of the frame that began last which were not accounted for, and how far it was.
    frame_left: u64,
    frame_at: u64,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    /// So many bytes of a prefix came, and what they make so far.
    Prefix {
        have: u32,
        len: u64,
    },
    /// So many bytes of a prefix came, elsewhere.
    Hidden {
        have: u32,
    },
    /// `left > 0` bytes of a message are to come.
    Message {
        left: u64,
    },
    Unknown,
}

impl Position {
    /// How it is told of, by who follows a frame elsewhere.
    fn told(self) -> Option<Told> {
        match self {
            Self::Prefix { have: 0, .. } => Some(Told::BETWEEN),
            Self::Prefix { have, .. } | Self::Hidden { have } => Some(Told::in_prefix(have)),
            Self::Message { left } => left.try_into().ok().map(Told::in_message),
            Self::Unknown => None,
        }
    }
}

impl From<Told> for Position {
    fn from(told: Told) -> Self {
        match (told.left(), told.came()) {
            (Some(0), _) => Self::default(),
            (Some(left), _) => Self::Message { left: u64::from(left) },
            (None, Some(have)) => Self::Hidden { have },
            (None, None) => Self::Unknown,
        }
    }
}

impl Default for Position {
    fn default() -> Self {
        Self::Prefix { have: 0, len: 0 }
    }
}

impl Messages {
    /// A frame begins that has so many bytes; what did not come of the one before will not.
    pub(super) fn frame(&mut self, len: u32) {
        self.skip(self.frame_left);
        (self.frame_left, self.frame_at) = (u64::from(len), 0);
    }

    /// Bytes of that frame came, from `at` on.
    pub(super) fn bytes(&mut self, at: u32, bytes: &[u8]) {
        let Some(skipped) = u64::from(at).checked_sub(self.frame_at) else { return };
        self.skip(skipped.min(self.frame_left));
        let taken = (bytes.len() as u64).min(self.frame_left);
        self.frame_left -= taken;
        self.frame_at += taken;
        let taken = usize::try_from(taken).ok().and_then(|taken| bytes.get(..taken));
        let mut bytes = taken.unwrap_or_default();
        while let Some((byte, rest)) = bytes.split_first() {
            bytes = rest;
            match self.position {
                Position::Prefix { have, len } => self.prefix(have, len, *byte),
                Position::Message { left } => {
                    let more = (rest.len() as u64).min(left - 1);
                    let behind = usize::try_from(more).ok().and_then(|more| rest.get(more..));
                    bytes = behind.unwrap_or_default();
                    self.advance(left, 1 + more);
                }
                Position::Hidden { .. } => self.give_up(),
                Position::Unknown => return,
            }
        }
    }

    /// That frame was followed elsewhere, to its end.
    pub(super) fn counted(&mut self, counted: &Counted) {
        let before = counted.before.left().map_or(0, u64::from);
        let is_in_it = self.frame_at == 0 && before < self.frame_left;
        if is_in_it && self.position.told() == Some(counted.before) {
            self.whole = self.whole.saturating_add(u64::from(counted.whole));
            self.position = Position::from(counted.after);
        } else {
            self.give_up();
        }
        self.frame_left = 0;
    }

    /// How many there are cannot be known any more.
    pub(super) fn give_up(&mut self) {
        self.position = Position::Unknown;
    }

    /// Whole messages, when nothing comes any more.
    pub(super) fn count(mut self) -> Option<u64> {
        self.skip(self.frame_left);
        (!matches!(self.position, Position::Unknown)).then_some(self.whole)
    }

    /// So many bytes of the frame do not come.
    fn skip(&mut self, bytes: u64) {
        self.frame_left -= bytes.min(self.frame_left);
        self.frame_at += bytes;
        match self.position {
            _ if bytes == 0 => {}
            Position::Message { left } if bytes <= left => self.advance(left, bytes),
            Position::Message { .. } | Position::Prefix { .. } | Position::Hidden { .. } => {
                self.give_up();
            }
            Position::Unknown => {}
        }
    }

    fn prefix(&mut self, have: u32, len: u64, byte: u8) {
        // The first byte says whether the message is compressed; the others are its length.
        let len = if have == 0 { 0 } else { (len << 8) | u64::from(byte) };
        self.position = match (have, len) {
            (0..4, _) => Position::Prefix { have: have + 1, len },
            (_, 0) => {
                self.whole += 1;
                Position::default()
            }
            (_, left) => Position::Message { left },
        };
    }

    fn advance(&mut self, left: u64, bytes: u64) {
        self.position = Position::Message { left: left - bytes.min(left) };
        if bytes >= left {
            self.whole += 1;
            self.position = Position::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_their_content_type() {
        let check = |value: &str, expected: bool| {
            assert_eq!(is_content_type(value), expected, "{value}");
        };
        check("application/grpc", true);
        check("application/grpc+proto", true);
        check("Application/gRPC; charset=utf-8", true);
        check("application/grpc-web+proto", false);
        check("application/json", false);
        check("", false);
    }

    #[test]
    fn a_status_is_a_number() {
        let check = |value: &[u8], expected: Option<u32>| {
            assert_eq!(status(value), expected, "{value:?}");
        };
        check(b"0", Some(0));
        check(b"14", Some(14));
        check(b"", None);
        check(b"+1", None);
        check(b"-1", None);
        check(b"99999999999", None);
        check(b"\xff", None);
    }

    #[test]
    fn a_timeout_is_a_number_and_a_unit() {
        let check = |value: &[u8], expected: Option<u64>| {
            assert_eq!(timeout_ns(value), expected, "{value:?}");
        };
        check(b"100m", Some(100_000_000));
        check(b"1S", Some(1_000_000_000));
        check(b"99999999H", None);
        check(b"7n", Some(7));
        check(b"123456789n", None);
        check(b"m", None);
        check(b"-1m", None);
        check(b"10", None);
        check(b"", None);
    }

    /// Frames: how long each is, and what came of it: where it stands, and the bytes.
    type Frames<'a> = &'a [(u32, &'a [(u32, &'a [u8])])];

    #[test]
    fn messages_are_counted_as_far_as_their_prefixes_came() {
        let check = |frames: Frames<'_>, expected: Option<u64>| {
            let mut messages = Messages::default();
            for (len, parts) in frames {
                messages.frame(*len);
                parts.iter().for_each(|(at, bytes)| messages.bytes(*at, bytes));
            }
            assert_eq!(messages.count(), expected, "{frames:?}");
        };
        let (seven, none) = (&b"\0\0\0\0\x07"[..], &b"\0\0\0\0\0"[..]);
        check(&[], Some(0));
        check(&[(0, &[])], Some(0));
        check(&[(12, &[])], None);
        check(&[(12, &[(0, seven)])], Some(1));
        check(&[(12, &[(0, seven)]), (12, &[(0, seven)])], Some(2));
        check(&[(12, &[(0, seven)]), (12, &[])], None);
        check(&[(8, &[(0, seven)]), (4, &[])], Some(1));
        check(&[(8, &[(0, seven)]), (3, &[])], Some(0));
        check(&[(8, &[(0, seven)]), (5, &[])], None);
        check(&[(8, &[(0, seven)]), (9, &[(4, none)])], Some(2));
        check(&[(8, &[(0, seven)]), (9, &[(2, b"..\0\0\0\0\0")])], Some(2));
        check(&[(24, &[(0, b"\0\0\0\0\x07.......\0\0\0\0\x07.......")])], Some(2));
        check(&[(24, &[(0, seven), (12, seven)])], Some(2));
        check(&[(24, &[(0, seven), (13, seven)])], None);
        check(&[(5, &[(0, none)]), (5, &[(0, &none[..2]), (2, &none[2..])])], Some(2));
        check(&[(2, &[(0, &seven[..2])]), (10, &[(0, &seven[2..])])], Some(1));
        check(&[(5, &[(0, b"\0\xff\xff\xff\xff")]), (u32::MAX, &[])], Some(1));
        // More came than the frame has; what is before what came already.
        check(&[(5, &[(0, none), (0, none)])], Some(1));
    }

    #[test]
    fn what_is_counted_elsewhere_is_believed_where_it_fits_the_frames() {
        /// How long a frame is, and what is told of it.
        type Frame = (u32, Option<(Told, Told, u32)>);
        const BETWEEN: Told = Told::BETWEEN;
        let check = |frames: &[Frame], expected: Option<u64>| {
            let mut messages = Messages::default();
            for (len, told) in frames {
                messages.frame(*len);
                if let Some((before, after, whole)) = *told {
                    messages.counted(&counted(before, after, whole));
                }
            }
            assert_eq!(messages.count(), expected, "{frames:?}");
        };
        let (inside, prefix) = (Told::in_message, Told::in_prefix);
        check(&[(12, Some((BETWEEN, BETWEEN, 1)))], Some(1));
        check(&[(12, Some((BETWEEN, BETWEEN, 1))), (5, Some((BETWEEN, BETWEEN, 1)))], Some(2));
        check(&[(60, Some((BETWEEN, BETWEEN, 12))), (7, None)], None);
        check(&[(7, None), (60, Some((BETWEEN, BETWEEN, 12)))], None);
        let long = (60, Some((BETWEEN, inside(20), 3)));
        check(&[long], Some(3));
        check(&[long, (15, None), (5, None)], Some(4));
        check(&[long, (15, None), (6, None)], None);
        check(&[long, (15, None), (25, Some((inside(5), BETWEEN, 3)))], Some(6));
        check(&[long, (15, None), (25, Some((inside(6), BETWEEN, 3)))], None);
        check(&[long, (20, Some((inside(20), BETWEEN, 1)))], None);
        check(&[long, (15, Some((BETWEEN, BETWEEN, 1)))], None);
        let torn = (63, Some((BETWEEN, prefix(3), 3)));
        check(&[torn], Some(3));
        check(&[torn, (2, Some((prefix(3), BETWEEN, 1)))], Some(4));
        check(&[torn, (2, Some((prefix(2), BETWEEN, 1)))], None);
        check(&[torn, (2, None)], None);
        check(&[(5, Some((BETWEEN, Told(u64::MAX), 0))), (5, None)], None);
        check(&[(u32::MAX, Some((BETWEEN, inside(u32::MAX), 0))), (u32::MAX, None)], Some(1));

        // Told of without a frame, twice, or of one of which bytes came.
        let mut messages = Messages::default();
        messages.counted(&counted(BETWEEN, BETWEEN, 1));
        assert_eq!(messages.count(), None);
        let mut messages = Messages::default();
        messages.frame(5);
        messages.counted(&counted(BETWEEN, BETWEEN, 1));
        messages.counted(&counted(BETWEEN, BETWEEN, 1));
        assert_eq!(messages.count(), None);
        let mut messages = Messages::default();
        messages.frame(10);
        messages.bytes(0, b"\0\0\0\0\0");
        messages.counted(&counted(BETWEEN, BETWEEN, 2));
        assert_eq!(messages.count(), None);
        // A prefix whose beginning was told of.
        let mut messages = Messages::default();
        messages.frame(3);
        messages.counted(&counted(BETWEEN, prefix(3), 0));
        messages.frame(2);
        messages.bytes(0, b"\0\0");
        assert_eq!(messages.count(), None);
    }

    fn counted(before: Told, after: Told, whole: u32) -> Counted {
        Counted { stream: 1, before, after, whole }
    }
}
