//! Requests that are made while others are served: whose children they are, and that none is another's.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
};

use agent_tests::{
    lynceus::{binary, run_with},
    tree::{self, Span},
};
use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::http::{Server, exchanges, is_kind};

const PYTHON: &str = include_str!("calling_server.py");
const NODE: &str = "const h=require('http');const up=process.argv[1];\
                    const call=n=>new Promise(d=>h.get(`http://127.0.0.1:${up}/bytes/17?n=${n}`,\
                    r=>r.resume().on('end',d)));\
                    const s=h.createServer(async(q,r)=>{const n=q.url.slice(1);await call(n);\
                    await call(n);r.end('ok')});\
                    s.listen(0,'127.0.0.1',()=>console.log(s.address().port));\
                    process.stdin.resume();process.stdin.on('end',()=>process.exit(0));";
const GO: &str = "package main\nimport (\"fmt\"; \"io\"; \"net\"; \"net/http\"; \"os\")\n\
                  func main() {\n\tl, _ := net.Listen(\"tcp\", \"127.0.0.1:0\")\n\
                  \tfmt.Println(l.Addr().(*net.TCPAddr).Port)\n\
                  \tgo http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {\n\
                  \t\tfor i := 0; i < 2; i++ {\n\
                  \t\t\tq, _ := http.NewRequest(\"GET\", \"http://127.0.0.1:\"+os.Args[1]+\
                  \"/bytes/17?n=\"+r.URL.Path[1:], nil)\n\
                  \t\t\tq.Header.Set(\"User-Agent\", \"its-own\")\n\
                  \t\t\tif a, err := http.DefaultClient.Do(q); err == nil { io.Copy(io.Discard, a.Body); a.Body.Close() }\n\
                  \t\t}\n\t\tio.WriteString(w, \"ok\")\n\t}))\n\tio.Copy(io.Discard, os.Stdin)\n}\n";

/// At one time, and one after the other.
#[derive(Clone, Copy)]
struct Load(usize, usize);

/// Of the requests that the server made: below the one it served, below a process, below anything else.
#[derive(Debug, Default)]
struct Parents {
    served: usize,
    process: usize,
    wrong: Vec<String>,
}

fn ask(port: u16, number: usize) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET /{number} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer:?}");
    Ok(())
}

/// Traces a server that asks an untraced one, which gets its port as the last argument.
fn serve(command: &[&str], Load(at_once, each): Load) -> anyhow::Result<Parents> {
    let upstream = Server::start()?;
    let folder = TempDir::new()?;
    let out = folder.path().join("out.jsonl");
    let mut lynceus = Command::new(binary())
        .args(["run", "--strict", "--out"])
        .arg(&out)
        .arg("--")
        .args(command)
        .arg(upstream.port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(lynceus.stdout.take().context("no output")?).read_line(&mut line)?;
    let port = line.trim().parse().context("the server told no port")?;
    let clients: Vec<_> = (0..at_once)
        .map(|nth| thread::spawn(move || (0..each).try_for_each(|i| ask(port, nth * each + i))))
        .collect();
    for client in clients {
        client.join().unwrap_or_else(|_| bail!("a client panicked"))?;
    }
    drop(lynceus.stdin.take());
    lynceus.wait()?;
    let parents = parents(&tree::parse(&std::fs::read_to_string(&out)?)?);
    let all = parents.served + parents.process + parents.wrong.len();
    ensure!(all == 2 * at_once * each, "{all} requests were made: {parents:?}");
    ensure!(parents.wrong.is_empty(), "{parents:?}");
    Ok(parents)
}

fn parents(spans: &[Span]) -> Parents {
    let by_id: HashMap<&str, &Span> =
        spans.iter().map(|span| (span.text("spanId"), span)).collect();
    let mut parents = Parents::default();
    for client in spans.iter().filter(|span| is_kind(span, "client")) {
        let url = client.string("url.full").unwrap_or_default();
        let number = url.rsplit_once("?n=").map_or("", |(_, number)| number);
        let parent = by_id.get(client.text("parentSpanId"));
        let path = parent.and_then(|parent| parent.string("url.path"));
        match (parent, path) {
            (Some(_), None) => parents.process += 1,
            (Some(_), Some(path)) if path.get(1..) == Some(number) => parents.served += 1,
            (_, path) => parents.wrong.push(format!("{url} below {path:?}")),
        }
    }
    parents
}

fn python(how: &str, load: Load) -> anyhow::Result<Parents> {
    let folder = TempDir::new()?;
    let script = folder.path().join("calling_server.py");
    std::fs::write(&script, PYTHON)?;
    serve(&["python3", &script.to_string_lossy(), how], load)
}

/// Every one is known.
fn all_served(how: &str) -> anyhow::Result<()> {
    let parents = python(how, Load(8, 5))?;
    ensure!(parents.served == 80, "{how}: {parents:?}");
    Ok(())
}

pub(crate) fn thread_per_request() -> anyhow::Result<()> {
    all_served("threads")
}

/// Four threads for eight at one time: each serves one request after the other.
pub(crate) fn thread_pool() -> anyhow::Result<()> {
    all_served("pool")
}

pub(crate) fn fork_per_request() -> anyhow::Result<()> {
    all_served("forks")
}

pub(crate) fn forked_before() -> anyhow::Result<()> {
    all_served("workers")
}

/// None is a guess: under load none is known, and alone none is wrong.
pub(crate) fn event_loop() -> anyhow::Result<()> {
    let parents = python("loop", Load(8, 5))?;
    ensure!(parents.process >= 70, "{parents:?}");
    let parents = serve(&["node", "-e", NODE], Load(1, 5))?;
    ensure!(parents.process == 10, "{parents:?}");
    Ok(())
}

/// Goroutines move: some may seem to stay, until the first is seen to move.
pub(crate) fn goroutines() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (path, program) = (folder.path().join("main.go"), folder.path().join("server"));
    std::fs::write(&path, GO)?;
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&program, &path])
        .env("CGO_ENABLED", "0")
        .output()?;
    ensure!(built.status.success(), "{built:?}");
    let parents = serve(&[&program.to_string_lossy()], Load(8, 5))?;
    ensure!(parents.process >= 40, "{parents:?}");
    Ok(())
}

/// What a program asks after it delivered spans is left to it.
pub(crate) fn exporter() -> anyhow::Result<()> {
    let server = Server::start()?;
    let script = "import sys,urllib.request as u\n\
                  base=sys.argv[1]\n\
                  u.urlopen(base+'/bytes/17').read()\n\
                  h={'Content-Type':'application/x-protobuf'}\n\
                  try: u.urlopen(u.Request(base+'/v1/traces',b'x',h)).read()\n\
                  except Exception: pass\n\
                  u.urlopen(base+'/bytes/34').read()\n";
    let command = ["python3", "-c", script, &server.url("")];
    let run = run_with(&[], &command, |_| {})?;
    run.balances()?;
    let before = "GET /bytes/17 200 0/17";
    let found = exchanges(&run, "client");
    ensure!(found == [before] && run.stderr.contains("instrumented"), "{found:?} {}", run.stderr);
    let run = run_with(&["--keep-instrumented"], &command, |_| {})?;
    run.is_whole()?;
    let all = [before, "POST /v1/traces 200 1/1", "GET /bytes/34 200 0/34"];
    let found = exchanges(&run, "client");
    ensure!(found == all, "{found:?}");
    Ok(())
}
