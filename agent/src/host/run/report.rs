//! What `run` prints at its end: the picture, and one line that accounts for every record.

use std::io::IsTerminal as _;

use super::collect::Collected;
use crate::{
    host::{
        cli::{RunOptions, When},
        config,
        deliver::{Account, Delivered},
        memory::OwnCost,
        say,
    },
    loss::Loss,
    waterfall::{Colour, Fold, Look, Waterfall, plural},
};

/// Processes of the picture before finished siblings are folded to bound memory.
const NODES: usize = 10_000;
const NODES_FULL: usize = 1_000_000;
/// Columns where stderr is no terminal.
const WIDTH: usize = 120;

pub(super) fn waterfall(options: &RunOptions) -> Waterfall {
    Waterfall::new(if options.full { NODES_FULL } else { NODES })
}

pub(super) fn print(options: &RunOptions, collected: &Collected, delivered: Delivered) {
    if let Some(error) = &delivered.file_error {
        say::line(format_args!("the file is not complete: {}", say::chain(error)));
    }
    if !collected.ledger.balances(collected.held) || !kernel_balances(collected) {
        say::line(format_args!("the accounts do not balance, which is a bug: {collected:?}"));
    }
    if options.quiet {
        return;
    }
    if let Some(waterfall) = &delivered.waterfall {
        say::text(&waterfall.render(&look(options)));
    }
    say::line(account(collected, &delivered));
}

/// What was wanted was emitted or lost, and what was emitted was received.
fn kernel_balances(collected: &Collected) -> bool {
    let counts = &collected.counts;
    let lost = counts.ring_full + counts.tasks_full + counts.connections_full;
    counts.seen == counts.emitted + lost
        && collected.ledger.received == counts.emitted + lost + collected.ledger.lost(Loss::Missed)
}

fn look(options: &RunOptions) -> Look {
    let stderr = std::io::stderr();
    let plain = config::process_environment("NO_COLOR").is_some_and(|value| !value.is_empty())
        || config::process_environment("TERM").is_some_and(|term| term == "dumb");
    let colour = match options.color {
        When::Always => Colour::Ansi,
        When::Auto if stderr.is_terminal() && !plain => Colour::Ansi,
        When::Auto | When::Never => Colour::Plain,
    };
    let width = terminal_size::terminal_size_of(&stderr)
        .map_or(WIDTH, |(terminal_size::Width(columns), _)| usize::from(columns));
    Look { width, colour, fold: if options.full { Fold::Full } else { Fold::Folded } }
}

fn account(collected: &Collected, delivered: &Delivered) -> String {
    let ledger = &collected.ledger;
    let mut line = format!(
        "{} records received = {} exported + {} held + {} lost",
        ledger.received,
        ledger.exported,
        collected.held,
        ledger.lost_in_all()
    );
    let reasons: Vec<String> =
        ledger.losses().map(|(loss, count)| format!("{} {count}", loss.name())).collect();
    if !reasons.is_empty() {
        line.push_str(&format!(" ({})", reasons.join(", ")));
    }
    line.push_str(&format!("; {}", plural(delivered.spans, "span", "spans")));
    let mut add = |what: &str, verb: &str, account: Option<Account>| {
        let Some(account) = account else { return };
        line.push_str(&format!(", {what} {} {verb}", account.arrived));
        if account.lost > 0 {
            line.push_str(&format!(" and {} lost", account.lost));
        }
    };
    add("--out", "written", delivered.file);
    add("OTLP", "sent", delivered.otlp);
    if ledger.malformed_contexts > 0 {
        line.push_str(&format!("; {} malformed trace contexts ignored", ledger.malformed_contexts));
    }
    if ledger.requests_beyond > 0 {
        line.push_str(&format!(
            "; {} beyond --requests-per-second without a span",
            plural(ledger.requests_beyond, "request", "requests")
        ));
    }
    let frames = ledger.http2.losses().into_iter().filter(|(_, count)| *count > 0);
    let frames: Vec<String> = frames.map(|(name, count)| format!("{name} {count}")).collect();
    if !frames.is_empty() {
        line.push_str(&format!("; of HTTP/2 not understood: {}", frames.join(", ")));
    }
    let unfollowed = ledger.unfollowed.reasons().into_iter().filter(|(_, count)| *count > 0);
    let unfollowed: Vec<String> =
        unfollowed.map(|(name, count)| format!("{name} {count}")).collect();
    if !unfollowed.is_empty() {
        line.push_str(&format!("; not followed to the end: {}", unfollowed.join(", ")));
    }
    if collected.counts.not_http > 0 {
        let connections = plural(collected.counts.not_http, "connection", "connections");
        line.push_str(&format!("; {connections} of TLS or no HTTP not looked into"));
    }
    for (count, what) in [
        (collected.counts.cut_unreadable, "unreadable arguments"),
        (collected.counts.heads_unreadable, "unreadable heads of messages"),
    ] {
        if count > 0 {
            line.push_str(&format!("; {count} {what}"));
        }
    }
    if let Some(cost) = OwnCost::until_now() {
        line.push_str(&format!(
            "; tracing itself took {} ms of CPU and {}.{} MiB",
            cost.cpu.as_millis(),
            cost.peak_bytes >> 20,
            ((cost.peak_bytes & 0xf_ffff) * 10) >> 20
        ));
    }
    line
}
