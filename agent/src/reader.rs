//! A bounds-checked cursor: the only way to take untrusted bytes apart.

/// `at <= bytes.len()`.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What has not been taken.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next `len` bytes; `None`, with nothing taken, if there are fewer.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    /// The next value of a fixed layout.
    pub fn value<T: zerocopy::FromBytes>(&mut self) -> Option<T> {
        let (value, rest) = T::read_from_prefix(self.bytes).ok()?;
        self.bytes = rest;
        Some(value)
    }

    /// The bytes before the next NUL, which is taken too; all that is left if there is none.
    pub fn until_nul(&mut self) -> &'a [u8] {
        let end = memchr::memchr(0, self.bytes).unwrap_or(self.bytes.len());
        let (taken, rest) = self.bytes.split_at_checked(end).unwrap_or((self.bytes, &[]));
        self.bytes = rest.get(1..).unwrap_or_default();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_past_the_end() {
        let mut reader = Reader::new(b"ab\0c");
        assert_eq!(reader.take(5), None);
        assert_eq!(reader.until_nul(), b"ab");
        assert_eq!(reader.until_nul(), b"c");
        assert_eq!(reader.until_nul(), b"");
        assert_eq!(reader.value::<u8>(), None);
        assert!(reader.is_empty());
    }
}
