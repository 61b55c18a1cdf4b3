//! The first frame that is seen of a connection where its beginning was not: what can only be the
//! header of a frame, and whose it is.

use crate::http1::{CARRY_BYTES, IS_RESPONSE, MET_HALF_WAY, Piece, Scan, Stream};

/// Where the bytes begin of a connection that was met half-way. One that is seen from its beginning
/// begins at 0.
pub const MET_AT: u64 = 1;
/// Longest header block that a first frame may have.
const BLOCK_MAX: u64 = 8 * 1024;
/// Longest frame until a peer says that it may be longer (RFC 9113 §6.5.2).
const FRAME_MAX: u64 = 16 * 1024;
/// Kinds of frames that are told by name.
const HEADERS: u64 = 1;
const SETTINGS: u64 = 4;
const CONTINUATION: u64 = 9;
const END_HEADERS: u64 = 4;
/// The flags that mean something, of each kind up to the seventh a byte.
const FLAGS: u64 = 0x00_01_0c_01_00_00_2d_09;
/// The length of each kind up to the seventh, where it can have but one.
const LENGTHS: u64 = 0x00_08_00_00_04_05_00_00;
/// Kinds of the whole connection, a bit each, and those of a stream.
const OF_CONNECTION: u64 = 0b1101_0000;
const OF_STREAM: u64 = 0b10_0010_1111;
const WINDOW_UPDATE: u64 = 8;
/// The first fields of the static table that name what a request has, and a response (RFC 7541, A).
const REQUEST_FIRST: u64 = 1;
const RESPONSE_FIRST: u64 = 8;
const RESPONSE_LAST: u64 = 14;

/// What the nine bytes in front of a frame's payload say.
#[derive(Clone, Copy)]
pub(super) struct FrameHeader {
    pub(super) len: u64,
    pub(super) kind: u64,
    pub(super) flags: u64,
    /// With the bit that means nothing.
    stream: u64,
}

impl FrameHeader {
    /// Of which the first eight bytes are in one word, the first lowest, and the last four in another.
    #[inline(always)]
    pub(super) const fn new(first: u64, last: u64) -> Self {
        Self {
            len: ((first & 0xff) << 16) | (first & 0xff00) | ((first >> 16) & 0xff),
            kind: (first >> 24) & 0xff,
            flags: (first >> 32) & 0xff,
            stream: (last as u32).swap_bytes() as u64,
        }
    }

    #[inline(always)]
    pub(super) const fn stream(self) -> u32 {
        (self.stream & 0x7fff_ffff) as u32
    }

    /// Whether nine bytes that stand anywhere can be taken for it: of nine drawn at random one in 2^29
    /// can, and none of gRPC's messages. Later streams than the first eight millions are not believed.
    /// In one sum, because the verifier would go both ways at each comparison.
    #[inline(always)]
    pub(super) fn is_certain(self) -> bool {
        let at = 8 * (self.kind & 7);
        let is_listed = (self.kind < 8) as u64;
        let flags = ((FLAGS >> at) & (0xff * is_listed)) | (4 * (self.kind == CONTINUATION) as u64);
        let length =
            ((LENGTHS >> at) & (0xff * is_listed)) | (4 * (self.kind == WINDOW_UPDATE) as u64);
        let bit = 1u64 << (self.kind & 15);
        let has_stream = self.stream != 0;
        let wrong = (self.kind > CONTINUATION) as u64
            | (self.flags & !flags)
            | (length != 0 && self.len != length) as u64
            | (self.len > FRAME_MAX) as u64
            | (self.stream >> 24)
            | (self.kind == SETTINGS && !self.len.is_multiple_of(6)) as u64
            | (has_stream && OF_CONNECTION & bit != 0) as u64
            | (!has_stream && OF_STREAM & bit != 0) as u64;
        wrong == 0
    }

    /// Whether it is that of a whole header block on a stream that a client opened.
    #[inline(always)]
    fn opens(self) -> bool {
        let is_right = self.kind == HEADERS && self.flags & END_HEADERS != 0;
        is_right && self.stream & 1 != 0 && self.len > 0 && self.len <= BLOCK_MAX
    }
}

impl Stream {
    /// Whether the following may begin with this frame, all of whose header is in the piece: one with
    /// headers, of which the first has a name that only requests have, or only responses.
    #[inline(always)]
    pub(super) fn joins(&mut self, frame: FrameHeader, scan: &Scan, piece: &impl Piece) -> bool {
        if scan.line != CARRY_BYTES || !frame.opens() || !frame.is_certain() {
            return false;
        }
        let (is_padded, has_priority) = (frame.flags >> 3 & 1, frame.flags >> 5 & 1);
        let at = scan.line + super::HEADER_BYTES + is_padded + 5 * has_priority;
        if at >= scan.end {
            return false;
        }
        let name = static_name(piece.word(at) & 0xff);
        self.body_bytes = MET_AT;
        self.meet_half_way(name >= RESPONSE_FIRST);
        (REQUEST_FIRST..=RESPONSE_LAST).contains(&name)
    }

    /// Whether its beginning was not seen: then it is followed as long as it can be nothing but frames.
    #[inline(always)]
    pub const fn is_met_half_way(&self) -> bool {
        self.flags & MET_HALF_WAY != 0
    }

    /// Its beginning was not seen; the first frame is one of a response, or may be of a request.
    #[inline(always)]
    pub(super) const fn meet_half_way(&mut self, is_response: bool) {
        self.flags |= MET_HALF_WAY | (IS_RESPONSE * is_response as u32);
    }

    /// Its first frame comes before the client's preface: it is the server's.
    #[inline(always)]
    pub(super) const fn speaks_first(&mut self) {
        self.flags |= IS_RESPONSE;
    }
}

/// The index of a field's name by its first byte (RFC 7541 §6); 0 where it has none, or the byte begins
/// something else.
#[inline(always)]
const fn static_name(byte: u64) -> u64 {
    if byte & 0x80 != 0 {
        byte & 0x7f
    } else if byte & 0x40 != 0 {
        byte & 0x3f
    } else if byte & 0x20 != 0 {
        0
    } else {
        byte & 0x0f
    }
}
