//! However what is said on a connection is cut into calls, its spans are the same, the account holds
//! and no body is in a record.
//!
//! Nothing is drawn by chance: every run takes the same connections. The fuzz target `calls` goes
//! further.

mod found;
mod host;
mod http1;
mod http2;
mod missing;
mod script;

use abi::socket::{HEAD_MAX, Role};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};

use self::{
    host::{End, Host},
    script::{Cuts, Part, Script},
};
use crate::{
    protocol::Direction,
    span::{Span, SpanKind, Value, key},
};

/// Calls `property` with so many of what `strategy` gives.
fn check<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value)) {
    let config = Config { cases, rng_seed: RngSeed::Fixed(7541), ..Config::default() };
    let config = Config { failure_persistence: None, ..config };
    let tested = TestRunner::new(config).run(&strategy, |value| {
        property(value);
        Ok(())
    });
    tested.unwrap_or_else(|failure| panic!("{failure}"));
}

/// What both ends of a connection tell, on one machine.
fn spans(script: &Script, at_client: Cuts, at_server: Cuts) -> Vec<Span> {
    let mut host = Host::new(&[10, 11]);
    let mut client = End::new(10, 2, Role::CLIENT, at_client);
    let mut server = End::new(11, 3, Role::SERVER, at_server);
    for round in &script.rounds {
        let both = if round.request.is_empty() {
            [&mut server, &mut client]
        } else {
            [&mut client, &mut server]
        };
        both.into_iter().for_each(|end| host.moves(end, round));
    }
    host.closes(&mut client);
    host.closes(&mut server);
    // Of a longer head what is beyond does not come.
    let is_long =
        |part: &Part| matches!(part, Part::Shown(bytes) if bytes.len() > HEAD_MAX as usize);
    let mut parts = script.rounds.iter().flat_map(|round| [&round.request, &round.response]);
    if !parts.any(|parts| parts.iter().any(is_long)) {
        for direction in [Direction::Request, Direction::Response] {
            for end in [&client, &server] {
                assert_eq!(end.shown.of(direction), &script.shown(direction), "{direction:?}");
            }
        }
    }
    host.finish()
}

/// A span of a request in short: `method status request-body/response-body error`, or of gRPC
/// `method status error`.
fn line(span: &Span) -> String {
    let text = |key: &str| match span.attribute(key) {
        Some(Value::Str(text)) => text.clone(),
        Some(Value::Int(number)) => number.to_string(),
        _ => "-".to_owned(),
    };
    let error = text(key::ERROR_TYPE);
    let line = if span.attribute(key::RPC_SYSTEM_NAME).is_some() {
        format!("{} {}", text(key::RPC_METHOD), text(key::RPC_RESPONSE_STATUS_CODE))
    } else {
        let sizes = [key::HTTP_REQUEST_BODY_SIZE, key::HTTP_RESPONSE_BODY_SIZE].map(text);
        let status = text(key::HTTP_RESPONSE_STATUS_CODE);
        format!("{} {status} {}", text(key::HTTP_REQUEST_METHOD), sizes.join("/"))
    };
    let is_status = line.contains(&format!(" {error}"));
    if is_status || error == "-" { line } else { format!("{line} {error}") }
}

fn lines(spans: &[Span], kind: SpanKind) -> Vec<String> {
    let mut lines: Vec<_> = spans.iter().filter(|span| span.kind == kind).map(line).collect();
    lines.sort();
    lines
}

/// Whatever the calls of each end are, they tell what they tell of whole ones: what was said.
fn same_spans((script, at_client, at_server): (Script, Cuts, Cuts)) {
    let whole = spans(&script, Cuts::none(), Cuts::none());
    let mut expected = script.expected.clone();
    expected.sort();
    for kind in [SpanKind::Client, SpanKind::Server] {
        assert_eq!(lines(&whole, kind), expected, "{kind:?}");
    }
    assert_eq!(spans(&script, at_client, at_server), whole);
}

/// What a process tells that serves one request, and for it makes others before it answers.
fn relayed(served: &Script, asked: &Script, at_server: Cuts, at_client: Cuts) -> Vec<Span> {
    let mut host = Host::new(&[10]);
    let mut server = End::new(10, 2, Role::SERVER, at_server);
    let mut client = End::new(10, 4, Role::CLIENT, at_client);
    let [request, answer] = &served.rounds[..] else { panic!("{served:?}") };
    host.moves(&mut server, request);
    asked.rounds.iter().for_each(|round| host.moves(&mut client, round));
    host.closes(&mut client);
    host.moves(&mut server, answer);
    host.closes(&mut server);
    host.finish()
}

#[test]
fn any_calls_give_the_same_parents() {
    let cuts = || (Cuts::any(), Cuts::any());
    check(80, (http1::alone(), http1::one_by_one(), cuts()), |(served, asked, cuts)| {
        let whole = relayed(&served, &asked, Cuts::none(), Cuts::none());
        let parent = whole.iter().find(|span| span.kind == SpanKind::Server).unwrap().span_id;
        let clients: Vec<_> = whole.iter().filter(|span| span.kind == SpanKind::Client).collect();
        assert_eq!(clients.len(), asked.expected.len());
        // What names a span in its head stands below that.
        let is_child = |span: &&Span| span.parent_is_remote || span.parent == Some(parent);
        assert!(clients.iter().all(is_child), "{clients:?}");
        assert_eq!(relayed(&served, &asked, cuts.0, cuts.1), whole);
    });
}

#[test]
fn any_calls_of_http1_give_the_same_spans() {
    check(100, (http1::scripts(), Cuts::any(), Cuts::any()), same_spans);
}

#[test]
fn any_calls_of_http2_give_the_same_spans() {
    check(100, (http2::scripts(), Cuts::any(), Cuts::any()), same_spans);
}

#[test]
fn calls_of_one_byte_give_the_same_spans() {
    let each = |script| same_spans((script, Cuts::every(1), Cuts::every(1)));
    check(10, http1::scripts(), each);
    check(10, http2::scripts(), each);
}
