//! The byte ranges of one string that are to be masked, and the masking.

use std::ops::Range;

pub(super) const REDACTED: &str = "[REDACTED]";

#[derive(Debug, Default)]
pub(super) struct Masks {
    ranges: Vec<Range<usize>>,
    /// The furthest end of all ranges: a scanner that goes left to right need not look before it.
    until: usize,
}

impl Masks {
    pub(super) fn add(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.until = self.until.max(range.end);
            self.ranges.push(range);
        }
    }

    pub(super) fn add_some(&mut self, range: Option<Range<usize>>) {
        if let Some(range) = range {
            self.add(range);
        }
    }

    pub(super) fn until(&self) -> usize {
        self.until
    }

    pub(super) fn into_ranges(self) -> Vec<Range<usize>> {
        self.ranges
    }

    /// Masks `text`, and is empty afterwards. Ranges may overlap, touch, and cut characters.
    #[inline]
    pub(super) fn apply(&mut self, text: &mut String) {
        if !self.ranges.is_empty() {
            self.apply_some(text);
        }
    }

    #[cold]
    fn apply_some(&mut self, text: &mut String) {
        self.ranges.sort_unstable_by_key(|range| range.start);
        let mut masked = String::with_capacity(text.len());
        let mut kept_until = 0;
        for range in self.ranges.drain(..) {
            let end = text.ceil_char_boundary(range.end.min(text.len()));
            let start = text.floor_char_boundary(range.start).min(end);
            if end <= kept_until {
                continue;
            }
            // A range that touches the one before is the same secret.
            if start > kept_until || kept_until == 0 {
                masked.push_str(text.get(kept_until..start).unwrap_or_default());
                masked.push_str(REDACTED);
            }
            kept_until = end;
        }
        masked.push_str(text.get(kept_until..).unwrap_or_default());
        self.until = 0;
        if masked != *text {
            *text = masked;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, ranges: &[(usize, usize)], expected: &str) {
        let mut masks = Masks::default();
        ranges.iter().for_each(|(start, end)| masks.add(*start..*end));
        let mut text = text.to_owned();
        masks.apply(&mut text);
        assert_eq!(text, expected);
        assert_eq!(masks.until(), 0);
    }

    #[test]
    fn ranges_may_overlap_touch_and_cut_characters() {
        check("abcdef", &[], "abcdef");
        check("abcdef", &[(0, 2)], "[REDACTED]cdef");
        check("abcdef", &[(4, 99), (1, 2)], "a[REDACTED]cd[REDACTED]");
        check("abcdef", &[(1, 3), (2, 4), (4, 5), (1, 2)], "a[REDACTED]f");
        check("aéb", &[(2, 3)], "a[REDACTED]b");
        check("abc", &[(2, 1), (9, 12)], "abc[REDACTED]");
    }
}
