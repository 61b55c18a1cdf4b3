//! Calls of gRPC between programs that nobody here wrote, both ends traced.

use std::fs;

use agent_tests::{
    lynceus::Run,
    need::{self, Body, trial},
    port,
    tree::Span,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::{
    http::is_kind,
    http_programs::{difference, joined},
    stage::{MAY_FAIL, Stage, words},
};

pub(crate) const REQUESTS: &str = "lynceus.rpc.request_messages";
pub(crate) const RESPONSES: &str = "lynceus.rpc.response_messages";
pub(crate) const PYTHON: &str = "python-with-packages";
pub(crate) const INTEROP: &str = "grpc-interop-server";
pub(crate) const INTEROP_CLIENT: &str = "grpc-interop-client";
const REFLECTION: &str = "grpc-reflection-server";
/// A package of Node is a folder of files.
pub(crate) const GRPC_JS: &str = "@grpc/grpc-js/package.json";

pub(crate) fn trials(lack: Option<&str>) -> Vec<Trial> {
    let tests: [(&str, &[&str], Body); 6] = [
        ("grpc_go_cancelled_at_once", &[INTEROP, INTEROP_CLIENT], grpc_go_cancelled),
        ("grpc_go_behind_the_deadline", &[INTEROP, "grpcurl", PYTHON], too_late),
        ("grpc_reflection_with_grpcurl", &[REFLECTION, "grpcurl"], grpcurl),
        ("grpc_reflection_with_ghz", &[REFLECTION, "ghz"], ghz),
        ("grpcio_health_with_grpcurl", &[PYTHON, "grpcurl"], || health(Over::Tcp)),
        ("grpcio_health_over_a_unix_socket", &[PYTHON, "grpcurl"], || health(Over::Unix)),
    ];
    let each = tests.into_iter();
    each.map(|(name, programs, body)| match lack {
        None => trial(name, programs, body),
        Some(lack) => need::lacking(name, lack),
    })
    .collect()
}

/// `Service/Method STATUS`, `-` where a call ended without one.
pub(crate) fn call(span: &Span) -> String {
    let text = |key| span.string(key).unwrap_or_else(|| "-".to_owned());
    format!("{} {}", text("rpc.method"), text("rpc.response.status_code"))
}

/// Both ends tell what is expected, and are joined.
fn check(run: &Run, expected: &[(usize, &str)]) -> anyhow::Result<()> {
    for kind in ["client", "server"] {
        let spans: Vec<&Span> = run.spans.iter().filter(|span| is_kind(span, kind)).collect();
        compare(&spans, expected).with_context(|| kind.to_owned())?;
    }
    joined(run, call)
}

/// Expected is how many, the call, and after `:` how many messages the request and the response had,
/// where that is certain.
pub(crate) fn compare(spans: &[&Span], expected: &[(usize, &str)]) -> anyhow::Result<()> {
    let wanted = expected.iter().flat_map(|(count, text)| vec![(*text).to_owned(); *count]);
    let mut wanted: Vec<String> = wanted.collect();
    wanted.sort();
    let told = |span: &Span| {
        let one = call(span);
        if wanted.contains(&one) {
            return one;
        }
        let count = |key| span.int(key).map_or_else(|| "?".to_owned(), |count| count.to_string());
        format!("{one}: {}/{}", count(REQUESTS), count(RESPONSES))
    };
    let mut found: Vec<String> = spans.iter().map(|span| told(span)).collect();
    found.sort();
    ensure!(found == wanted, "{}", difference(&found, &wanted));
    for span in spans {
        ensure!(span.string("rpc.method").as_deref() == Some(span.name()), "{span:?}");
    }
    Ok(())
}

pub(crate) fn of_case(client: &str, port: u16, case: &str) -> Vec<String> {
    let (port, case) = (format!("--server_port={port}"), format!("--test_case={case}"));
    words(&[client, "--server_host=127.0.0.1", &port, &case])
}

/// By then its headers may have been sent, or not: what was not is no call, and nothing is lost of the
/// connection. The server may not read what was, as the client goes away; or it may have answered.
fn grpc_go_cancelled() -> anyhow::Result<()> {
    let port = port::free()?;
    let client = need::program(INTEROP_CLIENT)?;
    // The client fails where the answer was there before it knew of its own end.
    let line = [vec![MAY_FAIL.to_owned()], of_case(&client, port, "cancel_after_begin")].concat();
    let run = interop(port)?.play(&vec![line; 10])?;
    let of = |kind| run.spans.iter().filter(move |span| is_kind(span, kind)).map(call);
    let wanted = ["CANCELLED", "OK"]
        .map(|status| format!("grpc.testing.TestService/StreamingInputCall {status}"));
    let wrong: Vec<_> =
        of("client").chain(of("server")).filter(|one| !wanted.contains(one)).collect();
    ensure!(wrong.is_empty(), "{wrong:?}");
    ensure!((1..=10).contains(&of("client").count()), "{}", run.stderr);
    let clients = run.spans.iter().filter(|span| span.name() == INTEROP_CLIENT);
    let codes: Vec<_> = clients.map(|span| span.int("process.exit.code")).collect();
    let failed = codes.iter().filter(|code| **code != Some(0)).count();
    let answered = of("client").filter(|one| *one == wanted[1]).count();
    ensure!(codes.len() == 10 && failed <= answered, "{codes:?}, {answered} OK: {}", run.stderr);
    joined(&run, |span| span.name().to_owned())
}

/// A server that answers after two seconds, and two clients that wait for one.
fn too_late() -> anyhow::Result<()> {
    let (folder, python) = script("too_late.py", include_str!("grpc_too_late.py"))?;
    let proto = folder.path().join("test_service.proto");
    fs::write(&proto, include_str!("test_service.proto"))?;
    let proto = proto.to_string_lossy();
    let port = port::free()?;
    let (address, method) =
        (format!("127.0.0.1:{port}"), "grpc.testing.TestService/StreamingOutputCall");
    let late = "{\"response_parameters\": [{\"size\": 9, \"interval_us\": 2000000}]}";
    let grpcurl = need::program("grpcurl")?;
    let of = [MAY_FAIL, &grpcurl, "-plaintext", "-max-time", "1", "-import-path", "/"];
    let run = interop(port)?.play(&[
        words(&[&of[..], &["-proto", &proto, "-d", late, &address, method]].concat()),
        words(&[&need::program(PYTHON)?, &python, &address]),
    ])?;
    check(&run, &[(2, &format!("{method} DEADLINE_EXCEEDED: 1/0"))])?;
    for call in run.spans.iter().filter(|span| span.string("rpc.method").is_some()) {
        let error = call.string("error.type");
        ensure!(error.as_deref() == Some("DEADLINE_EXCEEDED"), "{call:?}");
        ensure!(call.duration_ns() < 2_000_000_000, "{call:?}");
    }
    Ok(())
}

fn interop<'a>(port: u16) -> anyhow::Result<Stage<'a>> {
    let server = words(&[&need::program(INTEROP)?, &format!("--port={port}")]);
    Ok(Stage { port, server, variables: &[] })
}

fn script(name: &str, text: &str) -> anyhow::Result<(TempDir, String)> {
    let folder = TempDir::new()?;
    let path = folder.path().join(name);
    fs::write(&path, text)?;
    let path = path.to_string_lossy().into_owned();
    Ok((folder, path))
}

const ECHO: &str = "grpc.examples.echo.Echo";

fn reflection<'a>(port: u16) -> anyhow::Result<Stage<'a>> {
    let server = words(&[&need::program(REFLECTION)?, &format!("--port={port}")]);
    Ok(Stage { port, server, variables: &[] })
}

/// Each call after a stream of questions about what there is to call.
fn grpcurl() -> anyhow::Result<()> {
    let port = port::free()?;
    let grpcurl = need::program("grpcurl")?;
    let (address, unary) = (format!("127.0.0.1:{port}"), format!("{ECHO}/UnaryEcho"));
    let stream = format!("{ECHO}/BidirectionalStreamingEcho");
    let message = "{\"message\": \"hello\"}";
    let run = reflection(port)?.play(&[
        words(&[&grpcurl, "-plaintext", &address, "list"]),
        words(&[&grpcurl, "-plaintext", "-d", message, &address, &unary]),
        words(&[MAY_FAIL, &grpcurl, "-plaintext", "-d", message, &address, &stream]),
    ])?;
    let text = String::from_utf8_lossy(&run.output.stdout);
    ensure!(text.contains("helloworld.Greeter") && text.contains("hello\""), "{text}");
    check(
        &run,
        &[
            (3, "grpc.reflection.v1.ServerReflection/ServerReflectionInfo OK"),
            (1, "grpc.examples.echo.Echo/UnaryEcho OK: 1/1"),
            (1, "grpc.examples.echo.Echo/BidirectionalStreamingEcho UNIMPLEMENTED"),
        ],
    )
}

fn ghz() -> anyhow::Result<()> {
    let port = port::free()?;
    let (address, unary) = (format!("127.0.0.1:{port}"), format!("{ECHO}/UnaryEcho"));
    let common =
        [&need::program("ghz")?, "--insecure", "--call", &unary, "-d", "{\"message\":\"m\"}"];
    let many = ["-n", "2000", "-c", "50", "--connections", "5", &address];
    let calls = words(&[&common[..], &many].concat());
    let run = reflection(port)?.play_with(&["--requests-per-second", "0"], &[calls])?;
    run.is_whole()?;
    check(
        &run,
        &[
            (2000, "grpc.examples.echo.Echo/UnaryEcho OK: 1/1"),
            // ghz ends without ending this one.
            (1, "grpc.reflection.v1.ServerReflection/ServerReflectionInfo -"),
        ],
    )
}

#[derive(Clone, Copy)]
enum Over {
    Tcp,
    Unix,
}

/// A server of another language.
fn health(over: Over) -> anyhow::Result<()> {
    let (folder, script) = script("grpc_programs.py", include_str!("grpc_programs.py"))?;
    let (port, grpcurl) = (port::free()?, need::program("grpcurl")?);
    let bind = format!("unix:{}", folder.path().join("socket").display());
    let server = words(&[&need::program(PYTHON)?, &script, "server", &port.to_string(), &bind]);
    let tcp = format!("127.0.0.1:{port}");
    let client = [grpcurl.as_str(), "-plaintext"];
    let address = match over {
        Over::Tcp => &tcp,
        Over::Unix => &bind,
    };
    let method = "grpc.health.v1.Health/Check";
    let unknown = ["-d", "{\"service\": \"unknown\"}"];
    let stage = Stage { port, server, variables: &[] };
    let run = stage.play(&[
        words(&[&client[..], &[address, method]].concat()),
        words(&[&[MAY_FAIL], &client[..], &unknown, &[address, method]].concat()),
    ])?;
    check(
        &run,
        &[
            // grpcurl asks for the newer service first, and may not have said anything by then.
            (2, "grpc.reflection.v1.ServerReflection/ServerReflectionInfo UNIMPLEMENTED"),
            (2, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo OK"),
            (1, "grpc.health.v1.Health/Check OK: 1/1"),
            // grpcio sends an answer before such a status too.
            (1, "grpc.health.v1.Health/Check NOT_FOUND: 1/1"),
        ],
    )
}
