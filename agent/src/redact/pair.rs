//! `name=value`, `name: value`, `"name": "value"` anywhere in a text: queries, JSON, YAML,
//! connection strings, assignments in scripts.

use std::ops::Range;

use super::name::{Meaning, meaning};

const NAME_BYTES: usize = 64;

/// How the value is written, which says where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `?name=value`, `&name=value`
    Query,
    /// `name=value`, `name = value`
    Assigned,
    /// `"name": value`
    Json,
    /// `name: value`
    Yaml,
    /// A header that owns the rest of its line.
    Line,
}

/// The name before a separator.
struct Name {
    range: Range<usize>,
    is_quoted: bool,
}

/// The value after it.
struct Content {
    range: Range<usize>,
    is_quoted: bool,
}

/// What to mask in the value after the `=` or `:` at `place`.
pub(super) fn secret(text: &[u8], place: usize) -> Option<Range<usize>> {
    let is_colon = text.get(place)? == &b':';
    let next = text.get(place + 1)?;
    let name = name_before(text, place)?;
    let before = name.range.start.checked_sub(1).and_then(|before| text.get(before)).copied();
    // Most colons are of paths, ports, images and addresses.
    if is_colon
        && (!name.is_quoted && !b" \t\"'\\=".contains(next) || matches!(before, Some(b'/' | b'@')))
    {
        return None;
    }
    let word = text.get(name.range.clone())?;
    let meaning = meaning(word);
    if meaning == Meaning::Plain {
        return None;
    }
    let in_query = matches!(before, Some(b'?' | b'&'));
    let is_line = is_colon && matches!(meaning, Meaning::Authorization | Meaning::Cookie);
    let enclosing = before.filter(|byte| is_quote(*byte) && !name.is_quoted);
    let kind = match (is_colon, in_query) {
        _ if is_line => Kind::Line,
        (true, _) if name.is_quoted => Kind::Json,
        (true, _) => Kind::Yaml,
        (false, true) => Kind::Query,
        (false, false) => Kind::Assigned,
    };
    let content = content_after(text, place, kind, enclosing)?;
    let value = text.get(content.range.clone())?;
    let secret = match kind {
        Kind::Query => meaning.in_query(value),
        // In prose a colon is only a colon: `auth: fix the login`.
        Kind::Yaml if !content.is_quoted && !is_key_like(word, meaning) => {
            let rest = text.get(content.range.end..)?;
            let rest = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b','));
            let is_last = rest.is_none_or(|byte| *byte == b'\n' || is_quote(*byte));
            meaning.secret(value).filter(|_| is_last)
        }
        Kind::Line | Kind::Json | Kind::Yaml => meaning.whole(value),
        Kind::Assigned => meaning.secret(value),
    }?;
    Some(content.range.start + secret.start..content.range.start + secret.end)
}

fn is_key_like(word: &[u8], meaning: Meaning) -> bool {
    meaning != Meaning::Credentials && word.contains(&b'_') || word.contains(&b'-')
}

/// `name`, `"name"`, `\"name\"`, `['name']`, and blanks before the separator.
fn name_before(text: &[u8], place: usize) -> Option<Name> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let before = text.get(place.saturating_sub(NAME_BYTES)..place)?;
    let mut end = place - before.iter().rev().take_while(|byte| blank(byte)).count();
    let at = |end: usize| end.checked_sub(1).and_then(|place| text.get(place)).copied();
    if at(end) == Some(b']') {
        end -= 1;
    }
    let is_quoted = matches!(at(end), Some(b'"' | b'\''));
    if is_quoted {
        end -= 1;
        if at(end) == Some(b'\\') {
            end -= 1;
        }
    }
    let before = text.get(end.saturating_sub(NAME_BYTES)..end)?;
    let bytes = before.iter().rev().take_while(|byte| is_name(**byte)).count();
    (bytes > 1).then(|| Name { range: end - bytes..end, is_quoted })
}

fn content_after(text: &[u8], place: usize, kind: Kind, enclosing: Option<u8>) -> Option<Content> {
    let at = |place: usize| text.get(place).copied();
    let mut start = place + 1;
    // `==`, `=>`, `:=`
    start += usize::from(matches!(at(start), Some(b'=' | b'>')));
    let blanks_may_follow = match kind {
        Kind::Query => false,
        Kind::Assigned => matches!(place.checked_sub(1).and_then(at), Some(b' ' | b'\t')),
        Kind::Line | Kind::Json | Kind::Yaml => true,
    };
    if blanks_may_follow {
        start += text.iter().skip(start).take_while(|byte| b" \t".contains(byte)).count();
    }
    let is_escaped = at(start) == Some(b'\\') && at(start + 1).is_some_and(is_quote);
    let open = start + usize::from(is_escaped);
    if let Some(quote) = at(open).filter(|byte| is_quote(*byte)) {
        let start = open + 1;
        let bytes = quoted_bytes(text.get(start..)?, quote, is_escaped);
        // `"password="`: the quote was opened before the name.
        let is_quoted = !is_escaped && enclosing != Some(quote);
        return (is_quoted || is_escaped)
            .then_some(Content { range: start..start + bytes, is_quoted: true });
    }
    let rest = text.get(start..)?;
    let escapes = |place: usize| rest.get(place + 1).copied().is_some_and(is_quote);
    let ends = |(place, byte): (usize, &u8)| match (kind, *byte) {
        (_, b'\r' | b'\n') => true,
        (Kind::Line, byte) => enclosing.map_or_else(|| is_quote(byte), |quote| byte == quote),
        (_, b'\\') => escapes(place),
        (_, byte) if byte.is_ascii_whitespace() || is_quote(byte) => true,
        (Kind::Query, b'#' | b'&' | b';') | (Kind::Assigned, b'&' | b';') => true,
        (Kind::Json, b',' | b'}') => true,
        (Kind::Query | Kind::Assigned, b',') => rest.get(place + 1..).is_some_and(opens_pair),
        (Kind::Query | Kind::Assigned | Kind::Json | Kind::Yaml, _) => false,
    };
    let bytes = rest.iter().enumerate().position(ends).unwrap_or(rest.len());
    Some(Content { range: start..start + bytes, is_quoted: false })
}

/// Up to the closing quote; a quote that never closes closes with its line.
fn quoted_bytes(text: &[u8], quote: u8, is_escaped: bool) -> usize {
    let mut after_backslash = false;
    for (place, byte) in text.iter().enumerate() {
        match *byte {
            found if found == quote && after_backslash == is_escaped => {
                return place - usize::from(is_escaped);
            }
            found if found == quote && is_escaped => return place,
            b'\\' => after_backslash = !after_backslash,
            _ => after_backslash = false,
        }
    }
    text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len())
}

/// Where a value ends that another pair follows: `a=b,c=d`, `a=b&c=d`, `a=b;c=d`, `a=b c=d`.
pub(super) fn before_next_pair(value: &[u8]) -> usize {
    let ends = |(place, byte): (usize, &u8)| {
        b",&; ".contains(byte) && value.get(place + 1..).is_some_and(opens_pair)
    };
    value.iter().enumerate().position(ends).unwrap_or(value.len())
}

/// `name=x`: but `name=` and `name==` end a base64 text.
fn opens_pair(text: &[u8]) -> bool {
    let name = text.iter().take(NAME_BYTES).take_while(|byte| is_name(**byte)).count();
    let after = |place: usize| text.get(name + place);
    name > 0 && after(0) == Some(&b'=') && after(1).is_some_and(|byte| *byte != b'=')
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}
