//! Every client of HTTP with every server, both ends traced: what is told of each pair is what the
//! server's own log says, and that says what the client was to ask.

use std::{collections::HashMap, fs, os::unix::fs::symlink, path::Path};

use agent_tests::{
    lynceus::Run,
    need::{self, Body, trial},
    port,
    tree::Span,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;

use crate::{
    http::is_kind,
    http_programs::{check_joined, difference},
    nginx::{Files, Nginx},
    pair_clients::{self, Client, Kit, Over, PYTHON, speaking},
    stage::{Stage, words},
};

/// What a client is to ask, and how the line of the server's log begins.
type Asked = (&'static str, &'static str);

const FILES: [Asked; 4] = [
    ("/small", "GET /small 200 0/1024"),
    ("/large", "GET /large 200 0/300000"),
    ("/none", "GET /none 404 0/"),
    ("=70000 /up", "PUT /up 20"),
];
const TEXT: Asked = ("+9 /text", "POST /text 200 9/");
/// nginx answers `/text` before it reads what is sent, and this behind it.
const READ: Asked = ("+9 /read", "POST /read 200 9/15");
const FAILS: Asked = ("/fail", "GET /fail 503 0/2");
const CHUNKS: Asked = ("~40000 /text", "POST /text 200 40000/");

pub(crate) fn trials(lack: Option<&str>) -> Vec<Trial> {
    use Over::{Http1, Http2, Upgrade};
    let tests: [(&str, &[Over], &[&str], Body); 9] = [
        // Over HTTP/2 some clients fail where an answer comes before the body is read.
        ("nginx", &[Http1], &["nginx"], || nginx("", &[Http1], &[FAILS, READ, TEXT])),
        ("nginx_over_http2", &[Http2], &["nginx"], || nginx("http2", &[Http2], &[FAILS, READ])),
        ("python", &[Http1], &[], || script(&[Http1], &[PYTHON, "pairs.py", "server"])),
        ("upgrades", &[Upgrade], &[], || script(&[Upgrade], &[PYTHON, "pairs.py", "upgrading"])),
        ("gunicorn", &[Http1], &[], gunicorn),
        ("node", &[Http1], &[], || script(&[Http1], &["node", "pairs.js", "http-server"])),
        ("node_http2", &[Http2], &[], || script(&[Http2], &["node", "pairs.js", "http2-server"])),
        ("go", &[Http1, Http2], &[], || script(&[Http1, Http2], &["pairs", "server"])),
        ("nghttpd", &[Http2], &["nghttpd"], nghttpd),
    ];
    let each = tests.into_iter();
    each.map(|(server, over, programs, body)| {
        let name = format!("every_client_with_{server}");
        let programs = [programs, &["go", PYTHON], &pair_clients::programs(over)].concat();
        match lack {
            None => trial(&name, &programs, body),
            Some(lack) => need::lacking(&name, lack),
        }
    })
    .collect()
}

/// One run with a server and all its clients.
struct Pairs {
    kit: Kit,
    over: &'static [Over],
    asked: Vec<Asked>,
}

impl Pairs {
    fn new(over: &'static [Over], more: &[Asked]) -> anyhow::Result<Self> {
        Ok(Self { kit: Kit::new()?, over, asked: [&FILES, more].concat() })
    }

    fn asked(&self, client: &Client) -> impl Iterator<Item = Asked> {
        self.asked.iter().copied().filter(|(word, _)| client.says(word))
    }

    fn play(&self, port: u16, server: Vec<String>) -> anyhow::Result<Run> {
        let base = format!("http://127.0.0.1:{port}");
        let mut commands = Vec::new();
        for client in speaking(self.over) {
            let wanted: Vec<_> = self.asked(client).map(|(word, _)| word).collect();
            commands.extend(client.commands(&self.kit, &base, &wanted)?);
        }
        Stage { port, server, variables: &[] }.play(&commands)
    }

    fn check(&self, run: &Run, log: &[String]) -> anyhow::Result<()> {
        let mut expected = Vec::new();
        for client in speaking(self.over) {
            let folder = format!(" /{}/", client.name);
            let lines = self.asked(client).map(|(_, line)| line.replacen(" /", &folder, 1));
            expected.extend(lines.flat_map(|line| vec![line; client.times]));
        }
        expected.sort();
        let begins = |line: &String| {
            let start = expected.iter().find(|start| line.starts_with(*start));
            start.unwrap_or(line).clone()
        };
        let mut found: Vec<String> = log.iter().map(begins).collect();
        found.sort();
        ensure!(found == expected, "the server logged {}", difference(&found, &expected));
        check_joined(run, log)?;
        self.check_clients(run)
    }

    /// Each request stands below the process that was to ask it, and is of the version that it speaks.
    fn check_clients(&self, run: &Run) -> anyhow::Result<()> {
        let by_id: HashMap<&str, &Span> =
            run.spans.iter().map(|span| (span.text("spanId"), span)).collect();
        let clients: HashMap<&str, &Client> =
            speaking(self.over).into_iter().map(|client| (client.name, client)).collect();
        for asked in run.spans.iter().filter(|span| is_kind(span, "client")) {
            let url = asked.string("url.full").unwrap_or_default();
            let name = url.split('/').nth(3).unwrap_or_default();
            let client = clients.get(name).with_context(|| format!("whose is {asked:?}"))?;
            let parent = by_id.get(asked.text("parentSpanId")).context("no parent")?;
            let arguments = parent.strings("process.command_args");
            let names = |argument: &String| argument.split('/').any(|part| part == name);
            ensure!(arguments.iter().skip(1).any(names), "{asked:?} below {parent:?}");
            let version = asked.string("network.protocol.version").unwrap_or_default();
            let is_2 = client.is_of(Over::Http2) || self.over == [Over::Upgrade];
            ensure!((version == "2") == is_2, "{version}: {asked:?}");
        }
        Ok(())
    }
}

fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Its log has no size of what came in chunks.
fn nginx(listen: &str, over: &'static [Over], more: &[Asked]) -> anyhow::Result<()> {
    let pairs = Pairs::new(over, more)?;
    for files in [Files::Sent, Files::Copied] {
        let nginx = Nginx::with(files, listen, 2)?;
        let run = pairs.play(nginx.port, nginx.command.clone())?;
        pairs.check(&run, &nginx.log()?).with_context(|| format!("{files:?}"))?;
    }
    Ok(())
}

/// A server of ours, which gets its port and where its log is to be.
fn script(over: &'static [Over], server: &[&str]) -> anyhow::Result<()> {
    let pairs = Pairs::new(over, &[FAILS, TEXT, CHUNKS])?;
    let (port, log) = (port::free()?, pairs.kit.folder().join("log"));
    let Some((how, found)) = server.split_last() else { return Ok(()) };
    let found = found.iter().map(|word| pairs.kit.find(word)).collect::<Result<Vec<_>, _>>()?;
    let last = words(&[how, &port.to_string(), &log.to_string_lossy()]);
    let run = pairs.play(port, [found, last].concat())?;
    pairs.check(&run, &lines(&log)?)
}

fn gunicorn() -> anyhow::Result<()> {
    let pairs = Pairs::new(&[Over::Http1], &[FAILS, TEXT, CHUNKS])?;
    for workers in ["sync", "gthread"] {
        let (port, log) = (port::free()?, pairs.kit.folder().join(workers));
        let mut server = words(&[&need::program(PYTHON)?, "-m", "gunicorn", "pairs:app"]);
        let format = "%(m)s %(U)s %(s)s %({x-came}o)s/%(B)s";
        server.extend(words(&["--worker-class", workers, "--workers", "2", "--threads", "4"]));
        server.extend(words(&["--bind", &format!("127.0.0.1:{port}"), "--log-level", "error"]));
        server.extend(words(&["--chdir", &pairs.kit.folder().to_string_lossy()]));
        server.extend(words(&["--access-logfile", &log.to_string_lossy()]));
        server.extend(words(&["--access-logformat", format]));
        let run = pairs.play(port, server)?;
        pairs.check(&run, &lines(&log)?).with_context(|| workers.to_owned())?;
    }
    Ok(())
}

fn nghttpd() -> anyhow::Result<()> {
    let pairs = Pairs::new(&[Over::Http2], &[TEXT, CHUNKS])?;
    let root = pairs.kit.folder().join("root");
    fs::create_dir(&root)?;
    for (name, size) in [("small", 1024), ("large", 300_000), ("text", 15), ("up", 1)] {
        fs::write(root.join(name), "f".repeat(size))?;
    }
    for client in speaking(pairs.over) {
        symlink(".", root.join(client.name))?;
    }
    let log = pairs.kit.folder().join("log");
    let (port, root) = (port::free()?, root.to_string_lossy().into_owned());
    let port_word = port.to_string();
    let server = [
        &["sh", "-c", "exec \"$@\" >\"$0\"", &log.to_string_lossy(), &need::program("nghttpd")?],
        &["--no-tls", "--verbose", "--address", "127.0.0.1", "-d", &root, &port_word][..],
    ];
    let run = pairs.play(port, words(&server.concat()))?;
    pairs.check(&run, &of_frames(&lines(&log)?))
}

#[derive(Default)]
struct Stream {
    method: String,
    path: String,
    status: String,
    came_bytes: u64,
    went_bytes: u64,
}

/// nghttpd logs each field and frame: `[id=1] [  0.5] recv (stream_id=1) :path: /small`,
/// `[id=1] [  0.5] recv DATA frame <length=9, flags=0x01, stream_id=1>`, and below what it sends
/// `:status: 200`.
fn of_frames(log: &[String]) -> Vec<String> {
    let number = |line: &str, before: &str| -> Option<u64> {
        let (_, rest) = line.split_once(before)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let mut streams: HashMap<(u64, u64), Stream> = HashMap::new();
    let mut last = (0, 0);
    for line in log {
        if let (Some(connection), Some(stream)) = (number(line, "[id="), number(line, "stream_id="))
        {
            last = (connection, stream);
        }
        let stream = streams.entry(last).or_default();
        if let Some((_, method)) = line.split_once(" :method: ") {
            stream.method = method.to_owned();
        } else if let Some((_, path)) = line.split_once(" :path: ") {
            stream.path = path.to_owned();
        } else if let Some((_, status)) = line.split_once(" :status: ") {
            stream.status = status.to_owned();
        } else if line.contains(" recv DATA ") {
            stream.came_bytes += number(line, "<length=").unwrap_or_default();
        } else if line.contains(" send DATA ") {
            stream.went_bytes += number(line, "<length=").unwrap_or_default();
        }
    }
    let line = |stream: Stream| {
        let Stream { method, path, status, came_bytes, went_bytes } = stream;
        format!("{method} {path} {status} {came_bytes}/{went_bytes}")
    };
    // What is about the connection, or no request, has none.
    let requests = streams.into_values().filter(|stream| !stream.method.is_empty());
    requests.map(line).collect()
}
