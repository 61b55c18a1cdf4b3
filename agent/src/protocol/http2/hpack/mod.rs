//! HPACK (RFC 7541), the reading half: a header block -> its fields. What cannot be known is said to
//! be unknown; a block that cannot be read makes all that was set before it unknown.

mod huffman;
mod table;
#[cfg(test)]
pub(super) mod vectors;

pub(super) use self::table::Field;
use self::table::{INITIAL_BYTES, Name, Table};
use crate::reader::Reader;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HpackError {
    #[error("the block ends inside a field")]
    Short,
    #[error("an integer of the block is larger than any that can be meant")]
    Integer,
    #[error("a string of the block is no Huffman code")]
    Huffman,
    #[error("the block refers to index 0")]
    Index,
    #[error("the table's size is changed behind the first field")]
    LateResize,
    #[error("the table's size is changed to {0} bytes, which is more than was allowed")]
    Resize(u32),
}

/// How large the other side allowed the table to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Known(u32),
    /// We did not see everything that was agreed on. Stays so: later agreements cannot be told from
    /// those that we missed.
    Unknown,
}

/// Reads the blocks of one direction, in their order.
#[derive(Debug)]
pub(super) struct Decoder {
    table: Table,
    limit: Limit,
    /// The string that was read last.
    text: Vec<u8>,
}

impl Decoder {
    /// Of a direction whose beginning was seen.
    pub(super) fn from_start() -> Self {
        Self { table: Table::empty(), limit: Limit::Known(INITIAL_BYTES), ..Self::joined() }
    }

    /// Of a direction of which something was missed.
    pub(super) fn joined() -> Self {
        Self { table: Table::unknown(), limit: Limit::Unknown, text: Vec::new() }
    }

    /// Something was missed.
    pub(super) fn forget(&mut self) {
        *self = Self::joined();
    }

    pub(super) fn forget_limit(&mut self) {
        self.limit = Limit::Unknown;
    }

    /// The writing side acknowledged what the reading side allows. How large the table *is*, the
    /// writing side says in its next block (RFC 7541 §4.2); should it fail to, nothing is read
    /// wrongly for it.
    pub(super) fn allow(&mut self, max_bytes: u32) {
        if let Limit::Known(limit) = &mut self.limit {
            *limit = max_bytes;
        }
    }

    /// Shows the fields of a block in their order. After an error everything is forgotten, as it is
    /// not known what the rest of the block did to the table.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        show: &mut dyn FnMut(Field<'_>),
    ) -> Result<(), HpackError> {
        let read = self.fields(block, show);
        if read.is_err() {
            self.forget();
        }
        read
    }

    fn fields(&mut self, block: &[u8], show: &mut dyn FnMut(Field<'_>)) -> Result<(), HpackError> {
        let mut block = Reader::new(block);
        let mut at_start = true;
        while let Some([first]) = block.value::<[u8; 1]>() {
            // RFC 7541 §6: the first bits tell what comes.
            match first {
                0x80.. => {
                    let index = integer(&mut block, first, 7)?;
                    show(self.table.field(index).ok_or(HpackError::Index)?);
                }
                0x40.. => self.literal(&mut block, first, Indexing::Incremental, show)?,
                0x20.. => {
                    let size = integer(&mut block, first, 5)?;
                    self.resize(size, at_start)?;
                    continue;
                }
                _ => self.literal(&mut block, first, Indexing::None, show)?,
            }
            at_start = false;
        }
        Ok(())
    }

    fn resize(&mut self, size: u32, at_start: bool) -> Result<(), HpackError> {
        if !at_start {
            return Err(HpackError::LateResize);
        }
        if matches!(self.limit, Limit::Known(limit) if size > limit) {
            return Err(HpackError::Resize(size));
        }
        self.table.resize(size);
        Ok(())
    }

    fn literal(
        &mut self,
        block: &mut Reader<'_>,
        first: u8,
        indexing: Indexing,
        show: &mut dyn FnMut(Field<'_>),
    ) -> Result<(), HpackError> {
        let index = integer(block, first, indexing.prefix_bits())?;
        let name = if index == 0 {
            self.text.clear();
            string(block, &mut self.text)?;
            Some(Name::Shared(self.text.as_slice().into()))
        } else {
            self.table.name(index)
        };
        self.text.clear();
        string(block, &mut self.text)?;
        show(Field { name: name.as_ref().map(Name::as_bytes), value: Some(&self.text) });
        if indexing == Indexing::Incremental {
            self.table.insert(name, &self.text);
        }
        Ok(())
    }
}

/// What becomes of a literal: whether it is never to be indexed is of no matter to who only reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indexing {
    Incremental,
    None,
}

impl Indexing {
    fn prefix_bits(self) -> u32 {
        match self {
            Self::Incremental => 6,
            Self::None => 4,
        }
    }
}

/// RFC 7541 §5.1, of which the first byte was taken. What does not fit 32 bits is an error: no
/// length and no index is so large.
fn integer(reader: &mut Reader<'_>, first: u8, prefix_bits: u32) -> Result<u32, HpackError> {
    let mask = (1_u32 << prefix_bits) - 1;
    let mut sum = u32::from(first) & mask;
    if sum < mask {
        return Ok(sum);
    }
    for shift in [0, 7, 14, 21, 28] {
        let [byte] = reader.value::<[u8; 1]>().ok_or(HpackError::Short)?;
        let part = u64::from(byte & 0x7f) << shift;
        let part = u32::try_from(part).ok();
        sum = part.and_then(|part| sum.checked_add(part)).ok_or(HpackError::Integer)?;
        if byte & 0x80 == 0 {
            return Ok(sum);
        }
    }
    Err(HpackError::Integer)
}

/// RFC 7541 §5.2.
fn string(reader: &mut Reader<'_>, text: &mut Vec<u8>) -> Result<(), HpackError> {
    let [first] = reader.value::<[u8; 1]>().ok_or(HpackError::Short)?;
    let len = integer(reader, first, 7)?;
    let coded = reader.take(len as usize).ok_or(HpackError::Short)?;
    if first & 0x80 == 0 {
        text.extend_from_slice(coded);
        return Ok(());
    }
    huffman::decode(coded, text).map_err(|huffman::Malformed| HpackError::Huffman)
}
