//! How much of a connection is held at one time, and the counts of what was beyond it.

use std::ops::AddAssign;

/// A header block, with all its CONTINUATIONs; and any other frame that is read.
pub const MAX_BLOCK_BYTES: usize = 64 * 1024;

/// Fields of a header block that are looked at.
pub const MAX_FIELDS: u32 = 128;

/// Exchanges of a connection that are open at one time.
pub const MAX_STREAMS: usize = 4096;

/// What the texts of these exchanges may come to.
pub const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// Path and query.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Any other text of an exchange.
pub const MAX_VALUE_BYTES: usize = 1024;

/// Settings that wait to be acknowledged.
pub const MAX_SETTINGS: usize = 64;

/// For how long an exchange that may have ended in a hole is waited for.
pub const MAX_DOUBT_NS: u64 = 60_000_000_000;

/// What was seen, and what of it could not be used, by reason. Nothing is in two of them unless it
/// says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Exchanges that were begun: each comes out once, or is still open.
    pub exchanges: u64,
    /// Requests for which there was no room.
    pub streams_refused: u64,
    /// Requests whose header block could not be read, beside that block's own count.
    pub requests_unreadable: u64,
    /// Requests on a stream that cannot be opened, and trailers whose request was not seen.
    pub requests_unmatched: u64,
    /// Final answers to a request that is not open: it was lost, refused, unreadable or before our
    /// time, or it had been reset.
    pub responses_unmatched: u64,
    /// Header blocks of which a part was lost on the way to us.
    pub blocks_lost: u64,
    /// Header blocks longer than what is held.
    pub blocks_too_long: u64,
    /// Header blocks that are no HPACK, stand where none may, or do not end.
    pub blocks_malformed: u64,
    /// Fields whose name or value was set before our time.
    pub fields_unknown: u64,
    /// Fields behind the last that is looked at.
    pub fields_left_out: u64,
    /// Texts of which only the beginning is held.
    pub texts_cut: u64,
    /// Holes in the stream of bytes, and how much was in them. Payloads that are not read are none.
    pub holes: u64,
    pub hole_bytes: u64,
    /// How often bytes were no frame; and the bytes of no use because no frame was found in them.
    pub out_of_step: u64,
    pub dropped_bytes: u64,
    /// Bytes that came again.
    pub overlap_bytes: u64,
    /// Settings that were not waited for to be acknowledged, and frames that were lost or too long
    /// and hold no header block.
    pub frames_unread: u64,
}

impl Counts {
    /// What could not be used, by the name that it is told under. Holes and dropped bytes are told by
    /// how often, not how many.
    pub fn losses(&self) -> [(&'static str, u64); 13] {
        [
            ("streams_refused", self.streams_refused),
            ("requests_unreadable", self.requests_unreadable),
            ("requests_unmatched", self.requests_unmatched),
            ("responses_unmatched", self.responses_unmatched),
            ("blocks_lost", self.blocks_lost),
            ("blocks_too_long", self.blocks_too_long),
            ("blocks_malformed", self.blocks_malformed),
            ("fields_unknown", self.fields_unknown),
            ("fields_left_out", self.fields_left_out),
            ("texts_cut", self.texts_cut),
            ("holes", self.holes),
            ("out_of_step", self.out_of_step),
            ("frames_unread", self.frames_unread),
        ]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that a count that is added to `Counts` cannot be forgotten here.
        let Self {
            exchanges,
            streams_refused,
            requests_unreadable,
            requests_unmatched,
            responses_unmatched,
            blocks_lost,
            blocks_too_long,
            blocks_malformed,
            fields_unknown,
            fields_left_out,
            texts_cut,
            holes,
            hole_bytes,
            out_of_step,
            dropped_bytes,
            overlap_bytes,
            frames_unread,
        } = other;
        self.exchanges += exchanges;
        self.streams_refused += streams_refused;
        self.requests_unreadable += requests_unreadable;
        self.requests_unmatched += requests_unmatched;
        self.responses_unmatched += responses_unmatched;
        self.blocks_lost += blocks_lost;
        self.blocks_too_long += blocks_too_long;
        self.blocks_malformed += blocks_malformed;
        self.fields_unknown += fields_unknown;
        self.fields_left_out += fields_left_out;
        self.texts_cut += texts_cut;
        self.holes += holes;
        self.hole_bytes = self.hole_bytes.saturating_add(hole_bytes);
        self.out_of_step += out_of_step;
        self.dropped_bytes += dropped_bytes;
        self.overlap_bytes += overlap_bytes;
        self.frames_unread += frames_unread;
    }
}
