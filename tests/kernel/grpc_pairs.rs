//! Every client of gRPC with every server of its interoperability service, both ends traced: each call is
//! told as it was meant, below the program that made it, and as the server's own log has it.

use std::{collections::HashMap, fs};

use agent_tests::{
    need::{self, Body, trial},
    port,
    tree::Span,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::{
    grpc_programs::{GRPC_JS, INTEROP, INTEROP_CLIENT, PYTHON, call, compare, of_case},
    http::is_kind,
    http_programs::{difference, joined},
    stage::{MAY_FAIL, Stage, words},
};

type Calls = [(usize, &'static str)];

/// gRPC's own test cases, each by a process of its own.
const CASES: [&str; 12] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "cancel_after_first_response",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
];

const OF_CASES: &Calls = &[
    (1, "grpc.testing.TestService/EmptyCall OK: 1/1"),
    // large_unary and custom_metadata.
    (2, "grpc.testing.TestService/UnaryCall OK: 1/1"),
    (1, "grpc.testing.TestService/StreamingInputCall OK: 4/1"),
    (1, "grpc.testing.TestService/StreamingOutputCall OK: 1/4"),
    (1, "grpc.testing.TestService/FullDuplexCall OK: 4/4"),
    (1, "grpc.testing.TestService/FullDuplexCall OK: 0/0"),
    (1, "grpc.testing.TestService/FullDuplexCall OK: 1/1"),
    // Two of status_code_and_message, and special_status_message.
    (2, "grpc.testing.TestService/UnaryCall UNKNOWN: 1/0"),
    (1, "grpc.testing.TestService/FullDuplexCall UNKNOWN: 1/0"),
    // The client cancels this one and waits for no status.
    (1, "grpc.testing.TestService/FullDuplexCall CANCELLED: 1/1"),
    // Refused at its headers: the message may have been said by then, or not.
    (1, "grpc.testing.TestService/UnimplementedCall UNIMPLEMENTED"),
    (1, "grpc.testing.UnimplementedService/UnimplementedCall UNIMPLEMENTED"),
];

const OF_SCRIPTS: &Calls = &[
    (70, "grpc.testing.TestService/EmptyCall OK: 1/1"),
    (1, "grpc.testing.TestService/StreamingOutputCall OK: 1/7"),
    (1, "grpc.testing.TestService/StreamingOutputCall OK: 1/3000"),
    (1, "grpc.testing.TestService/StreamingInputCall OK: 5/1"),
    (1, "grpc.testing.TestService/StreamingInputCall OK: 1000/1"),
    (6, "grpc.testing.TestService/UnaryCall OK: 1/1"),
    (1, "grpc.testing.TestService/FullDuplexCall OK: 3/3"),
    (1, "grpc.testing.TestService/UnaryCall NOT_FOUND: 1/0"),
    (1, "grpc.testing.TestService/UnimplementedCall UNIMPLEMENTED"),
];

const OF_GRPCURL: &Calls = &[
    (1, "grpc.testing.TestService/EmptyCall OK: 1/1"),
    (1, "grpc.testing.TestService/UnaryCall NOT_FOUND: 1/0"),
    (1, "grpc.testing.TestService/FullDuplexCall OK: 2/3"),
];

const OF_GHZ: &Calls = &[(500, "grpc.testing.TestService/UnaryCall OK: 1/1")];

/// By the program that makes them.
const CLIENTS: [(&str, &Calls); 5] = [
    (INTEROP_CLIENT, OF_CASES),
    (PYTHON, OF_SCRIPTS),
    ("node", OF_SCRIPTS),
    ("grpcurl", OF_GRPCURL),
    ("ghz", OF_GHZ),
];

pub(crate) fn trials(lack: Option<&str>) -> Vec<Trial> {
    let tests: [(&str, &[&str], Body); 3] = [
        ("grpc_go", &[INTEROP], || pairs(&[INTEROP])),
        ("grpcio", &[], || pairs(&[PYTHON, "grpc_interop.py"])),
        ("grpc_js", &[], || pairs(&["node", "grpc_interop.js"])),
    ];
    let each = tests.into_iter();
    each.map(|(server, programs, body)| {
        let name = format!("every_client_with_{server}");
        let programs = [programs, &[GRPC_JS], &CLIENTS.map(|(program, _)| program)].concat();
        match lack {
            None => trial(&name, &programs, body),
            Some(lack) => need::lacking(&name, lack),
        }
    })
    .collect()
}

/// The scripts, and what grpcurl and ghz read.
fn folder() -> anyhow::Result<TempDir> {
    let folder = TempDir::new()?;
    for (name, text) in [
        ("grpc_programs.py", include_str!("grpc_programs.py")),
        ("grpc_programs.js", include_str!("grpc_programs.js")),
        ("grpc_interop.py", include_str!("grpc_interop.py")),
        ("grpc_interop.js", include_str!("grpc_interop.js")),
        ("test_service.proto", include_str!("test_service.proto")),
    ] {
        fs::write(folder.path().join(name), text)?;
    }
    Ok(folder)
}

fn clients(folder: &TempDir, port: u16) -> anyhow::Result<Vec<Vec<String>>> {
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (address, port_word, proto) =
        (format!("127.0.0.1:{port}"), port.to_string(), file("test_service.proto"));
    let service = "grpc.testing.TestService";
    let grpcurl = |method: &str, message: &str| -> anyhow::Result<_> {
        let (program, method) = (need::program("grpcurl")?, format!("{service}/{method}"));
        let proto = ["-plaintext", "-import-path", "/", "-proto", &proto];
        let asked = ["-d", message, &address, &method];
        Ok(words(&[&[MAY_FAIL, &program], &proto[..], &asked].concat()))
    };
    let ghz = [&*need::program("ghz")?, "--insecure", "--proto", &proto, "-n", "500", "-c", "20"];
    let unary = format!("{service}/UnaryCall");
    let asked = ["--connections", "3", "--call", &unary, "-d", "{\"response_size\": 1000}"];
    let interop = need::program(INTEROP_CLIENT)?;
    let mut clients: Vec<_> = CASES.iter().map(|case| of_case(&interop, port, case)).collect();
    clients.extend([
        words(&[&need::program(PYTHON)?, &file("grpc_programs.py"), "client", &port_word]),
        words(&[&need::program("node")?, &file("grpc_programs.js"), &port_word]),
        grpcurl("EmptyCall", "{}")?,
        grpcurl("UnaryCall", "{\"response_status\": {\"code\": 5}}")?,
        grpcurl(
            "FullDuplexCall",
            "{\"response_parameters\": [{\"size\": 9}, {\"size\": 9}]} \
             {\"response_parameters\": [{\"size\": 9}]}",
        )?,
        words(&[&ghz[..], &asked, &[&address]].concat()),
    ]);
    Ok(clients)
}

fn pairs(server: &[&str]) -> anyhow::Result<()> {
    let (folder, port) = (folder()?, port::free()?);
    let (log, ring) = (folder.path().join("log"), folder.path().join("ring"));
    let server = match server {
        [program, script] => {
            let script = folder.path().join(script);
            let (script, log) = (script.to_string_lossy(), log.to_string_lossy());
            words(&[&need::program(program)?, &script, &port.to_string(), &log])
        }
        _ => words(&[&need::program(INTEROP)?, &format!("--port={port}")]),
    };
    let package = need::find(GRPC_JS).context("finding grpc-js")?;
    let modules = package.ancestors().nth(3).unwrap_or(&package).to_string_lossy().into_owned();
    let stage = Stage { port, server, variables: &[("NODE_PATH", modules)] };
    let options = ["--requests-per-second", "0", "--record", &ring.to_string_lossy()];
    let run = stage.play_with(&options, &clients(&folder, port)?)?;
    run.is_whole()?;
    let all = CLIENTS.map(|(_, calls)| calls).concat();
    let made = |kind| run.spans.iter().filter(move |span| is_kind(span, kind));
    compare(&made("server").collect::<Vec<_>>(), &all).context("server")?;
    let by_id: HashMap<&str, &Span> =
        run.spans.iter().map(|span| (span.text("spanId"), span)).collect();
    let by = |span: &Span| -> Option<String> {
        let parent = by_id.get(span.text("parentSpanId"))?;
        let program = parent.strings("process.command_args").into_iter().next()?;
        Some(program.rsplit('/').next()?.to_owned())
    };
    for (program, calls) in CLIENTS {
        let made = made("client").filter(|span| by(span).as_deref() == Some(program));
        compare(&made.collect::<Vec<_>>(), calls).context(program)?;
    }
    compare(&made("client").collect::<Vec<_>>(), &all).context("client")?;
    joined(&run, call)?;
    if log.exists() {
        logged(&fs::read_to_string(log)?, &all)?
    }
    let (recording, canary) = (fs::read(&ring)?, b"CANARY-OF-A-BODY");
    ensure!(!recording.windows(canary.len()).any(|bytes| bytes == canary), "a body was recorded");
    Ok(())
}

/// It has what came to a method, and to its end there: that of grpc-go's server has nothing. To grpc-js
/// a call that was cancelled ends like one that was answered, so that these two are not compared.
fn logged(log: &str, calls: &Calls) -> anyhow::Result<()> {
    let cancelled = "grpc.testing.TestService/FullDuplexCall OK: 1/1";
    let is_certain = |call: &str| {
        let is_ended = !call.contains(" CANCELLED") && !call.contains(" UNIMPLEMENTED");
        is_ended && call != cancelled
    };
    let mut found: Vec<String> =
        log.lines().filter(|call| is_certain(call)).map(str::to_owned).collect();
    let ended = calls.iter().filter(|(_, call)| is_certain(call));
    let mut expected: Vec<String> =
        ended.flat_map(|(count, call)| vec![(*call).to_owned(); *count]).collect();
    found.sort();
    expected.sort();
    ensure!(found == expected, "the server logged {}", difference(&found, &expected));
    Ok(())
}
