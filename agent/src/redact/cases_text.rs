//! Texts with what must be masked between « and »; and the tests over all tables.
//!
//! Prefixes are put together here, so that no scanner for secrets takes them for real ones.

use super::cases::{HARMLESS, SECRETS};
use super::mask::REDACTED;
use super::{Masks, clean_arguments, clean_text};

const TEXTS: &[&str] = &[
    "https://user:«hunter2!»@host/path",
    "https://«a1b2c3d4e5f6a7b8c9d0»@github.com/o/r.git",
    "https://«a1b2c3d4e5f6a7b8c9d0:x-oauth-basic»@github.com/o/r.git",
    "postgres://me:«hun/ter2!»@host:5432/db?sslmode=off",
    "redis://:«hunter2!»@host:6379/0 and amqp://u:«asdfgh»@h2",
    "mongodb://me:«hun@ter2»@h1:1,h2:2/db",
    "https://h/o?X-Amz-Credential=«qwe/rty»&X-Amz-Expires=5&X-Amz-Signature=«f00f»",
    "https://h/o?X-Amz-Security-Token=«qwe%2Frty»&AWSAccessKeyId=«qwerty»#top",
    "https://h/o?X-Goog-Signature=«f00f»&Expires=1&Signature=«asd%3D»",
    "https://h/o?sv=1&se=2&sig=«qwe%3D»",
    "https://h/o?access_token=«qwerty»&page=2&api_key=«asdfgh»",
    "https://h/o?a=b&token=«qwerty»&password=«asdfgh»;x=y",
    "https://h/cb?code=«a1b2c3d4e5f6a7b8c9d0»&state=x&key=«a1b2c3d4e5f6a7b8c9d0»",
    "got Authorization: Bearer «qwerty»",
    "sent bearer «qwertyuiop123456» there",
    concat!("token «ey", "JhbGciOiJub25l.ey", "JzdWIiOiJmYWtlIn0.c2lnbmF0dXJl», next"),
    concat!("id «AK", "IAFAKEFAKEFAKEFAKE»."),
    concat!("id «AS", "IAFAKEFAKEFAKEFAKE»"),
    "aws_secret_access_key = «qwerty+asd/fgh»",
    concat!("«gh", "p_FAKEfakeFAKEfakeFAKEfake»"),
    concat!("x «gh", "s_FAKEfakeFAKEfakeFAKEfake» y"),
    concat!("«git", "hub_pat_FAKE_fake_FAKE_fake_FAKE»"),
    concat!("«gl", "pat-FAKEfakeFAKEfakeFAKE»"),
    concat!("«AI", "zaFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAK»"),
    concat!("«ya", "29.FAKEfakeFAKEfakeFAKEfake»"),
    concat!("«xo", "xb-FAKE-fake-FAKE»"),
    concat!("«sk_", "live_FAKEfakeFAKEfakeFAKE»"),
    concat!("«rk_", "live_FAKEfakeFAKEfakeFAKE»"),
    concat!("«np", "m_FAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKE»"),
    concat!("«py", "pi-FAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKE»"),
    concat!("«dop", "_v1_f00ff00ff00ff00ff00ff00ff00ff00ff00f»"),
    concat!("«hv", "s.FAKEfakeFAKEfakeFAKEfake»"),
    concat!("«sk", "-FAKEfake0FAKEfakeFAKEfake»"),
    concat!("«sk", "-ant-api03-FAKEfakeFAKEfake»"),
    concat!("«S", "G.FAKEfakeFAKEfakeFAKEfa.FAKEfakeFAKEfakeFAKEfakeFAKEfake»"),
    concat!("«hf", "_FAKEfakeFAKEfakeFAKEfakeFAKEfakeFA»"),
    concat!("«dap", "if00ff00ff00ff00ff00ff00ff00ff00f»"),
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=«qwe/rty+asd==»;Suffix=b",
    "Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=«qwerty=»",
    "Server=h;Database=d;User Id=u;Password=«qwe,rty»;Encrypt=true",
    "host=h user=u password='«qwe rty»' dbname=d",
    concat!("-----BEGIN RSA PRIVATE", " KEY-----«\nMIIfake\nfake\n»-----END RSA PRIVATE KEY-----"),
    concat!("-----BEGIN PRIVATE", " KEY-----«\\nMIIfake cut»"),
    concat!(
        "{\"private_key\": \"«-----BEGIN PRIVATE",
        " KEY-----\\nMII\\n-----END\\n»\", \"a\": 1}"
    ),
    "{\\\"token\\\":\\\"«qwerty»\\\",\\\"a\\\":1}",
    "{'password' => '«qwerty»'}",
    "user: me\n  password: «qwerty»\n  port: 1",
    "api_key: «qwerty» and so on",
    "Cookie: «a=qwerty; b=asdfgh»\r\nHost: h",
];

const HARMLESS_TEXTS: &[&str] = &[
    "",
    "=",
    ":",
    "://",
    "token=",
    "https://host/path?keyword=x&page=2&code=200&key=name&sign=x",
    "https://user@host/path, https://host:8080/a@b, http://[::1]:80/@x",
    "postgres://host/db",
    "git@github.com:o/r.git",
    "me@mail.example",
    "/var/lib/kubelet/pods/123e4567-e89b-12d3-a456-426614174000/volumes",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "task-FAKEfake0FAKEfakeFAKEfake",
    "sk-learn-is-a-rather-long-name",
    "npm_config_user_agent",
    "the bearer of news",
    "hf_some_model_name_that_is_long_enough",
    "eyJ.x.y",
    concat!("AK", "IAshort and AK", "IAFAKEFAKEFAKEFAKEFAKE"),
    "-----BEGIN PUBLIC KEY-----\nMIIfake\n-----END PUBLIC KEY-----",
    "monkey=1 turkey: yes tokens: 5",
    "C:\\secrets: 1, secret:latest, a/token:1.2",
    "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
];

fn check(input: &[String], expected: &[String]) {
    let mut masked = input.to_vec();
    clean_arguments(&mut masked, &mut Masks::default());
    assert_eq!(masked, expected, "of {input:?}");
    clean_arguments(&mut masked, &mut Masks::default());
    assert_eq!(masked, expected, "twice, of {input:?}");
}

fn check_text(input: &str, expected: &str) {
    let mut masked = input.to_owned();
    clean_text(&mut masked, &mut Masks::default());
    assert_eq!(masked, expected, "of {input:?}");
    clean_text(&mut masked, &mut Masks::default());
    assert_eq!(masked, expected, "twice, of {input:?}");
}

/// The text without its marks, the text with the marked parts masked, and these parts.
fn unmarked(marked: &str) -> (String, String, Vec<String>) {
    let (mut input, mut expected, mut secrets) = (String::new(), String::new(), Vec::new());
    for (place, piece) in marked.split(['«', '»']).enumerate() {
        input.push_str(piece);
        if place % 2 == 1 {
            expected.push_str(REDACTED);
            secrets.push(piece.to_owned());
        } else {
            expected.push_str(piece);
        }
    }
    (input, expected, secrets)
}

/// No three bytes of a secret in a row are in what leaves.
fn assert_gone(secrets: &[String], expected: &str) {
    let kept = expected.replace(REDACTED, "\n");
    for secret in secrets {
        for three in secret.as_bytes().windows(3.min(secret.len())) {
            let found = memchr::memmem::find(kept.as_bytes(), three);
            assert_eq!(found, None, "{three:?} of {secret:?} in {expected:?}");
        }
    }
}

#[test]
fn secrets_in_arguments_are_masked() {
    assert!(SECRETS.len() + TEXTS.len() >= 110 && HARMLESS.len() >= 60);
    for case in SECRETS {
        let (mut input, mut expected, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
        for marked in *case {
            let (before, after, within) = unmarked(marked);
            input.push(before);
            expected.push(after);
            secrets.extend(within);
        }
        assert!(!secrets.is_empty());
        check(&input, &expected);
        assert_gone(&secrets, &expected.join("\n"));
    }
}

#[test]
fn secrets_in_texts_are_masked() {
    for case in TEXTS {
        let (input, expected, secrets) = unmarked(case);
        check_text(&input, &expected);
        assert_gone(&secrets, &expected);
    }
}

#[test]
fn look_alikes_survive() {
    for case in HARMLESS {
        let input: Vec<String> = case.iter().map(|text| (*text).to_owned()).collect();
        check(&input, &input);
    }
    HARMLESS_TEXTS.iter().for_each(|text| check_text(text, text));
}

/// A xorshift: the same texts in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

#[test]
fn any_text_is_taken_and_masking_again_changes_next_to_nothing() {
    const PIECES: &[&str] = &[
        "\"",
        "'",
        "`",
        "\\",
        "=",
        ":",
        "://",
        " ",
        "\n",
        "$(",
        ")",
        ";",
        "&",
        ",",
        "@",
        "#",
        "é",
        "password",
        "token",
        "-p",
        "-u",
        "sh",
        "-c",
        "mysql",
        "curl",
        "--secret",
        "Authorization",
        "Bearer ",
        "qwertyuiop123456",
        "-----BEGIN PRIVATE KEY-----",
        "eyJhbGciOiJu.eyJz",
        "x",
        "/",
        "{",
        "}",
        "[",
        "]",
        "-H",
        "auth",
        "${",
        ">",
        "|",
        "\0",
        "?key",
        "cookie",
        "sudo ",
        "code",
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut changed = 0;
    for _ in 0..20_000 {
        let mut arguments: Vec<String> = (0..random.below(5))
            .map(|_| (0..random.below(9)).map(|_| PIECES[random.below(PIECES.len())]).collect())
            .collect();
        if random.below(2) == 0 {
            arguments.splice(0..0, ["sh".to_owned(), "-c".to_owned()]);
        }
        clean_arguments(&mut arguments, &mut Masks::default());
        let once = arguments.clone();
        clean_arguments(&mut arguments, &mut Masks::default());
        changed += usize::from(arguments != once);
        let bytes: Vec<u8> =
            (0..random.below(64)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        clean_arguments(&mut [text.clone(), text], &mut Masks::default());
    }
    // A mask may swallow a quote and so change what is quoted: 1 in 30000 of such texts.
    assert!(changed < 5, "{changed}");
}
