//! Lines of coloured text that are never wider than they may be.

use unicode_width::UnicodeWidthChar as _;

use super::Colour;
use super::label::ELLIPSIS;

/// What a piece of text is for. Only [`Ink::code`] knows the colours, all of them from the
/// sixteen that a terminal's theme sets, so that they can be read on any background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Text,
    Strong,
    Faint,
    Bar,
    Critical,
    Failed,
    Open,
}

impl Ink {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Bar => Some("36"),
            Self::Critical => Some("1;35"),
            Self::Failed => Some("31"),
            Self::Open => Some("33"),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Line {
    pieces: Vec<(Ink, String)>,
    /// Cells taken by `pieces`.
    width: usize,
}

impl Line {
    pub(super) fn push(&mut self, ink: Ink, text: &str) {
        self.width += cells(text);
        match self.pieces.last_mut() {
            Some((last, piece)) if *last == ink => piece.push_str(text),
            Some(_) | None => self.pieces.push((ink, text.to_owned())),
        }
    }

    /// Blanks up to this cell.
    pub(super) fn pad(&mut self, cell: usize) {
        let missing = cell.saturating_sub(self.width);
        self.push(Ink::Text, &" ".repeat(missing));
    }

    pub(super) fn append(&mut self, other: Self) {
        for (ink, text) in other.pieces {
            self.push(ink, &text);
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// With an ellipsis where something is left out.
    pub(super) fn cut(&mut self, width: usize) {
        if self.width <= width {
            return;
        }
        let mut left = width.saturating_sub(1);
        let mut kept = Self::default();
        'pieces: for (ink, text) in &self.pieces {
            for (at, c) in text.char_indices() {
                let cells = c.width().unwrap_or_default();
                if cells > left {
                    kept.push(*ink, text.get(..at).unwrap_or_default());
                    let mark = if width > 0 { ELLIPSIS.to_string() } else { String::new() };
                    kept.push(*ink, &mark);
                    break 'pieces;
                }
                left -= cells;
            }
            kept.push(*ink, text);
        }
        *self = kept;
    }

    /// Ends the line; blanks at its end are not written.
    pub(super) fn write(mut self, width: usize, colour: Colour, out: &mut String) {
        self.cut(width);
        while let Some((_, text)) = self.pieces.last_mut() {
            text.truncate(text.trim_end().len());
            if !text.is_empty() {
                break;
            }
            self.pieces.pop();
        }
        for (ink, text) in &self.pieces {
            match (colour, ink.code()) {
                (Colour::Ansi, Some(code)) if !text.trim().is_empty() => {
                    out.extend(["\u{1b}[", code, "m", text, "\u{1b}[0m"]);
                }
                (Colour::Ansi | Colour::Plain, _) => out.push_str(text),
            }
        }
        out.push('\n');
    }
}

/// At least what a terminal needs: a sequence that it draws as one character counts as several.
pub(super) fn cells(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or_default()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: usize, colour: Colour, expected: &str) {
        let mut line = Line::default();
        line.push(Ink::Strong, "日本");
        line.push(Ink::Text, " ab ");
        line.pad(20);
        let mut out = String::new();
        line.write(width, colour, &mut out);
        assert_eq!(out, expected, "{width}");
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        check(20, Colour::Plain, "日本 ab\n");
        check(7, Colour::Plain, "日本 a…\n");
        check(4, Colour::Plain, "日…\n");
        check(3, Colour::Plain, "日…\n");
        check(1, Colour::Plain, "…\n");
        check(0, Colour::Plain, "\n");
    }

    #[test]
    fn colour_ends_where_its_text_ends() {
        check(20, Colour::Ansi, "\u{1b}[1m日本\u{1b}[0m ab\n");
    }
}
