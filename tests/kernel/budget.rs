//! Requests beyond `--requests-per-second`, and those of which records are lost: each is counted, and no span
//! stands below one that is not there.

use std::collections::HashSet;

use agent_tests::{
    lynceus::{Run, run_with},
    need::{self, Body, lacking, trial},
    port,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;

use crate::{
    completeness,
    http::is_kind,
    nginx::{Files, Nginx},
    peer,
    stage::{Stage, words},
};

const EVENT: &str = "lynceus.requests.over_budget";
const KINDS: [&str; 2] = ["client", "server"];

pub(crate) fn trials(lack: Option<&str>) -> Vec<Trial> {
    let tests: [(&str, &[&str], Body); 5] = [
        ("requests_beyond_the_budget_are_counted", &[], between_threads),
        ("requests_beyond_the_budget_of_nginx", &["nginx", "h2load"], nginx),
        ("requests_beyond_the_budget_over_http2", &["nghttpd", "h2load"], over_http2),
        ("requests_in_a_small_ring_stand_below_what_is_told", &[], in_a_small_ring),
        ("requests_over_http2_in_a_small_ring", &["nghttpd", "h2load"], http2_in_a_small_ring),
    ];
    let each = tests.into_iter();
    each.map(|(name, programs, body)| match lack {
        None => trial(name, programs, body),
        Some(lack) => lacking(name, lack),
    })
    .collect()
}

/// Spans of the kind, and requests that have none.
fn counted(run: &Run, kind: &str) -> anyhow::Result<(u64, u64)> {
    let spans = run.spans.iter().filter(|span| is_kind(span, kind)).count() as u64;
    let mut beyond = 0;
    let events = run.spans.iter().flat_map(|span| span.events());
    for event in events.filter(|event| event.name() == EVENT) {
        let of = |what: &str| {
            let count = event.int(&format!("lynceus.requests.{kind}.{what}")).unwrap_or_default();
            u64::try_from(count).context("a count is negative")
        };
        // All were answered, and well.
        ensure!(of("requests")? == of("2xx")?, "{event:?}");
        beyond += of("requests")?;
    }
    Ok((spans, beyond))
}

/// Of each kind there are so many, a second or more of it within the budget.
fn check(run: &Run, requests: u64, budget: u64) -> anyhow::Result<()> {
    for kind in KINDS {
        let (spans, beyond) = counted(run, kind)?;
        ensure!(spans + beyond == requests, "{kind}: {spans} + {beyond} of {requests}");
        ensure!(beyond > 0 && spans >= budget.min(requests) / 2, "{kind}: {spans} + {beyond}");
    }
    every_parent_arrives(run)?;
    ensure!(
        run.stderr.contains(" requests beyond --requests-per-second without a span"),
        "{}",
        run.stderr
    );
    Ok(())
}

fn every_parent_arrives(run: &Run) -> anyhow::Result<()> {
    let ids: HashSet<&str> = run.spans.iter().map(|span| span.text("spanId")).collect();
    let parents = run.spans.iter().map(|span| span.text("parentSpanId"));
    let dangling = parents.filter(|parent| !parent.is_empty() && !ids.contains(parent)).count();
    let all = run.spans.len();
    ensure!(dangling == 0, "{dangling} parents of {all} never arrive: {}", run.stderr);
    Ok(())
}

fn in_a_small_ring() -> anyhow::Result<()> {
    let each = (completeness::scale() / 10).to_string();
    let options = ["--capture", "auto", "--ring-bytes", "4096", "--requests-per-second", "0"];
    let run = run_with(&options, &peer::command("talk", &["4", &each]), |_| {})?;
    run.balances()?;
    ensure!(run.account()?.lost > 0, "nothing was lost: {}", run.stderr);
    every_parent_arrives(&run)
}

fn between_threads() -> anyhow::Result<()> {
    let (connections, requests) = (4, completeness::scale() / 10);
    let command = peer::command("talk", &[&connections.to_string(), &requests.to_string()]);
    let options = ["--capture", "auto", "--requests-per-second", "20"];
    let run = run_with(&options, &command, |_| {})?;
    run.is_whole()?;
    let requests = u64::from(connections * requests);
    is_cheap(&run, requests)?;
    check(&run, requests, 10)
}

/// What is beyond the budget costs a count and no record: of one that is told each end has two or more.
fn is_cheap(run: &Run, requests: u64) -> anyhow::Result<()> {
    let received = run.account()?.received;
    ensure!(received < requests, "{received} records of {requests} requests: {}", run.stderr);
    Ok(())
}

/// Workers of nginx are forks, so each has a budget; what they leave out is told of their master.
fn nginx() -> anyhow::Result<()> {
    let nginx = Nginx::with(Files::Sent, "", 2)?;
    let load =
        words(&[&need::program("h2load")?, "--h1", "-n", "3000", "-c", "8", &nginx.url("/small")]);
    let stage = Stage { port: nginx.port, server: nginx.command.clone(), variables: &[] };
    let run = stage.play_with(&["--requests-per-second", "100"], &[load])?;
    run.is_whole()?;
    let requests = nginx.log()?.len() as u64;
    ensure!(requests == 3000, "{requests}");
    is_cheap(&run, requests)?;
    check(&run, requests, 100)
}

fn http2_in_a_small_ring() -> anyhow::Result<()> {
    let run = loaded("20000", "4", &["--ring-bytes", "65536", "--requests-per-second", "0"])?;
    run.balances()?;
    ensure!(run.account()?.lost > 0, "nothing was lost: {}", run.stderr);
    every_parent_arrives(&run)
}

/// A server of HTTP/2 that is asked so often, on so many connections.
fn loaded(requests: &str, connections: &str, options: &[&str]) -> anyhow::Result<Run> {
    let port = port::free()?;
    let server = words(&[&need::program("nghttpd")?, "--no-tls", "-d", "/etc", &port.to_string()]);
    let url = format!("http://127.0.0.1:{port}/hostname");
    let h2load = need::program("h2load")?;
    let load = words(&[&h2load, "-n", requests, "-c", connections, "-m", "10", &url]);
    Stage { port, server, variables: &[] }.play_with(options, &[load])
}

/// The kernel side passes all of it on; what is beyond is left out later.
fn over_http2() -> anyhow::Result<()> {
    let run = loaded("500", "2", &["--requests-per-second", "50"])?;
    ensure!(run.stderr.contains("over_budget"), "{}", run.stderr);
    run.balances()?;
    check(&run, 500, 50)
}
