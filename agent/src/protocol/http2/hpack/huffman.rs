//! The Huffman code of RFC 7541, Appendix B: coded bytes -> text.

/// The coded bytes are no text, or are not padded as §5.2 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// All codes of one length. The code is canonical: codes of a length follow each other, in the order
/// of [`SYMBOLS`], and every shorter code is smaller when both are filled up to 32 bits.
struct Row {
    bits: u32,
    /// Its first code, and what follows its last, filled up to 32 bits.
    first: u64,
    end: u64,
    /// Where its first symbol is in [`SYMBOLS`].
    index: usize,
}

const fn row(bits: u32, first: u64, index: usize, count: u64) -> Row {
    let fill = 32 - bits;
    Row { bits, first: first << fill, end: (first + count) << fill, index }
}

/// Appends the text. What it appended before an error is of no use.
pub(super) fn decode(coded: &[u8], text: &mut Vec<u8>) -> Result<(), Malformed> {
    // The low `have` bits of `bits` are what is not decoded yet.
    let (mut bits, mut have) = (0_u64, 0_u32);
    let mut rest = coded.iter();
    loop {
        while have <= 32
            && let Some(byte) = rest.next()
        {
            bits = (bits << 8) | u64::from(*byte);
            have += 8;
        }
        let window = window(bits, have);
        let Some(row) = ROWS.iter().find(|row| window < row.end).filter(|row| row.bits <= have)
        else {
            break;
        };
        let offset = usize::try_from((window - row.first) >> (32 - row.bits));
        // No symbol is there for the end-of-string code, which must not occur.
        let symbol = offset.ok().and_then(|offset| SYMBOLS.get(row.index + offset));
        text.push(*symbol.ok_or(Malformed)?);
        have -= row.bits;
    }
    let padding = (1 << have) - 1;
    if have < 8 && bits & padding == padding { Ok(()) } else { Err(Malformed) }
}

/// The next 32 bits, with ones behind the last: those begin the longest code, so that no code is
/// taken for a shorter one than it is.
fn window(bits: u64, have: u32) -> u64 {
    let filled = match have.checked_sub(32) {
        Some(more) => bits >> more,
        None => !(!bits << (32 - have)),
    };
    filled & 0xffff_ffff
}

#[rustfmt::skip]
const ROWS: [Row; 21] = [
    row(5, 0x0, 0, 10),
    row(6, 0x14, 10, 26),
    row(7, 0x5c, 36, 32),
    row(8, 0xf8, 68, 6),
    row(10, 0x3f8, 74, 5),
    row(11, 0x7fa, 79, 3),
    row(12, 0xffa, 82, 2),
    row(13, 0x1ff8, 84, 6),
    row(14, 0x3ffc, 90, 2),
    row(15, 0x7ffc, 92, 3),
    row(19, 0x7fff0, 95, 3),
    row(20, 0xfffe6, 98, 8),
    row(21, 0x1fffdc, 106, 13),
    row(22, 0x3fffd2, 119, 26),
    row(23, 0x7fffd8, 145, 29),
    row(24, 0xffffea, 174, 12),
    row(25, 0x1ffffec, 186, 4),
    row(26, 0x3ffffe0, 190, 15),
    row(27, 0x7ffffde, 205, 19),
    row(28, 0xfffffe2, 224, 29),
    row(30, 0x3ffffffc, 253, 4),
];

/// In the order of their codes; the end-of-string code, which follows, has none.
#[rustfmt::skip]
const SYMBOLS: [u8; 256] = [
    48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61,
    65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117, 58, 66, 67, 68, 69, 70, 71, 72,
    73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120,
    121, 122, 38, 42, 44, 59, 88, 90, 33, 34, 40, 41, 63, 39, 43, 124, 35, 62, 0, 36, 64, 91, 93,
    126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130, 131, 162, 184, 194, 224, 226, 153, 161, 167,
    172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133, 134, 136, 146, 154, 156, 160,
    163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1, 135,
    137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175,
    180, 182, 183, 188, 191, 197, 231, 239, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236,
    237, 199, 207, 234, 235, 192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243,
    255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253,
    254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29,
    30, 31, 127, 220, 249, 10, 13, 22,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<String, Malformed> {
        let mut text = Vec::new();
        decode(coded, &mut text).map(|()| String::from_utf8_lossy(&text).into_owned())
    }

    /// The plainest encoder there is, from the same table.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for byte in text {
            let at = SYMBOLS.iter().position(|symbol| symbol == byte).unwrap();
            let row = ROWS.iter().rfind(|row| row.index <= at).unwrap();
            let code = (row.first >> (32 - row.bits)) + (at - row.index) as u64;
            bits.extend((0..row.bits).rev().map(|bit| (code >> bit) & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        bits.chunks(8)
            .map(|byte| byte.iter().fold(0, |sum, bit| (sum << 1) | u8::from(*bit)))
            .collect()
    }

    #[test]
    fn the_code_is_complete_and_has_every_symbol_once() {
        let mut next = 0;
        for (row, symbols) in ROWS.iter().zip(ROWS.iter().skip(1).map(|row| row.index).chain([257]))
        {
            assert_eq!(row.first, next, "{} bits", row.bits);
            assert_eq!((row.end - row.first) >> (32 - row.bits), (symbols - row.index) as u64);
            next = row.end;
        }
        assert_eq!(next, 1 << 32);
        let mut symbols = SYMBOLS;
        symbols.sort_unstable();
        assert!(symbols.iter().copied().eq(0..=255));
    }

    #[test]
    fn every_text_reads_as_what_was_coded() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = Vec::new();
        assert_eq!(decode(&encode(&all), &mut text), Ok(()));
        assert_eq!(text, all);
        for start in 0..=255 {
            let each = [start, b'a', start, start];
            let mut text = Vec::new();
            assert_eq!(decode(&encode(&each), &mut text), Ok(()));
            assert_eq!(text, each);
        }
    }

    #[test]
    fn padding_is_short_and_all_ones() {
        let check = |coded: &[u8], expected: Result<&str, Malformed>| {
            assert_eq!(decoded(coded), expected.map(str::to_owned), "{coded:02x?}");
        };
        check(&[], Ok(""));
        check(&[0x07], Ok("0"));
        check(&[0x06], Err(Malformed));
        check(&[0x00], Err(Malformed));
        check(&[0xff], Err(Malformed));
        check(&[0x07, 0xff], Err(Malformed));
        check(&[0xff; 4], Err(Malformed));
        check(&[0xff; 5], Err(Malformed));
        check(&[0xff, 0xff, 0xff, 0xfc], Err(Malformed));
    }
}
