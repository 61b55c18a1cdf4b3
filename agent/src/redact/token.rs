//! Secrets that are known by their shape, whatever their name: `ghp_…`, `AKIA…`, JWTs.

use std::ops::Range;

/// Which bytes the rest of a token has.
#[derive(Debug, Clone, Copy)]
enum Alphabet {
    Upper,
    Hex,
    Alphanumeric,
    /// And `-` and `_`.
    Word,
    /// And `-`, `_` and `.`.
    Dotted,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// At least three bytes: what the scanner looks for.
    pub(super) prefix: &'static [u8],
    rest: Alphabet,
    /// Fewer bytes than this are something else.
    least_bytes: usize,
}

const fn shape(prefix: &'static str, rest: Alphabet, least_bytes: usize) -> Shape {
    Shape { prefix: prefix.as_bytes(), rest, least_bytes }
}

/// In four groups of like prefixes, which keeps the scanner's false alarms few.
pub(super) const SHAPES: [&[Shape]; 4] = [
    &[
        shape("AKIA", Alphabet::Upper, 16),
        shape("ASIA", Alphabet::Upper, 16),
        shape("AIza", Alphabet::Word, 35),
        shape("ATATT3", Alphabet::Word, 30),
        shape("SG.", Alphabet::Dotted, 40),
        shape("NRAK-", Alphabet::Upper, 20),
    ],
    &[
        shape("ghp_", Alphabet::Alphanumeric, 20),
        shape("gho_", Alphabet::Alphanumeric, 20),
        shape("ghu_", Alphabet::Alphanumeric, 20),
        shape("ghs_", Alphabet::Alphanumeric, 20),
        shape("ghr_", Alphabet::Alphanumeric, 20),
        shape("github_pat_", Alphabet::Word, 20),
        shape("glpat-", Alphabet::Word, 16),
        shape("glrt-", Alphabet::Word, 16),
        shape("gldt-", Alphabet::Word, 16),
        shape("glptt-", Alphabet::Word, 16),
    ],
    &[
        shape("xoxa-", Alphabet::Word, 10),
        shape("xoxb-", Alphabet::Word, 10),
        shape("xoxp-", Alphabet::Word, 10),
        shape("xoxr-", Alphabet::Word, 10),
        shape("xoxs-", Alphabet::Word, 10),
        shape("xapp-", Alphabet::Word, 10),
        shape("sk_live_", Alphabet::Alphanumeric, 16),
        shape("sk_test_", Alphabet::Alphanumeric, 16),
        shape("rk_live_", Alphabet::Alphanumeric, 16),
        shape("rk_test_", Alphabet::Alphanumeric, 16),
        shape("sk-", Alphabet::Word, 20),
        shape("hf_", Alphabet::Alphanumeric, 30),
    ],
    &[
        shape("eyJ", Alphabet::Dotted, 20),
        shape("ya29.", Alphabet::Word, 20),
        shape("npm_", Alphabet::Alphanumeric, 30),
        shape("pypi-", Alphabet::Word, 40),
        shape("dop_v1_", Alphabet::Hex, 32),
        shape("dapi", Alphabet::Hex, 32),
        shape("hvs.", Alphabet::Word, 20),
        shape("hvb.", Alphabet::Word, 20),
        shape("dckr_pat_", Alphabet::Word, 20),
        shape("whsec_", Alphabet::Alphanumeric, 20),
        shape("shpat_", Alphabet::Hex, 32),
    ],
];

/// The token of one of these shapes that starts at `start`.
pub(super) fn at(text: &[u8], start: usize, shapes: &[Shape]) -> Option<Range<usize>> {
    // In the middle of a word it is no prefix: `task-…` is not `sk-…`.
    // A run of such bytes is only read from its start, which bounds the work.
    let before = start.checked_sub(1).and_then(|place| text.get(place)).copied();
    let text = text.get(start..)?;
    let shape = shapes.iter().find(|shape| text.starts_with(shape.prefix))?;
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || shape.rest.has(byte)) {
        return None;
    }
    let rest = text.get(shape.prefix.len()..)?;
    let bytes = rest.iter().take_while(|byte| shape.rest.has(**byte)).count();
    let goes_on = rest.get(bytes).is_some_and(u8::is_ascii_alphanumeric);
    let rest = rest.get(..bytes)?;
    let fits = bytes >= shape.least_bytes
        && !goes_on
        && match shape.prefix {
            b"eyJ" => is_jwt(rest),
            // Too short a prefix to trust without more.
            b"sk-" => is_mixed(rest),
            b"AKIA" | b"ASIA" => bytes == shape.least_bytes,
            _ => true,
        };
    fits.then_some(start..start + shape.prefix.len() + bytes)
}

/// Looks drawn at random: long, of letters and digits, and little else.
pub(super) fn is_random(text: &[u8], least_bytes: usize) -> bool {
    let safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~%+/=".contains(byte);
    text.len() >= least_bytes
        && text.iter().all(safe)
        && text.iter().any(u8::is_ascii_digit)
        && text.iter().any(u8::is_ascii_alphabetic)
}

/// The token after `Bearer` or the like: the run of bytes that one may have.
pub(super) fn after_scheme(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let ends = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"-_.~+/=:%|$!".contains(byte);
    let token = rest.get(blanks..)?;
    let token = token.get(..token.iter().position(ends).unwrap_or(token.len()))?;
    let credible = token.len() >= 16 || token.len() >= 8 && token.iter().any(u8::is_ascii_digit);
    (blanks > 0 && credible).then(|| start + blanks..start + blanks + token.len())
}

/// What stands between the first and the last line of a PEM private key; `begin` is at `BEGIN`.
pub(super) fn private_key(text: &[u8], begin: usize) -> Option<Range<usize>> {
    const LINE_BYTES: usize = 64;
    let (before, line) = text.split_at_checked(begin)?;
    let head = line.get(..LINE_BYTES.min(line.len()))?;
    let label_end = memchr::memmem::find(head, b"PRIVATE KEY")?;
    let dashes = memchr::memmem::find(head.get(label_end..)?, b"-----")?;
    let start = begin + label_end + dashes + 5;
    let body = text.get(start..)?;
    let bytes = memchr::memmem::find(body, b"-----END").unwrap_or(body.len());
    before.ends_with(b"-----").then_some(start..start + bytes)
}

/// Header and payload at least; the signature may be cut off or empty.
fn is_jwt(rest: &[u8]) -> bool {
    let mut parts = rest.split(|byte| *byte == b'.').map(<[u8]>::len);
    parts.next().is_some_and(|header| header >= 8) && parts.next().is_some_and(|body| body >= 4)
}

fn is_mixed(rest: &[u8]) -> bool {
    rest.iter().any(u8::is_ascii_digit)
        && rest.iter().any(u8::is_ascii_uppercase)
        && rest.iter().any(u8::is_ascii_lowercase)
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
        }
    }
}
