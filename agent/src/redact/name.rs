//! What a name says of its value: `db_password` names a secret, `password-file` does not.
//!
//! One table for options, variables, query keys, headers and JSON fields alike.

/// Longer names are judged by their last bytes.
const NAME_BYTES: usize = 64;
const NAME_WORDS: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    Secret,
    /// A private key or credentials: often the path of a file, which stays.
    SecretOrPath,
    /// `pass`: the number of a pass (`ffmpeg -pass 1`) and `file:…` stay.
    Pass,
    /// `pwd`: a directory stays.
    Pwd,
    /// `user:pass`, a token, or the name of a method, which stays.
    Credentials,
    /// `<scheme> <secret>`: the scheme stays.
    Authorization,
    /// A file of cookies stays.
    Cookie,
    /// Secret as the key of a query, harmless elsewhere.
    InQuery,
    /// The same, when the value looks drawn at random.
    RandomInQuery,
}

pub(super) fn meaning(name: &[u8]) -> Meaning {
    let name = name.get(name.len().saturating_sub(NAME_BYTES)..).unwrap_or_default();
    if !name.windows(3).any(is_stem) {
        return Meaning::Plain;
    }
    let mut lower = [0; NAME_BYTES];
    for (to, from) in lower.iter_mut().zip(name) {
        *to = from.to_ascii_lowercase();
    }
    let words = Words::new(name, &lower);
    if words.is_harmless() {
        return Meaning::Plain;
    }
    (0..words.count)
        .rev()
        .map(|place| words.meaning_at(place))
        .find(|found| *found != Meaning::Plain)
        .unwrap_or(Meaning::Plain)
}

/// Every name that means something has one of these: most names are done here.
fn is_stem(three: &[u8]) -> bool {
    let [a, b, c] = three else { return false };
    matches!(
        &[a | 0x20, b | 0x20, c | 0x20],
        b"pas"
            | b"pwd"
            | b"psw"
            | b"sec"
            | b"tok"
            | b"key"
            | b"aut"
            | b"cre"
            | b"coo"
            | b"sig"
            | b"jwt"
            | b"bea"
            | b"psk"
            | b"otp"
            | b"mne"
            | b"cod"
            | b"ses"
            | b"hma"
    )
}

/// The words of a name in lower case, the last [`NAME_WORDS`] of them, without trailing digits.
struct Words<'a> {
    words: [&'a [u8]; NAME_WORDS],
    count: usize,
}

impl<'a> Words<'a> {
    /// Words end at punctuation and where the case says so: `AWSAccessKeyId` has four.
    fn new(name: &[u8], lower: &'a [u8]) -> Self {
        let mut words = Self { words: [b""; NAME_WORDS], count: 0 };
        let at = |place: usize| name.get(place).copied().unwrap_or(b' ');
        let mut start = 0;
        for place in 0..=name.len() {
            let (byte, next) = (at(place), at(place + 1));
            let before = if place == 0 { b' ' } else { at(place - 1) };
            let hump = byte.is_ascii_uppercase()
                && (before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || before.is_ascii_uppercase() && next.is_ascii_lowercase());
            if hump || !byte.is_ascii_alphanumeric() {
                words.push(lower.get(start..place).unwrap_or_default());
                start = if hump { place } else { place + 1 };
            }
        }
        words
    }

    fn push(&mut self, word: &'a [u8]) {
        let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let word = word.get(..word.len() - digits).unwrap_or_default();
        if word.is_empty() {
            return;
        }
        if self.count == NAME_WORDS {
            self.words.rotate_left(1);
            self.count -= 1;
        }
        if let Some(free) = self.words.get_mut(self.count) {
            *free = word;
            self.count += 1;
        }
    }

    /// The word at `place`, or an empty one.
    fn at(&self, place: usize) -> &'a [u8] {
        self.words.get(place).copied().unwrap_or_default()
    }

    fn before(&self, place: usize) -> &'a [u8] {
        place.checked_sub(1).map_or(b"", |place| self.at(place))
    }

    fn has(&self, wanted: &[&[u8]]) -> bool {
        self.words.iter().take(self.count).any(|word| wanted.contains(word))
    }

    /// Is about a secret without holding it.
    fn is_harmless(&self) -> bool {
        let Some(last) = self.count.checked_sub(1) else { return true };
        let opens_like_a_switch = matches!(
            self.at(0),
            b"no"
                | b"ask"
                | b"prompt"
                | b"with"
                | b"without"
                | b"skip"
                | b"disable"
                | b"enable"
                | b"use"
                | b"allow"
                | b"require"
                | b"show"
                | b"hide"
                | b"is"
                | b"has"
        );
        if last > 0 && opens_like_a_switch {
            return true;
        }
        match self.at(last) {
            b"id" => match self.before(last) {
                b"secret" => false,
                b"key" => last < 2 || self.at(last - 2) != b"access",
                _ => true,
            },
            b"hash" => self.has(&[b"cert"]),
            b"file" | b"files" | b"filename" | b"path" | b"paths" | b"dir" | b"directory"
            | b"url" | b"uri" | b"urls" | b"endpoint" | b"host" | b"port" | b"server" | b"addr"
            | b"address" | b"domain" | b"realm" | b"location" | b"mount" | b"namespace"
            | b"ttl" | b"expiry" | b"expires" | b"expiration" | b"age" | b"lifetime"
            | b"duration" | b"timeout" | b"interval" | b"period" | b"window" | b"validity"
            | b"length" | b"len" | b"size" | b"bits" | b"count" | b"limit" | b"budget"
            | b"rate" | b"name" | b"names" | b"ids" | b"type" | b"version" | b"format"
            | b"mode" | b"method" | b"methods" | b"policy" | b"algorithm" | b"alg" | b"algo"
            | b"cipher" | b"env" | b"var" | b"stdin" | b"fd" | b"prompt" | b"cmd" | b"command"
            | b"script" | b"helper" | b"manager" | b"provider" | b"store" | b"driver"
            | b"backend" | b"plugin" | b"engine" | b"class" | b"agent" | b"sock" | b"socket"
            | b"jar" | b"cache" | b"enabled" | b"disabled" | b"required" | b"only" | b"ref"
            | b"arn" | b"user" | b"username" | b"email" | b"group" | b"role" | b"issuer"
            | b"audience" | b"scope" | b"scopes" | b"field" | b"fields" | b"header" | b"column"
            | b"param" | b"regex" | b"pattern" | b"separator" | b"delimiter" | b"chars"
            | b"strength" | b"rotation" | b"ca" | b"cert" | b"certs" | b"certificate"
            | b"checking" => true,
            _ => false,
        }
    }

    fn meaning_at(&self, place: usize) -> Meaning {
        let (word, before) = (self.at(place), self.before(place));
        let is_last = place + 1 == self.count;
        let ends = |ending: &[u8]| word.ends_with(ending);
        match word {
            b"key" | b"keys" => self.key_at(place),
            b"tokens" if self.has(&[b"api", b"access", b"auth", b"secret"]) => Meaning::Secret,
            b"code" if self.count == 1 => Meaning::RandomInQuery,
            b"bearer" | b"jwt" | b"psk" | b"psw" | b"otp" | b"totp" | b"mnemonic" | b"passkey"
            | b"sessionid" | b"jsessionid" | b"phpsessid" | b"masterauth" | b"accesskeyid"
                if is_last =>
            {
                Meaning::Secret
            }
            b"auth" | b"basicauth" | b"userpass" | b"creds" if is_last => Meaning::Credentials,
            b"authorization" if is_last => Meaning::Authorization,
            b"credential" | b"credentials" if is_last => Meaning::SecretOrPath,
            b"cookie" if is_last => Meaning::Cookie,
            b"signature" | b"sig" | b"hmac" if is_last => Meaning::InQuery,
            b"bypass" | b"compass" | b"encompass" | b"surpass" | b"trespass" | b"oldpwd" => {
                Meaning::Plain
            }
            _ if ends(b"token") && self.counts_or_pages() => Meaning::Plain,
            b"secret" if before == b"pull" => Meaning::Plain,
            b"passwords" => Meaning::Secret,
            _ if [&b"password"[..], b"passwd", b"passphrase", b"passcode", b"secret", b"token"]
                .iter()
                .any(|ending| ends(ending)) =>
            {
                Meaning::Secret
            }
            _ if [&b"apikey"[..], b"accesskey", b"secretkey", b"authkey", b"accountkey"]
                .iter()
                .any(|ending| ends(ending)) =>
            {
                Meaning::Secret
            }
            _ if ends(b"privatekey") || ends(b"sshkey") => Meaning::SecretOrPath,
            _ if ends(b"pass") && is_last && !is_ordinal(before) => Meaning::Pass,
            _ if ends(b"pwd") && is_last => Meaning::Pwd,
            _ => Meaning::Plain,
        }
    }

    /// Keys are mostly no secrets: it takes a word before that says so, and little after.
    fn key_at(&self, place: usize) -> Meaning {
        let after = self.at(place + 1);
        let ends = place + 1 == self.count
            || place + 2 == self.count
                && matches!(
                    after,
                    b"id" | b"base" | b"value" | b"string" | b"json" | b"pem" | b"b"
                );
        match self.before(place) {
            _ if !ends => Meaning::Plain,
            b"api" | b"access" | b"secret" | b"account" | b"shared" | b"master" | b"encryption"
            | b"storage" | b"auth" | b"license" | b"subscription" | b"admin" | b"service"
            | b"functions" | b"function" | b"instrumentation" | b"ingestion" | b"write"
            | b"session" | b"integration" | b"routing" | b"hmac" | b"aes" | b"app"
            | b"application" => Meaning::Secret,
            b"private" | b"ssh" | b"signing" | b"deploy" | b"certificate" => Meaning::SecretOrPath,
            b"" => Meaning::RandomInQuery,
            _ => Meaning::Plain,
        }
    }

    /// Tokens of a language model or of a list that comes in pages.
    fn counts_or_pages(&self) -> bool {
        self.has(&[
            b"next",
            b"page",
            b"continuation",
            b"continue",
            b"starting",
            b"pad",
            b"eos",
            b"bos",
            b"unk",
            b"sep",
            b"cls",
            b"mask",
            b"stop",
            b"special",
            b"max",
            b"per",
        ])
    }
}

fn is_ordinal(word: &[u8]) -> bool {
    matches!(word, b"first" | b"second" | b"two" | b"one" | b"multi" | b"single" | b"by")
}
