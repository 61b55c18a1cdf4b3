//! One pass over any string, which looks closer only where three bytes could begin a secret.

use super::mask::Masks;
use super::token::{self, SHAPES, Shape};
use super::{pair, url};

// A rule is one bit of a byte. `=` and `:` end a name; the others are the first bytes of a thing.
const SEPARATOR: u8 = 1;
const AUTHORITY: u8 = 1 << 1;
const BEARER: u8 = 1 << 2;
const PRIVATE_KEY: u8 = 1 << 3;
const FIRST_SHAPE: u8 = 1 << 4;

/// For each byte: the rules of which it can be the first, second and third byte, in bits 0.., 8..
/// and 16... A rule is looked at where three bytes in a row agree on it: one load for each byte,
/// which on strings this short beats any automaton that must be started.
static PLACES: [u32; 256] = places();

/// Adds what looks secret by itself.
pub(super) fn scan(text: &str, masks: &mut Masks) {
    let text = text.as_bytes();
    let (mut first, mut second) = (u32::from(SEPARATOR), u32::from(SEPARATOR) << 8);
    for (place, byte) in text.iter().enumerate() {
        let third = PLACES[usize::from(*byte)];
        let rules = first & (second >> 8) & (third >> 16);
        (first, second) = (second, third);
        if rules != 0 {
            look(text, place, rules, masks);
        }
    }
}

#[cold]
fn look(text: &[u8], place: usize, rules: u32, masks: &mut Masks) {
    let has = |rule: u8| rules & u32::from(rule) != 0;
    let start = place.saturating_sub(2);
    // What lies in a secret found before needs no mask of its own. This also bounds the work.
    if has(SEPARATOR) && place >= masks.until() {
        masks.add_some(pair::secret(text, place));
    }
    if start < masks.until() {
        return;
    }
    if has(AUTHORITY) {
        masks.add_some(url::userinfo(text, place + 1));
    }
    if has(BEARER) && starts_with(text, start, b"bearer") {
        masks.add_some(token::after_scheme(text, start + 6));
    }
    if has(PRIVATE_KEY) {
        masks.add_some(token::private_key(text, start));
    }
    for (group, shapes) in SHAPES.iter().enumerate() {
        if has(FIRST_SHAPE << group) {
            masks.add_some(token::at(text, start, shapes));
        }
    }
}

fn starts_with(text: &[u8], start: usize, word: &[u8]) -> bool {
    text.get(start..start + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
}

const fn places() -> [u32; 256] {
    let mut places = [SEPARATOR as u32 | (SEPARATOR as u32) << 8; 256];
    places[b'=' as usize] |= (SEPARATOR as u32) << 16;
    places[b':' as usize] |= (SEPARATOR as u32) << 16;
    places = with(places, b"://", AUTHORITY);
    places = with(places, b"bea", BEARER);
    places = with(places, b"BEA", BEARER);
    places = with(places, b"BEG", PRIVATE_KEY);
    let mut group = 0;
    while group < SHAPES.len() {
        let shapes: &[Shape] = SHAPES[group];
        let mut place = 0;
        while place < shapes.len() {
            places = with(places, shapes[place].prefix, FIRST_SHAPE << group);
            place += 1;
        }
        group += 1;
    }
    places
}

const fn with(mut places: [u32; 256], prefix: &[u8], rule: u8) -> [u32; 256] {
    let mut place = 0;
    while place < 3 {
        places[prefix[place] as usize] |= (rule as u32) << (8 * place);
        place += 1;
    }
    places
}
