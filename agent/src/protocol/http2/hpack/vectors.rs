//! RFC 7541, Appendix C: its examples, and what must be an error.

use super::*;

type Fields = Vec<(String, String)>;

pub(in crate::protocol::http2) fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn read(decoder: &mut Decoder, hex: &str) -> Result<Fields, HpackError> {
    let mut fields = Vec::new();
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"?")).into_owned();
    decoder
        .decode(&unhex(hex), &mut |field| fields.push((text(field.name), text(field.value))))
        .map(|()| fields)
}

/// Lines of `name: value`.
fn list(lines: &str) -> Fields {
    let pair = |line: &str| line.trim().split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned()));
    lines.lines().filter_map(pair).collect()
}

/// A block, the fields in it, the table after it and the table's size.
type Example<'a> = (&'a str, &'a str, &'a str, usize);

fn check(decoder: &mut Decoder, examples: &[Example<'_>]) {
    for (hex, fields, table, size) in examples {
        assert_eq!(read(decoder, hex), Ok(list(fields)), "{hex}");
        assert_eq!(decoder.table.shown(), (list(table), *size), "{hex}");
    }
}

#[test]
fn c_1_integers() {
    let check = |bytes: &[u8], prefix_bits: u32, expected: Result<u32, HpackError>| {
        let mut reader = Reader::new(bytes);
        let [first] = reader.value::<[u8; 1]>().unwrap();
        assert_eq!(integer(&mut reader, first, prefix_bits), expected, "{bytes:02x?}");
    };
    check(&[0b1110_1010], 5, Ok(10));
    check(&[0b1111_1111, 0b1001_1010, 0b0000_1010], 5, Ok(1337));
    check(&[0b0010_1010], 8, Ok(42));
    check(&[0x1f, 0x80, 0x80, 0x00], 5, Ok(31));
    check(&[0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f], 7, Ok(u32::MAX));
    check(&[0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f], 7, Err(HpackError::Integer));
    check(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x10], 7, Err(HpackError::Integer));
    check(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 7, Err(HpackError::Integer));
    check(&[0x1f, 0x80], 5, Err(HpackError::Short));
}

#[test]
fn c_2_single_fields() {
    let (custom, password) = ("custom-key: custom-header", "password: secret");
    let header = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    check(&mut Decoder::from_start(), &[(header, custom, custom, 55)]);
    let path = "040c 2f73 616d 706c 652f 7061 7468";
    check(&mut Decoder::from_start(), &[(path, ":path: /sample/path", "", 0)]);
    let never = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    check(&mut Decoder::from_start(), &[(never, password, "", 0)]);
    check(&mut Decoder::from_start(), &[("82", ":method: GET", "", 0)]);
}

const REQUESTS: [(&str, &str, usize); 3] = [
    (
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com",
        ":authority: www.example.com",
        57,
    ),
    (
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache",
        "cache-control: no-cache\n:authority: www.example.com",
        110,
    ),
    (
        ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com
        custom-key: custom-value",
        "custom-key: custom-value\ncache-control: no-cache\n:authority: www.example.com",
        164,
    ),
];

fn check_requests(blocks: [&str; 3]) {
    let examples =
        blocks.iter().zip(REQUESTS).map(|(hex, (fields, table, size))| (*hex, fields, table, size));
    check(&mut Decoder::from_start(), &examples.collect::<Vec<_>>());
}

#[test]
fn c_3_requests_without_huffman() {
    check_requests([
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ]);
}

#[test]
fn c_4_requests_with_huffman() {
    check_requests([
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ]);
}

const RESPONSES: [(&str, &str, usize); 3] = [
    (
        ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT
        location: https://www.example.com",
        "location: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT
        cache-control: private\n:status: 302",
        222,
    ),
    (
        ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT
        location: https://www.example.com",
        ":status: 307\nlocation: https://www.example.com
        date: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private",
        222,
    ),
    (
        ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT
        location: https://www.example.com\ncontent-encoding: gzip
        set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1
        content-encoding: gzip\ndate: Mon, 21 Oct 2013 20:13:22 GMT",
        215,
    ),
];

fn check_responses(blocks: [&str; 3]) {
    let mut decoder = Decoder::from_start();
    decoder.table.resize(256);
    let examples = blocks
        .iter()
        .zip(RESPONSES)
        .map(|(hex, (fields, table, size))| (*hex, fields, table, size));
    check(&mut decoder, &examples.collect::<Vec<_>>());
}

#[test]
fn c_5_responses_without_huffman() {
    check_responses([
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31",
    ]);
}

#[test]
fn c_6_responses_with_huffman() {
    check_responses([
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ]);
}

#[test]
fn blocks_that_cannot_be_read_say_why() {
    let check = |hex: &str, expected: HpackError| {
        let mut decoder = Decoder::from_start();
        assert_eq!(read(&mut decoder, hex), Err(expected), "{hex}");
        assert_eq!(decoder.limit, Limit::Unknown);
    };
    check("80", HpackError::Index);
    check("ff", HpackError::Short);
    check("41", HpackError::Short);
    check("410f 7777", HpackError::Short);
    check("40", HpackError::Short);
    check("ffff ffff ffff", HpackError::Integer);
    check("4181 06", HpackError::Huffman);
    check("82 20", HpackError::LateResize);
    check("3fe2 1f", HpackError::Resize(4097));
}

#[test]
fn the_table_is_as_large_as_was_said_and_allowed() {
    let mut decoder = Decoder::from_start();
    let examples: [Example<'_>; 4] = [
        ("3fe1 1f 4001 6101 62", "a: b", "a: b", 34),
        ("20 3fe1 1f be", "?: ?", "", 0),
        ("2a 4001 6101 62", "a: b", "", 0),
        ("3f03 4001 6101 62 4001 6301 64", "a: b\nc: d", "c: d", 34),
    ];
    check(&mut decoder, &examples);
    decoder.allow(u32::MAX);
    check(&mut decoder, &[("3fff ffff ff07", "", "c: d", 34)]);
    for _ in 0..3000 {
        read(&mut decoder, "4001 6101 62").unwrap();
    }
    let (entries, size) = decoder.table.shown();
    assert_eq!((entries.len(), size), (1927, 65518));
}

#[test]
fn what_was_set_before_we_came_is_unknown_and_what_was_set_since_is_not() {
    let mut decoder = Decoder::joined();
    let examples: [Example<'_>; 5] = [
        ("82 be", ":method: GET\n?: ?", "", 0),
        ("4001 6101 62 be bf", "a: b\na: b\n?: ?", "a: b", 34),
        // A value that is known, under a name that is not, and an entry made of both.
        ("7f00 0163", "?: c", "?: c\na: b", 67),
        ("be bf c0", "?: c\na: b\n?: ?", "?: c\na: b", 67),
        ("7e01 64", "?: d", "?: d\n?: c\na: b", 100),
    ];
    check(&mut decoder, &examples);
    // The table can have been allowed to be of any size.
    assert_eq!(read(&mut decoder, "3fe1 ff03 82"), Ok(list(":method: GET")));
}

#[test]
fn an_error_forgets_what_was_set() {
    let mut decoder = Decoder::from_start();
    assert_eq!(read(&mut decoder, "4001 6101 62"), Ok(list("a: b")));
    assert_eq!(read(&mut decoder, "4001 6301 64 80"), Err(HpackError::Index));
    assert_eq!(read(&mut decoder, "82 be"), Ok(list(":method: GET\n?: ?")));
}
