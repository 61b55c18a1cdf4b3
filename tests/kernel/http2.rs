//! Exchanges over HTTP/2 in plain text.

use std::process::Command;

use agent_tests::{
    lynceus::{Run, run_with},
    tree::Span,
};
use anyhow::ensure;
use tempfile::TempDir;

use crate::http::{exchanges, is_kind};

/// Starts the server, which tells its port, and then the client; the server ends with its input.
const SHELL: &str = "coproc node -e \"$1\"; read -r port <&${COPROC[0]}; shift; \
                     \"$@\" http://127.0.0.1:$port; exec {COPROC[1]}>&-; wait";

/// Bodies, trailers, an error and a stream that the server resets.
const SERVER: &str = "const h=require('http2');const s=h.createServer();\
                      s.on('stream',(t,head)=>{const p=head[':path'];t.on('error',()=>{});\
                      if(p=='/reset'){t.close(h.constants.NGHTTP2_INTERNAL_ERROR);return}\
                      t.respond({':status':p=='/none'?404:200},{waitForTrailers:true});\
                      t.on('wantTrailers',()=>t.sendTrailers({a:'b'}));\
                      t.end('x'.repeat(p=='/none'?5:70000))});\
                      s.on('sessionError',()=>{});s.on('error',()=>{});\
                      s.listen(0,'127.0.0.1',()=>console.log(s.address().port));\
                      process.stdin.resume();process.stdin.on('end',()=>process.exit(0));";

fn with_node(client: &[&str]) -> anyhow::Result<Run> {
    let command = [&["bash", "-c", SHELL, "bash", SERVER][..], client].concat();
    let run = run_with(&[], &command, |_| {})?;
    run.is_whole()?;
    Ok(run)
}

fn of<'a>(run: &'a Run, kind: &str) -> Vec<&'a Span> {
    run.spans.iter().filter(|span| is_kind(span, kind)).collect()
}

pub(crate) fn curl() -> anyhow::Result<()> {
    let run = with_node(&["curl", "-s", "-o", "/dev/null", "--http2-prior-knowledge"])?;
    for kind in ["client", "server"] {
        let found = exchanges(&run, kind);
        ensure!(found == ["GET / 200 0/70000"], "{kind}: {found:?}\n{}", run.stderr);
    }
    let (clients, servers) = (of(&run, "client"), of(&run, "server"));
    let version = clients.first().and_then(|span| span.string("network.protocol.version"));
    ensure!(version.as_deref() == Some("2"), "{clients:?}");
    let parent = servers.first().map(|span| span.text("parentSpanId"));
    ensure!(parent == clients.first().map(|span| span.text("spanId")), "{}", run.stderr);
    Ok(())
}

/// Many at one time on one connection.
pub(crate) fn node() -> anyhow::Result<()> {
    let script = "const c=require('http2').connect(process.argv[1]);let n=0;\
                  const paths=[...Array(98).fill('/'),'/none','/reset'];\
                  for(const p of paths){const r=c.request({':path':p});r.on('error',()=>{});\
                  r.on('close',()=>{if(++n==paths.length)c.close()});r.resume();r.end()}";
    let run = with_node(&["node", "-e", script])?;
    for kind in ["client", "server"] {
        let found = exchanges(&run, kind);
        let count = |wanted: &str| found.iter().filter(|one| one.starts_with(wanted)).count();
        let counts =
            (count("GET / 200 0/70000"), count("GET /none 404 0/5"), count("GET /reset - "));
        ensure!(
            counts == (98, 1, 1) && found.len() == 100,
            "{kind}: {counts:?} of {found:?} {}",
            run.stderr
        );
    }
    let errors: Vec<_> =
        of(&run, "client").iter().filter_map(|span| span.string("error.type")).collect();
    ensure!(errors.len() == 2 && errors.contains(&"404".to_owned()), "{errors:?}");
    ensure!(errors.contains(&"stream_reset".to_owned()), "{errors:?}");
    Ok(())
}

/// A client and a server of Go's in one process.
pub(crate) fn go() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let source = "package main\n\
                  import (\"io\"; \"net\"; \"net/http\"; \"strings\"; \"sync\")\n\
                  func main() {\n\
                  \tvar protocols http.Protocols\n\tprotocols.SetUnencryptedHTTP2(true)\n\
                  \tlistener, _ := net.Listen(\"tcp\", \"127.0.0.1:0\")\n\
                  \tserver := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(\n\
                  \t\tfunc(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })}\n\
                  \tgo server.Serve(listener)\n\
                  \tclient := &http.Client{Transport: &http.Transport{Protocols: &protocols}}\n\
                  \turl := \"http://\" + listener.Addr().String() + \"/echo\"\n\
                  \tvar wait sync.WaitGroup\n\tfor i := 0; i < 40; i++ {\n\t\twait.Add(1)\n\
                  \t\tgo func() {\n\t\t\tdefer wait.Done()\n\
                  \t\t\tr, err := client.Post(url, \"text/plain\", strings.NewReader(\"twelve bytes\"))\n\
                  \t\t\tif err != nil { panic(err) }\n\t\t\tio.Copy(io.Discard, r.Body)\n\
                  \t\t\tr.Body.Close()\n\t\t}()\n\t}\n\twait.Wait()\n}\n";
    let (path, program) = (folder.path().join("main.go"), folder.path().join("both"));
    std::fs::write(&path, source)?;
    let mut build = Command::new("go");
    build.args(["build", "-o"]).args([&program, &path]).env("CGO_ENABLED", "0");
    let built = build.output()?;
    if String::from_utf8_lossy(&built.stderr).contains("undefined: http.Protocols") {
        // Before Go 1.24 the standard library speaks HTTP/2 over TLS only.
        return Ok(());
    }
    ensure!(built.status.success(), "{built:?}");
    let run = run_with(&[], &[&program], |_| {})?;
    run.is_whole()?;
    for kind in ["client", "server"] {
        let found = exchanges(&run, kind);
        let right = found.iter().filter(|one| *one == "POST /echo 200 12/12").count();
        ensure!(right == 40 && found.len() == 40, "{kind}: {right} of {}: {found:?}", found.len());
    }
    Ok(())
}

/// As gRPC's libraries speak, without one: trailers, trailers alone, a call that is cancelled and one
/// whose time is over, at the server too, which counts from when it read the request.
pub(crate) fn calls() -> anyhow::Result<()> {
    let server = "const s=require('http2').createServer();\
                  s.on('stream',(t,head)=>{const p=head[':path'];t.on('error',()=>{});\
                  const h={':status':200,'content-type':'application/grpc'};\
                  if(p=='/s/Missing'){t.respond({...h,'grpc-status':'5'},{endStream:true});return}\
                  t.respond(h,{waitForTrailers:true});\
                  t.on('wantTrailers',()=>t.sendTrailers({'grpc-status':'0'}));\
                  if(p=='/s/Good')t.end(Buffer.from('000000000161000000000162','hex'))});\
                  s.on('sessionError',()=>{});\
                  s.listen(0,'127.0.0.1',()=>console.log(s.address().port));\
                  process.stdin.resume();process.stdin.on('end',()=>process.exit(0));";
    let client = "const h2=require('http2');const c=h2.connect(process.argv[1]);\
                  const call=(p,timeout,after)=>new Promise(d=>{const r=c.request({':path':p,\
                  ':method':'POST','content-type':'application/grpc','grpc-timeout':timeout});\
                  r.on('error',()=>{});r.on('close',d);r.resume();\
                  r.end(Buffer.from('000000000161','hex'));\
                  if(after)setTimeout(()=>r.close(h2.constants.NGHTTP2_CANCEL),after)});\
                  (async()=>{await call('/s/Good','5S');await call('/s/Missing','5S');\
                  await call('/s/Slow','5S',50);await call('/s/Slow','60m',150);c.close()})()";
    let command = ["bash", "-c", SHELL, "bash", server, "node", "-e", client];
    let run = run_with(&[], &command, |_| {})?;
    run.is_whole()?;
    let check = |kind: &str, expected: [&str; 4]| {
        let mut spans = of(&run, kind);
        spans.sort_by_key(|span| span.number("startTimeUnixNano"));
        let text = |span: &Span, key| span.string(key).unwrap_or_else(|| "-".to_owned());
        let line = |span: &&Span| {
            let (status, error) =
                (text(span, "rpc.response.status_code"), text(span, "error.type"));
            format!("{} {status} {error}", span.name())
        };
        let found: Vec<_> = spans.iter().map(line).collect();
        ensure!(found == expected, "{kind}: {found:#?}");
        Ok(())
    };
    let late = "s/Slow DEADLINE_EXCEEDED DEADLINE_EXCEEDED";
    let missing = "s/Missing NOT_FOUND NOT_FOUND";
    check("client", ["s/Good OK -", missing, "s/Slow CANCELLED CANCELLED", late])?;
    check("server", ["s/Good OK -", "s/Missing NOT_FOUND -", "s/Slow CANCELLED -", late])
}
