//! What the indexes of HPACK stand for: the static table, and the dynamic one as far as we saw it
//! grow. It never holds what the peer's does not have in the same place.

use std::{collections::VecDeque, sync::Arc};

/// More than this is not kept, however large the peers agree that it may be.
pub(super) const MAX_BYTES: u32 = 64 * 1024;

/// RFC 9113 §6.5.2: what both sides start with.
pub(super) const INITIAL_BYTES: u32 = 4096;

/// RFC 7541 §4.1: what an entry counts beside its text.
const OVERHEAD_BYTES: usize = 32;

/// A header as the table or the block has it; `None` is what an index stands for that we did not
/// see being set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// Shared by the entries that were made of it: a block can name one long name many times.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Static(&'static str),
    Shared(Arc<[u8]>),
}

impl Name {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Static(name) => name.as_bytes(),
            Self::Shared(name) => name,
        }
    }
}

#[derive(Debug)]
struct Entry {
    name: Option<Name>,
    value: Box<[u8]>,
}

impl Entry {
    fn size(&self) -> usize {
        let name = self.name.as_ref().map_or(0, |name| name.as_bytes().len());
        name + self.value.len() + OVERHEAD_BYTES
    }

    fn field(&self) -> Field<'_> {
        Field { name: self.name.as_ref().map(Name::as_bytes), value: Some(&self.value) }
    }
}

/// The dynamic table. Entries are found from the newest on, so that those which were set before we
/// came are simply beyond the last. `bytes <= max <= MAX_BYTES`, and `bytes` is the sum of sizes.
///
/// Where the peer's table is larger than ours, or an entry is larger in it because its name is
/// unknown to us, ours ends at another entry. Neither moves the ones before.
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    bytes: usize,
    max: u32,
}

impl Table {
    /// Of a connection that begins.
    pub(super) fn empty() -> Self {
        Self { entries: VecDeque::new(), bytes: 0, max: INITIAL_BYTES }
    }

    /// Of a connection that has gone on without us: both its entries and its size are unknown.
    pub(super) fn unknown() -> Self {
        Self { entries: VecDeque::new(), bytes: 0, max: MAX_BYTES }
    }

    pub(super) fn resize(&mut self, max: u32) {
        self.max = max.min(MAX_BYTES);
        self.evict(0);
    }

    pub(super) fn insert(&mut self, name: Option<Name>, value: &[u8]) {
        let entry = Entry { name, value: value.into() };
        let size = entry.size();
        // RFC 7541 §4.4: what is larger than the table empties it, and is no error.
        self.evict(size);
        if self.bytes + size <= self.max as usize {
            self.bytes += size;
            self.entries.push_front(entry);
        }
    }

    /// Makes room for so many bytes, as far as there is any.
    fn evict(&mut self, room: usize) {
        while self.bytes + room > self.max as usize
            && let Some(oldest) = self.entries.pop_back()
        {
            self.bytes -= oldest.size();
        }
    }

    /// `None` only for index 0, which stands for nothing.
    pub(super) fn field(&self, index: u32) -> Option<Field<'_>> {
        let index = (index as usize).checked_sub(1)?;
        let unknown = Field { name: None, value: None };
        Some(match STATIC.get(index) {
            Some((name, value)) => {
                Field { name: Some(name.as_bytes()), value: Some(value.as_bytes()) }
            }
            None => self.entries.get(index - STATIC.len()).map_or(unknown, Entry::field),
        })
    }

    /// The name alone; `None` if it is unknown.
    pub(super) fn name(&self, index: u32) -> Option<Name> {
        let index = (index as usize).checked_sub(1)?;
        match STATIC.get(index) {
            Some((name, _)) => Some(Name::Static(name)),
            None => self.entries.get(index - STATIC.len())?.name.clone(),
        }
    }
}

/// RFC 7541, Appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"),
    (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"), (":status", "200"),
    (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""),
    ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""),
    ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
    ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""),
    ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
    ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
    ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""),
    ("via", ""), ("www-authenticate", ""),
];

#[cfg(test)]
impl Table {
    /// Its entries from the newest on, and its size, as RFC 7541, Appendix C, shows them.
    pub(super) fn shown(&self) -> (Vec<(String, String)>, usize) {
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"?")).into_owned();
        let fields = self.entries.iter().map(Entry::field);
        (fields.map(|field| (text(field.name), text(field.value))).collect(), self.bytes)
    }
}
