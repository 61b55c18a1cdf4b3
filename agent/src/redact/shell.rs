//! Splits the text of a shell script into commands of words, each byte of which knows where it
//! came from. It refuses to expand anything.

use std::ops::Range;

use super::command::{self, Depth, Hit};
use super::mask::Masks;

/// Where a byte of a word stood in the script.
#[derive(Debug, Clone, Copy)]
struct Origin {
    start: usize,
    end: usize,
    /// Index of its run of equal quoting.
    run: usize,
}

#[derive(Debug, Default)]
struct Word {
    text: String,
    /// As many as `text` has bytes.
    origins: Vec<Origin>,
    /// Quoted, it may be a script itself.
    is_quoted: bool,
}

impl AsRef<str> for Word {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Applies the rules of command lines to each command of `script`.
pub(super) fn script(script: &str, depth: Depth, masks: &mut Masks) {
    let Some(depth) = depth.deeper() else { return };
    let mut splitter = Splitter::new(script);
    while let Some(words) = splitter.command() {
        let mut hits: Vec<Hit> = Vec::new();
        command::command(&words, depth, &mut hits);
        for hit in hits {
            if let Some(word) = words.get(hit.argument) {
                masks.add_some(splitter.origin(word, hit.range));
            }
        }
        for word in words.iter().filter(|word| word.is_quoted && substitutes(&word.text)) {
            let mut inner = Masks::default();
            self::script(&word.text, depth, &mut inner);
            for range in inner.into_ranges() {
                masks.add_some(splitter.origin(word, range));
            }
        }
    }
}

fn substitutes(text: &str) -> bool {
    text.contains("$(") || text.contains('`')
}

struct Splitter<'a> {
    script: &'a str,
    /// `at <= script.len()`, at the start of a character.
    at: usize,
    /// Where each run of equal quoting begins, and whether it is quoted. Ends where the next begins.
    runs: Vec<(usize, bool)>,
}

impl<'a> Splitter<'a> {
    fn new(script: &'a str) -> Self {
        Self { script, at: 0, runs: vec![(0, false)] }
    }

    /// The next command, which may have no words.
    fn command(&mut self) -> Option<Vec<Word>> {
        let mut words = Vec::new();
        let mut word: Option<Word> = None;
        let mut quote: Option<char> = None;
        let mut before = ' ';
        if self.at == self.script.len() {
            return None;
        }
        while let Some((start, c, next)) = self.step() {
            match (quote, c) {
                (Some(open), c) if c == open => {
                    quote = None;
                    self.runs.push((self.at, false));
                }
                (None, '"' | '\'') => {
                    quote = Some(c);
                    self.runs.push((start, true));
                    word.get_or_insert_default().is_quoted = true;
                }
                (None, '\\') => match self.step() {
                    Some((_, '\n', _)) | None => {}
                    Some((_, escaped, _)) => {
                        self.push(word.get_or_insert_default(), start, escaped);
                    }
                },
                (Some('"'), '\\') if next.is_some_and(|next| "\"\\$`\n".contains(next)) => {
                    if let Some((_, escaped, _)) = self.step() {
                        self.push(word.get_or_insert_default(), start, escaped);
                    }
                }
                // `2>&1` and `&>` redirect; a lone `&` ends the command.
                (None, '&') if matches!(before, '<' | '>') || next == Some('>') => {
                    words.extend(word.take());
                }
                (None, ' ' | '\t' | '\r' | '<' | '>') => words.extend(word.take()),
                (None, '\n' | ';' | '|' | '&' | '(' | ')' | '`') => {
                    words.extend(word.take());
                    return Some(words);
                }
                (None, '#') if word.is_none() => self.skip_line(),
                (None | Some(_), c) => self.push(word.get_or_insert_default(), start, c),
            }
            before = c;
        }
        words.extend(word.take());
        Some(words)
    }

    /// The next character, where it starts, and the one after it.
    fn step(&mut self) -> Option<(usize, char, Option<char>)> {
        let start = self.at;
        let mut rest = self.script.get(start..)?.chars();
        let c = rest.next()?;
        self.at += c.len_utf8();
        Some((start, c, rest.next()))
    }

    fn skip_line(&mut self) {
        let rest = self.script.get(self.at..).unwrap_or_default();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn push(&self, word: &mut Word, start: usize, c: char) {
        let origin = Origin { start, end: self.at, run: self.runs.len() - 1 };
        word.text.push(c);
        word.origins.resize(word.text.len(), origin);
    }

    /// Where a range of a word stood. A range over more than one run takes the quoted ones whole:
    /// masking a part of them would leave a quote open.
    fn origin(&self, word: &Word, range: Range<usize>) -> Option<Range<usize>> {
        let first = word.origins.get(range.start)?;
        let last = word.origins.get(range.end.checked_sub(1)?)?;
        if first.run == last.run {
            return Some(first.start..last.end);
        }
        let quoted = |run: usize| self.runs.get(run).filter(|(_, is_quoted)| *is_quoted);
        let start = quoted(first.run).map_or(first.start, |(start, _)| *start);
        let next = self.runs.get(last.run + 1).map_or(self.script.len(), |(start, _)| *start);
        let end = quoted(last.run).map_or(last.end, |_| next);
        Some(start..end)
    }
}
