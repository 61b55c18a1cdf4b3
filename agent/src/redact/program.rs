//! The options and words that are secret for one program only.

use std::ops::Range;

use super::command::{Hit, header};
use super::name::{Meaning, meaning};
use super::{pair, url, value};

/// Subcommands are sought among so many arguments, which bounds the work.
pub(super) const SUBCOMMAND_WORDS: usize = 16;

#[derive(Debug)]
pub(super) struct Tool {
    flags: &'static [Flag],
    /// Letters without a value that may stand before a flag's: `curl -sSu user:pass`.
    switches: &'static str,
    words: &'static [Words],
}

impl Tool {
    pub(super) const fn is_empty(&self) -> bool {
        self.flags.is_empty() && self.words.is_empty()
    }
}

#[derive(Debug)]
struct Flag {
    /// One letter, or a long option without its dashes.
    name: &'static str,
    form: Form,
    take: Take,
    /// The flag means this only after this word; always where it is empty.
    within: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `-psecret`; `-p` alone asks for it.
    Attached,
    /// `-p secret` too.
    Either,
}

/// What of the value is secret.
#[derive(Debug, Clone, Copy)]
enum Take {
    All,
    /// The pass of `user:pass`, `user%pass`, `user,pass`.
    After(u8),
    /// `user:pass@host`
    Proxy,
    Header,
    Cookie,
    /// `name=value`, whatever the name.
    Pair,
    /// `pass:x`, but `file:x` stays.
    PassPhrase,
}

/// Words that are no options.
#[derive(Debug, Clone, Copy)]
enum Words {
    /// The one after `after` and `skip` others.
    One { after: &'static str, skip: usize },
    /// All after `after` and `skip` others.
    Rest { after: &'static str, skip: usize },
    /// The one after a name that is secret, if one of these came before: `config set token x`.
    Named { after: &'static [&'static str] },
    /// The value of each `name=value` after this one.
    Pairs { after: &'static str },
    /// The last one, if there is a cluster with this letter.
    Last { letter: u8 },
    /// The pass of `user/pass@database`.
    Login,
    /// `Name:value`
    Headers,
    /// What follows this at the start of a word.
    Prefixed { prefix: &'static str },
}

const fn flag(name: &'static str, take: Take) -> Flag {
    Flag { name, form: Form::Either, take, within: "" }
}

const fn attached(name: &'static str) -> Flag {
    Flag { name, form: Form::Attached, take: Take::All, within: "" }
}

const fn within(within: &'static str, name: &'static str, take: Take) -> Flag {
    Flag { name, form: Form::Either, take, within }
}

const fn flags(flags: &'static [Flag]) -> Tool {
    Tool { flags, switches: "", words: &[] }
}

const fn words(words: &'static [Words]) -> Tool {
    Tool { flags: &[], switches: "", words }
}

pub(super) static NONE: Tool = flags(&[]);
pub(super) static MYSQL: Tool = Tool { switches: "ABCEHNTXqrstvwfnL", ..flags(&[attached("p")]) };
pub(super) static MONGO: Tool = flags(&[flag("p", Take::All)]);
pub(super) static CQLSH: Tool = flags(&[flag("p", Take::All)]);
pub(super) static SSHPASS: Tool = Tool { switches: "v", ..flags(&[flag("p", Take::All)]) };
pub(super) static SQLCMD: Tool = flags(&[flag("P", Take::All)]);
pub(super) static IPMI: Tool = flags(&[flag("P", Take::All)]);
pub(super) static TWINE: Tool = flags(&[flag("p", Take::All)]);
pub(super) static USERADD: Tool = Tool { switches: "mMrNUoD", ..flags(&[flag("p", Take::All)]) };
pub(super) static KEYGEN: Tool =
    Tool { switches: "qpy", ..flags(&[flag("N", Take::All), flag("P", Take::All)]) };
pub(super) static SNMP: Tool =
    flags(&[flag("c", Take::All), flag("A", Take::All), flag("X", Take::All)]);
pub(super) static LDAP: Tool = Tool { switches: "xLvnMZPcC", ..flags(&[flag("w", Take::All)]) };
pub(super) static SEVEN_ZIP: Tool = flags(&[attached("p"), attached("hp")]);
pub(super) static ZIP: Tool = Tool { switches: "rqjmouvdXyT9", ..flags(&[flag("P", Take::All)]) };
pub(super) static SMB: Tool =
    flags(&[flag("U", Take::After(b'%')), flag("user", Take::After(b'%'))]);
pub(super) static LFTP: Tool = flags(&[flag("u", Take::After(b','))]);
pub(super) static LOAD: Tool = flags(&[
    flag("A", Take::After(b':')),
    flag("a", Take::After(b':')),
    flag("P", Take::After(b':')),
    flag("C", Take::Cookie),
]);
pub(super) static CURL: Tool = Tool {
    switches: "sSLkfvgGIijlnNOqRa#0123446BJMpZ",
    ..flags(&[
        flag("u", Take::After(b':')),
        flag("user", Take::After(b':')),
        flag("U", Take::After(b':')),
        flag("proxy-user", Take::After(b':')),
        flag("E", Take::After(b':')),
        flag("cert", Take::After(b':')),
        flag("H", Take::Header),
        flag("b", Take::Cookie),
        flag("x", Take::Proxy),
        flag("proxy", Take::Proxy),
    ])
};
pub(super) static WGET: Tool =
    flags(&[flag("http-passwd", Take::All), flag("ftp-passwd", Take::All)]);
pub(super) static HTTPIE: Tool = Tool {
    switches: "vhbFjfdcS",
    words: &[Words::Headers],
    ..flags(&[flag("a", Take::After(b':')), flag("auth", Take::After(b':'))])
};
pub(super) static REDIS: Tool = Tool {
    words: &[
        Words::Rest { after: "auth", skip: 0 },
        Words::One { after: "requirepass", skip: 0 },
        Words::One { after: "masterauth", skip: 0 },
    ],
    ..flags(&[flag("a", Take::All)])
};
pub(super) static OPENSSL: Tool = flags(&[
    flag("passin", Take::PassPhrase),
    flag("passout", Take::PassPhrase),
    within("enc", "k", Take::All),
    within("enc", "K", Take::All),
    flag("hmac", Take::All),
]);
pub(super) static LOGIN: Tool = flags(&[
    within("login", "p", Take::All),
    flag("creds", Take::After(b':')),
    flag("src-creds", Take::After(b':')),
    flag("dest-creds", Take::After(b':')),
]);
pub(super) static KUBECTL: Tool =
    flags(&[within("login", "p", Take::All), within("secret", "from-literal", Take::Pair)]);
pub(super) static GH: Tool = Tool {
    words: &[Words::Named { after: &["config"] }],
    ..flags(&[
        within("secret", "b", Take::All),
        within("secret", "body", Take::All),
        within("login", "t", Take::All),
    ])
};
pub(super) static RDP: Tool =
    Tool { words: &[Words::Prefixed { prefix: "/p:" }], ..flags(&[flag("p", Take::All)]) };
pub(super) static VAULT: Tool = words(&[
    Words::One { after: "login", skip: 0 },
    Words::One { after: "unwrap", skip: 0 },
    Words::One { after: "unseal", skip: 0 },
    Words::Pairs { after: "put" },
    Words::Pairs { after: "patch" },
]);
pub(super) static RABBITMQCTL: Tool = words(&[
    Words::One { after: "add_user", skip: 1 },
    Words::One { after: "change_password", skip: 1 },
    Words::One { after: "authenticate_user", skip: 1 },
]);
pub(super) static CARGO: Tool = words(&[Words::One { after: "login", skip: 0 }]);
pub(super) static NGROK: Tool = words(&[
    Words::One { after: "authtoken", skip: 0 },
    Words::One { after: "add-authtoken", skip: 0 },
]);
pub(super) static MC: Tool = words(&[Words::Rest { after: "set", skip: 2 }]);
pub(super) static BW: Tool =
    words(&[Words::One { after: "unlock", skip: 0 }, Words::One { after: "login", skip: 1 }]);
pub(super) static DB2: Tool = words(&[Words::One { after: "using", skip: 0 }]);
pub(super) static NMCLI: Tool = words(&[
    Words::One { after: "password", skip: 0 },
    Words::One { after: "wifi-sec.psk", skip: 0 },
]);
pub(super) static HTPASSWD: Tool = words(&[Words::Last { letter: b'b' }]);
pub(super) static ORACLE: Tool = words(&[Words::Login]);
pub(super) static CONFIG: Tool = words(&[Words::Named { after: &["config", "configure"] }]);
pub(super) static JQ: Tool = words(&[Words::Named { after: &["--arg", "--argjson"] }]);

/// Adds what is secret among the arguments of the program, the first of which is argument `first`.
pub(super) fn apply<S: AsRef<str>>(
    tool: &Tool,
    arguments: &[S],
    first: usize,
    hits: &mut Vec<Hit>,
) {
    if tool.is_empty() {
        return;
    }
    let mut add = |place: usize, start: usize, range: Option<Range<usize>>| {
        hits.extend(range.map(|range| Hit {
            argument: first + place,
            range: start + range.start..start + range.end,
        }));
    };
    for (place, argument) in arguments.iter().enumerate() {
        let text = argument.as_ref();
        let before = arguments.get(..place).unwrap_or_default();
        for flag in tool.flags {
            if !(flag.within.is_empty() || has_word(before, flag.within)) {
                continue;
            }
            match flag.value_start(text, tool.switches) {
                Some(start) if start < text.len() => {
                    add(
                        place,
                        start,
                        flag.take.secret(text.as_bytes().get(start..).unwrap_or_default()),
                    );
                }
                Some(_) if flag.form == Form::Either => {
                    let next = arguments.get(place + 1).map(|next| next.as_ref().as_bytes());
                    add(place + 1, 0, next.and_then(|next| flag.take.secret(next)));
                }
                Some(_) | None => {}
            }
        }
    }
    for words in tool.words {
        words.apply(arguments, &mut add);
    }
}

fn has_word<S: AsRef<str>>(arguments: &[S], word: &str) -> bool {
    let mut words = arguments.iter().take(SUBCOMMAND_WORDS);
    words.any(|argument| argument.as_ref().eq_ignore_ascii_case(word))
}

fn is_option(text: &str) -> bool {
    text.len() > 1 && text.starts_with('-')
}

impl Flag {
    /// Where the value begins in an argument that is this flag; its end, if it is the next one.
    fn value_start(&self, text: &str, switches: &str) -> Option<usize> {
        let option = text.strip_prefix('-')?;
        if self.name.len() == 1 {
            let letter = option.find(self.name)?;
            let is_cluster = option.get(..letter)?.chars().all(|c| switches.contains(c));
            return is_cluster.then_some(1 + letter + 1);
        }
        let long = option.strip_prefix('-').unwrap_or(option);
        let rest = long.strip_prefix(self.name)?;
        let start = text.len() - rest.len();
        if self.form == Form::Attached || rest.is_empty() {
            return Some(start);
        }
        rest.starts_with('=').then_some(start + 1)
    }
}

impl Take {
    fn secret(self, value: &[u8]) -> Option<Range<usize>> {
        match self {
            Self::All => Meaning::Secret.secret(value),
            Self::After(separator) => value::user_and(separator, value),
            Self::Proxy => url::bare_userinfo(value),
            Self::Header => header(value),
            Self::Cookie => Meaning::Cookie.secret(value),
            Self::Pair => {
                let equals = memchr::memchr(b'=', value)?;
                Some(equals + 1..value.len())
            }
            Self::PassPhrase => value::pass(value),
        }
    }
}

impl Words {
    fn apply<S: AsRef<str>>(
        self,
        arguments: &[S],
        add: &mut impl FnMut(usize, usize, Option<Range<usize>>),
    ) {
        let all = |text: &str| Meaning::Secret.secret(text.as_bytes());
        // Places and texts of the words, without the options.
        let words = || {
            arguments
                .iter()
                .map(AsRef::as_ref)
                .enumerate()
                .filter(|(_, text): &(usize, &str)| !is_option(text))
        };
        let after = |word: &'static str, skip: usize| {
            words().skip_while(move |(_, text)| !text.eq_ignore_ascii_case(word)).skip(1 + skip)
        };
        match self {
            Self::One { after: word, skip } => {
                if let Some((place, text)) = after(word, skip).next() {
                    add(place, 0, all(text).filter(|_| !text.contains('=')));
                }
            }
            Self::Rest { after: word, skip } => {
                after(word, skip).for_each(|(place, text)| add(place, 0, all(text)));
            }
            Self::Named { after } => {
                let start = arguments.iter().position(|text| after.contains(&text.as_ref()));
                let start = start.unwrap_or(arguments.len());
                let mut is_secret = false;
                for (place, text) in words().skip_while(|(place, _)| *place <= start) {
                    if is_secret {
                        add(place, 0, all(text));
                    }
                    is_secret = !is_secret
                        && !text.contains('=')
                        && meaning(text.as_bytes()) != Meaning::Plain;
                }
            }
            Self::Pairs { after: word } => after(word, 0)
                .for_each(|(place, text)| add(place, 0, Take::Pair.secret(text.as_bytes()))),
            Self::Last { letter } => {
                let is_cluster = |text: &str| {
                    is_option(text) && !text.starts_with("--") && text.as_bytes().contains(&letter)
                };
                let has = arguments.iter().any(|text| is_cluster(text.as_ref()));
                let last = words().last().filter(|_| has && words().count() > 1);
                if let Some((place, text)) = last {
                    add(place, 0, all(text));
                }
            }
            Self::Login => {
                for (place, text) in words() {
                    let Some(slash) = text.find('/') else { continue };
                    let end = text.rfind('@').filter(|at| *at > slash).unwrap_or(text.len());
                    if slash > 0 && !text.contains('=') && slash + 1 < end {
                        add(place, 0, Some(slash + 1..end));
                    }
                }
            }
            Self::Headers => words().for_each(|(place, text)| {
                let is_header = !text
                    .split(':')
                    .next()
                    .is_some_and(|name| name.bytes().any(|byte| !pair::is_name(byte)));
                add(place, 0, header(text.as_bytes()).filter(|_| is_header));
            }),
            Self::Prefixed { prefix } => {
                for (place, text) in words().filter(|(_, text)| text.starts_with(prefix)) {
                    add(place, prefix.len(), all(text.get(prefix.len()..).unwrap_or_default()));
                }
            }
        }
    }
}
