//! Requests of programs that nobody here wrote, to a server of Python's that is not traced.

use std::process::Command;

use agent_tests::tree::Span;
use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::http::{Server, check_client, is_kind};

/// How long `http_server.py` waits below `/slow`.
const SLOW_NS: u64 = 100_000_000;

pub(crate) fn curl() -> anyhow::Result<()> {
    let server = Server::start()?;
    let run = check_client(
        &["curl", "-s", "-o", "/dev/null", &server.url("/bytes/170?token=hunter2&a=b")],
        &["GET /bytes/170?token=[REDACTED]&a=b 200 0/170"],
    )?;
    let span = run.span("GET")?;
    let is = |key: &str, value: &str| {
        ensure!(span.string(key).as_deref() == Some(value), "{key} of {span:?}");
        Ok(())
    };
    is("http.request.method", "GET")?;
    is("server.address", "127.0.0.1")?;
    is("network.peer.address", "127.0.0.1")?;
    is("network.protocol.version", "1.1")?;
    ensure!(span.int("server.port") == Some(i64::from(server.port)), "{span:?}");
    ensure!(span.int("lynceus.network.connect_ns") > Some(0), "{span:?}");
    ensure!(span.int("lynceus.http.time_to_first_byte_ns") > Some(0), "{span:?}");
    ensure!(span.text("parentSpanId") == run.span("curl")?.text("spanId"), "{span:?}");
    ensure!(!run.file.contains("hunter2"), "a secret is in the file");
    Ok(())
}

pub(crate) fn curl_keeps_alive() -> anyhow::Result<()> {
    let server = Server::start()?;
    let paths =
        ["/bytes/17", "/chunked", "/none", "/hints", "/status/500", "/status/404", "/close"];
    let urls: Vec<String> = paths.iter().map(|path| server.url(path)).collect();
    let mut command = vec!["curl", "-s", "-o", "/dev/null", "-w", "%{num_connects}"];
    let nulls = ["-o", "/dev/null"].repeat(paths.len() - 1);
    command.extend(nulls);
    command.extend(urls.iter().map(String::as_str));
    let run = check_client(
        &command,
        &[
            "GET /bytes/17 200 0/17",
            "GET /chunked 200 0/40701",
            "GET /none 204 0/0",
            "GET /hints 200 0/10",
            "GET /status/500 500 0/3",
            "GET /status/404 404 0/3",
            "GET /close 200 0/5000",
        ],
    )?;
    ensure!(run.output.stdout == b"1000000", "{:?}", run.output);
    let errors: Vec<_> = run.spans.iter().filter_map(|span| span.string("error.type")).collect();
    ensure!(errors == ["500", "404"], "{errors:?}");
    let mut clients: Vec<&Span> = run.spans.iter().filter(|span| is_kind(span, "client")).collect();
    clients.sort_by_key(|span| span.number("startTimeUnixNano"));
    let connected = clients.iter().map(|span| span.int("lynceus.network.connect_ns"));
    let (first, rest): (Vec<_>, Vec<_>) = connected.enumerate().partition(|(nth, _)| *nth == 0);
    let is_first = first.iter().all(|(_, took)| *took > Some(0));
    let is_only = rest.iter().all(|(_, took)| took.is_none());
    ensure!(is_first && is_only, "{first:?} {rest:?}");
    Ok(())
}

/// A server that thinks before it answers, and one that does in the middle of it.
pub(crate) fn slow_answers() -> anyhow::Result<()> {
    let server = Server::start()?;
    let (before, within) = (server.url("/slow/head"), server.url("/slow/body"));
    let command = ["curl", "-s", "-o", "/dev/null", "-o", "/dev/null", &before, &within];
    let expected = ["GET /slow/head 200 0/4", "GET /slow/body 200 0/4"];
    let run = check_client(&command, &expected)?;
    let of = |path: &str| {
        let url = Some(server.url(path));
        let span = run.spans.iter().find(|span| span.string("url.full") == url);
        let span = span.with_context(|| format!("no {path}"))?;
        let first = span.int("lynceus.http.time_to_first_byte_ns").context("no first byte")?;
        anyhow::Ok((u64::try_from(first)?, span.duration_ns()))
    };
    let (first, all) = of("/slow/head")?;
    ensure!(SLOW_NS <= first && first <= all, "{first} of {all}");
    let (first, all) = of("/slow/body")?;
    ensure!(first + SLOW_NS / 2 <= all, "{first} of {all}");
    Ok(())
}

pub(crate) fn curl_bodies() -> anyhow::Result<()> {
    let server = Server::start()?;
    let folder = TempDir::new()?;
    let file = folder.path().join("body");
    std::fs::write(&file, "u".repeat(300_000))?;
    let url = server.url("/echo");
    let upload = format!("@{}", file.display());
    let quiet = ["curl", "-s", "-o", "/dev/null"];
    let run = |more: &[&str], expected: &str| {
        check_client(&[&quiet[..], more, &[&url]].concat(), &[expected]).map(drop)
    };
    run(&["-d", "a=b"], "POST /echo 200 3/3")?;
    run(&["-T", &file.to_string_lossy()], "PUT /echo 200 300000/300000")?;
    let chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", &upload];
    run(&chunked, "POST /echo 200 300000/300000")?;
    run(&["-X", "PURGE"], "HTTP /echo 200 0/0")?;
    let url = server.url("/bytes/1700");
    check_client(&[&quiet[..], &["-I", &url]].concat(), &["HEAD /bytes/1700 200 0/0"])?;
    check_client(&[&quiet[..], &["--http1.0", &url]].concat(), &["GET /bytes/1700 200 0/1700"])?;
    Ok(())
}

pub(crate) fn wget() -> anyhow::Result<()> {
    let server = Server::start()?;
    let urls = [server.url("/bytes/17000"), server.url("/chunked")];
    let command = ["wget", "-q", "-O", "/dev/null", &urls[0], &urls[1]];
    check_client(&command, &["GET /bytes/17000 200 0/17000", "GET /chunked 200 0/40701"]).map(drop)
}

pub(crate) fn python() -> anyhow::Result<()> {
    let server = Server::start()?;
    let script = "import http.client,sys,urllib.request as u\n\
                  port=int(sys.argv[1])\n\
                  c=http.client.HTTPConnection('127.0.0.1',port)\n\
                  for path in ('/bytes/34','/chunked'): c.request('GET',path);c.getresponse().read()\n\
                  c.request('POST','/echo',body=b'x'*70000);c.getresponse().read()\n\
                  u.urlopen('http://127.0.0.1:%d/close'%port).read()\n";
    let command = ["python3", "-c", script, &server.port.to_string()];
    check_client(
        &command,
        &[
            "GET /bytes/34 200 0/34",
            "GET /chunked 200 0/40701",
            "POST /echo 200 70000/70000",
            "GET /close 200 0/5000",
        ],
    )
    .map(drop)
}

pub(crate) fn node() -> anyhow::Result<()> {
    let server = Server::start()?;
    let script = "const base='http://127.0.0.1:'+process.argv[1];\
                  (async()=>{for(const p of ['/bytes/51','/chunked'])await(await fetch(base+p)).text();\
                  await(await fetch(base+'/echo',{method:'POST',body:'y'.repeat(1000)})).text();})()";
    let command = ["node", "-e", script, &server.port.to_string()];
    let expected =
        ["GET /bytes/51 200 0/51", "GET /chunked 200 0/40701", "POST /echo 200 1000/1000"];
    check_client(&command, &expected).map(drop)
}

pub(crate) fn go() -> anyhow::Result<()> {
    let server = Server::start()?;
    let folder = TempDir::new()?;
    let source = "package main\nimport (\"io\"; \"net/http\"; \"os\"; \"strings\")\n\
                  func main() {\n\tbase := os.Args[1]\n\
                  \tfor _, path := range []string{\"/bytes/68\", \"/chunked\"} {\n\
                  \t\tr, err := http.Get(base + path)\n\t\tif err != nil { panic(err) }\n\
                  \t\tio.Copy(io.Discard, r.Body); r.Body.Close()\n\t}\n\
                  \tr, err := http.Post(base+\"/echo\", \"text/plain\", strings.NewReader(\"four\"))\n\
                  \tif err != nil { panic(err) }\n\tio.Copy(io.Discard, r.Body)\n}\n";
    let (path, program) = (folder.path().join("main.go"), folder.path().join("client"));
    std::fs::write(&path, source)?;
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&program, &path])
        .env("CGO_ENABLED", "0")
        .output()?;
    ensure!(built.status.success(), "{built:?}");
    let command = [&*program.to_string_lossy(), &server.url("")];
    let expected = ["GET /bytes/68 200 0/68", "GET /chunked 200 0/40701", "POST /echo 200 4/4"];
    check_client(&command, &expected).map(drop)
}

pub(crate) fn java() -> anyhow::Result<()> {
    let server = Server::start()?;
    let folder = TempDir::new()?;
    let path = folder.path().join("Client.java");
    let source = "import java.net.*; import java.net.http.*;\n\
                  public class Client { public static void main(String[] a) throws Exception {\n\
                  var client = HttpClient.newHttpClient();\n\
                  for (var path : new String[] {\"/bytes/85\", \"/chunked\"}) client.send(\n\
                  HttpRequest.newBuilder(URI.create(a[0] + path)).build(),\n\
                  HttpResponse.BodyHandlers.ofString());\n\
                  var c = (HttpURLConnection) new URL(a[0] + \"/status/503\").openConnection();\n\
                  c.getResponseCode(); c.getErrorStream().readAllBytes(); System.exit(0); } }\n";
    std::fs::write(&path, source)?;
    let command = ["java", &path.to_string_lossy(), &server.url("")];
    let expected =
        ["GET /bytes/85 200 0/85", "GET /chunked 200 0/40701", "GET /status/503 503 0/3"];
    check_client(&command, &expected).map(drop)
}

pub(crate) fn perl() -> anyhow::Result<()> {
    let server = Server::start()?;
    let script = "use HTTP::Tiny;my $h=HTTP::Tiny->new;\
                  $h->get($ARGV[0].$_) for('/bytes/102','/chunked','/close');";
    let command = ["perl", "-e", script, &server.url("")];
    let expected =
        ["GET /bytes/102 200 0/102", "GET /chunked 200 0/40701", "GET /close 200 0/5000"];
    check_client(&command, &expected).map(drop)
}

/// Every byte in a call of its own, requests without waiting for responses, bare line feeds, scattered
/// writes, and bytes looked at before they are taken.
pub(crate) fn pieces() -> anyhow::Result<()> {
    let server = Server::start()?;
    let script = "import socket,sys,time\n\
                  def ask(send):\n \
                  s=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\n \
                  send(s);s.shutdown(1)\n \
                  s.recv(10,socket.MSG_PEEK)\n \
                  while s.recv(100): pass\n\
                  one=b'GET /bytes/17 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'\n\
                  long=b'GET /bytes/34 HTTP/1.1\\r\\nX: '+b'x'*9000+b'\\r\\nHost: x\\r\\n\\r\\n'\n\
                  post=b'POST /echo HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 8\\r\\n\\r\\nGET / HT'\n\
                  ask(lambda s:[s.send(one[i:i+1]) for i in range(len(one))])\n\
                  ask(lambda s:s.sendall(one+post+one))\n\
                  ask(lambda s:s.sendmsg([one[:9],b'',one[9:],post]))\n\
                  ask(lambda s:s.sendall(one.replace(b'\\r',b'')))\n\
                  ask(lambda s:s.sendall(one+long+post))\n";
    let command = ["python3", "-c", script, &server.port.to_string()];
    let (get, post) = ("GET /bytes/17 200 0/17", "POST /echo 200 8/8");
    let long = "GET /bytes/34 200 0/34";
    let run = check_client(&command, &[get, get, post, get, get, post, get, get, long, post])?;
    // Of the one head with more than 8 KiB the rest was not read: no server is made up from it.
    let cut: Vec<&Span> =
        run.spans.iter().filter(|span| span.is_true("lynceus.http.head_cut")).collect();
    let [cut] = cut[..] else { bail!("{} heads are cut: {}", cut.len(), run.stderr) };
    let url = format!("http://127.0.0.1:{}/bytes/34", server.port);
    ensure!(cut.string("url.full") == Some(url), "{cut:?}");
    ensure!(run.stderr.contains("; not followed to the end: heads_cut 1;"), "{}", run.stderr);
    ensure!(!run.file.contains("CANARY"), "a body reached the file");
    Ok(())
}
