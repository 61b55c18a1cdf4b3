//! The clients of `pairs`, and how each is told what to ask: a base and the words of `http_programs.py`.

use std::{fs, iter, path::Path, process::Command};

use agent_tests::need;
use anyhow::ensure;
use tempfile::TempDir;

use crate::stage::{MAY_FAIL, words};

pub(crate) const PYTHON: &str = "python-with-packages";

/// What a connection is from its first byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Http1,
    Http2,
    /// HTTP/1 with an offer to go over to HTTP/2, which is taken.
    Upgrade,
}

/// Which of the words a client knows to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    Get,
    Sized,
    Chunked,
}

#[derive(Debug, Clone, Copy)]
enum How {
    /// A script of ours: what runs it, where something does, itself, and what it is to ask by.
    Script(&'static [&'static str], &'static str),
    Curl(Processes, &'static [&'static str]),
    Tool(Tool, &'static [&'static str]),
}

#[derive(Debug, Clone, Copy)]
enum Processes {
    One,
    /// curl 7.88 loses its footing when it uses a connection of HTTP/2 again
    /// (<https://github.com/curl/curl/pull/10643>).
    OneEach,
}

/// What has no body to send is asked for together, the rest one by one.
#[derive(Debug, Clone, Copy)]
enum Tool {
    Wget,
    Nghttp,
    H2load,
}

/// By the name of its folder, which is in every path that it asks for.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    over: &'static [Over],
    says: Says,
    /// It asks for everything so often.
    pub(crate) times: usize,
    how: How,
}

/// Once in turn, and then at once.
const TIMES: usize = 21;
const HTTP1: &[Over] = &[Over::Http1];
const HTTP2: &[Over] = &[Over::Http2];
/// To a server of HTTP/1 that does not take it, it is an offer.
const OFFERS: &[Over] = &[Over::Http1, Over::Upgrade];
const UPGRADE: &[Over] = &[Over::Upgrade];

const OF_PYTHON: &[&str] = &[PYTHON, "http_programs.py"];
const OF_NODE: &[&str] = &["node", "pairs.js"];
const OF_JAVA: &[&str] = &["java", "Pairs.java"];
const OF_GO: &[&str] = &["pairs"];

/// Each on a connection of its own.
const AT_ONCE_OF_2: &[&str] = &["--http2-prior-knowledge", "--parallel", "--parallel-immediate"];

const CLIENTS: [Client; 26] = {
    use How::{Curl, Script, Tool as By};
    use Processes::{One, OneEach};
    use Says::{Chunked, Get, Sized};
    [
        client("curl", HTTP1, Chunked, 1, Curl(One, &["--http1.1"])),
        client("curl-of-1.0", HTTP1, Sized, 1, Curl(One, &["--http1.0"])),
        client("curl-at-once", HTTP1, Chunked, 1, Curl(One, &["--parallel"])),
        client("curl-offers-2", OFFERS, Chunked, 1, Curl(One, &["--http2"])),
        client("curl-of-2", HTTP2, Chunked, 1, Curl(OneEach, &["--http2-prior-knowledge"])),
        client("curl-of-2-at-once", HTTP2, Chunked, 1, Curl(One, AT_ONCE_OF_2)),
        client("wget", HTTP1, Sized, 1, By(Tool::Wget, &[])),
        client("urllib", HTTP1, Chunked, 1, Script(OF_PYTHON, "urllib")),
        client("http.client", HTTP1, Chunked, 1, Script(OF_PYTHON, "http.client")),
        client("requests", HTTP1, Chunked, TIMES, Script(OF_PYTHON, "requests")),
        client("aiohttp", HTTP1, Chunked, TIMES, Script(OF_PYTHON, "aiohttp")),
        client("httpx", HTTP1, Chunked, TIMES, Script(OF_PYTHON, "httpx")),
        client("httpx-of-2", HTTP2, Chunked, TIMES, Script(OF_PYTHON, "httpx-http2")),
        client("node-fetch", HTTP1, Chunked, TIMES, Script(OF_NODE, "fetch")),
        client("node-http", HTTP1, Chunked, TIMES, Script(OF_NODE, "http")),
        client("node-http2", HTTP2, Chunked, TIMES, Script(OF_NODE, "http2")),
        client("go", HTTP1, Chunked, TIMES, Script(OF_GO, "http1")),
        client("go-of-2", HTTP2, Chunked, TIMES, Script(OF_GO, "http2")),
        client("java", HTTP1, Chunked, 1, Script(OF_JAVA, "1.1")),
        client("java-offers-2", OFFERS, Chunked, 1, Script(OF_JAVA, "offers-2")),
        client("perl", HTTP1, Chunked, 1, Script(&["perl", "pairs.pl"], "tiny")),
        client("nghttp", HTTP2, Chunked, 30, By(Tool::Nghttp, &["-m", "30"])),
        // With a body it would ask for OPTIONS first.
        client("nghttp-offers-2", UPGRADE, Get, 1, By(Tool::Nghttp, &["--upgrade"])),
        client("h2load", HTTP2, Sized, 20, By(Tool::H2load, &["-m", "10"])),
        client("h2load-of-1", HTTP1, Sized, 20, By(Tool::H2load, &["--h1"])),
        client("h2load-one-by-one", HTTP2, Sized, 20, By(Tool::H2load, &["-m", "1"])),
    ]
};

const fn client(
    name: &'static str,
    over: &'static [Over],
    says: Says,
    times: usize,
    how: How,
) -> Client {
    Client { name, over, says, times, how }
}

/// All that speak one of these.
pub(crate) fn speaking(over: &[Over]) -> Vec<&'static Client> {
    CLIENTS.iter().filter(|client| client.over.iter().any(|one| over.contains(one))).collect()
}

/// The programs that these are, or are run by.
pub(crate) fn programs(over: &[Over]) -> Vec<&'static str> {
    let program = |client: &Client| match client.how {
        How::Script(OF_GO, _) => "go",
        How::Script(words, _) => words.first().copied().unwrap_or_default(),
        How::Curl(..) => "curl",
        How::Tool(tool, _) => tool.program(),
    };
    let mut programs: Vec<_> = speaking(over).into_iter().map(program).collect();
    programs.sort_unstable();
    programs.dedup();
    programs
}

impl Client {
    pub(crate) fn is_of(&self, over: Over) -> bool {
        self.over == [over]
    }

    pub(crate) fn says(&self, word: &str) -> bool {
        let needs = match word.get(..1) {
            Some("/") => Says::Get,
            Some("~") => Says::Chunked,
            _ => Says::Sized,
        };
        needs <= self.says
    }

    /// What asks for all of it.
    pub(crate) fn commands(
        &self,
        kit: &Kit,
        base: &str,
        wanted: &[&str],
    ) -> anyhow::Result<Vec<Vec<String>>> {
        let base = format!("{base}/{}", self.name);
        let url = |path: &&str| format!("{base}{path}");
        let gets = wanted.iter().filter(|word| word.starts_with('/')).map(url);
        let sent = wanted.iter().filter_map(|word| Sent::parse(word, kit, &base));
        match self.how {
            How::Script(program, how) => {
                let program: Result<Vec<_>, _> =
                    program.iter().map(|word| kit.find(word)).collect();
                Ok(vec![[program?, words(&[how, &base]), words(wanted)].concat()])
            }
            How::Curl(processes, flags) => {
                let flags = [words(flags), words(&["-s", "-S", "-o", "/dev/null"])].concat();
                let asked = gets.map(|url| vec![url]).chain(sent.map(|sent| sent.of_curl()));
                let asked: Vec<_> = asked.map(|asked| [flags.clone(), asked].concat()).collect();
                let asked = match processes {
                    Processes::One => vec![asked.join(&"--next".to_owned())],
                    Processes::OneEach => asked,
                };
                let curl = words(&[&need::program("curl")?]);
                Ok(asked.into_iter().map(|asked| [curl.clone(), asked].concat()).collect())
            }
            How::Tool(tool, flags) => {
                let gets: Vec<_> = gets.collect();
                let count = gets.len();
                let sent = sent.map(|sent| tool.command(flags, self.times, sent.of(tool)));
                let gets = tool.command(flags, self.times * count, gets);
                iter::once(gets).chain(sent).collect()
            }
        }
    }
}

impl Tool {
    const fn program(self) -> &'static str {
        match self {
            Self::Wget => "wget",
            Self::Nghttp => "nghttp",
            Self::H2load => "h2load",
        }
    }

    /// With so many requests, where it is to be told.
    fn command(
        self,
        flags: &[&str],
        requests: usize,
        asked: Vec<String>,
    ) -> anyhow::Result<Vec<String>> {
        let requests = requests.to_string();
        let first: &[&str] = match self {
            Self::Wget => &["-q", "-O", "/dev/null"],
            Self::Nghttp => &["-n"],
            Self::H2load => &["-c", "4", "-n", &requests],
        };
        // To wget an answer of 404 is a failure. What is not asked is missing in the server's log.
        let start = words(&[MAY_FAIL, &need::program(self.program())?]);
        Ok([start, words(first), words(flags), asked].concat())
    }
}

/// `+9 /path` is a POST of 9 bytes, `=9 /path` a PUT, `~9 /path` a POST in chunks.
struct Sent {
    method: &'static str,
    /// A file.
    body: String,
    url: String,
    in_chunks: bool,
}

impl Sent {
    fn parse(word: &str, kit: &Kit, base: &str) -> Option<Self> {
        let (size, path) = word.get(1..)?.split_once(' ')?;
        let method = if word.starts_with('=') { "PUT" } else { "POST" };
        let (body, url) = (kit.body(size), format!("{base}{path}"));
        Some(Self { method, body, url, in_chunks: word.starts_with('~') })
    }

    fn of_curl(&self) -> Vec<String> {
        let chunks: &[&str] =
            if self.in_chunks { &["-H", "Transfer-Encoding: chunked"] } else { &[] };
        let body = format!("@{}", self.body);
        words(&[&["-X", self.method, "--data-binary", &body, &self.url], chunks].concat())
    }

    fn of(&self, tool: Tool) -> Vec<String> {
        let Self { method, body, url, in_chunks } = self;
        match tool {
            Tool::Wget => {
                words(&[&format!("--method={method}"), &format!("--body-file={body}"), url])
            }
            Tool::Nghttp | Tool::H2load => {
                let size: &[&str] = if *in_chunks { &["--no-content-length"] } else { &[] };
                let method = format!(":method: {method}");
                words(&[size, &["-d", body, "-H", &method, url]].concat())
            }
        }
    }
}

/// Scripts, the program of Go, and bodies.
pub(crate) struct Kit(TempDir);

impl Kit {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let kit = Self(TempDir::new()?);
        for (name, text) in [
            ("http_programs.py", include_str!("http_programs.py")),
            ("pairs.py", include_str!("pairs.py")),
            ("pairs.js", include_str!("pairs.js")),
            ("pairs.pl", include_str!("pairs.pl")),
            ("pairs.go", include_str!("pairs.go")),
            ("Pairs.java", include_str!("Pairs.java")),
        ] {
            fs::write(kit.folder().join(name), text)?;
        }
        for size in [9, 40_000, 70_000] {
            fs::write(kit.folder().join(size.to_string()), "b".repeat(size))?;
        }
        let mut build = Command::new("go");
        build.args(["build", "-o", "pairs", "pairs.go"]).current_dir(kit.folder());
        let built = build.env("CGO_ENABLED", "0").output()?;
        ensure!(built.status.success(), "{built:?}");
        Ok(kit)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Of the kit, else a program.
    pub(crate) fn find(&self, name: &str) -> anyhow::Result<String> {
        let ours = self.folder().join(name);
        if ours.is_file() { Ok(ours.to_string_lossy().into_owned()) } else { need::program(name) }
    }

    fn body(&self, size: &str) -> String {
        self.folder().join(size).to_string_lossy().into_owned()
    }
}
