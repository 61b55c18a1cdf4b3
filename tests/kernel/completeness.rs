//! Nothing slips through: the equation, at numbers where it would show.

use agent_tests::{
    lynceus::{is_emulated, run_with},
    need::trial,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::peer;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("ten_thousand_one_by_one_are_all_there", &[], || many("one-by-one")),
        trial("ten_thousand_at_once_are_all_there", &[], || many("all-at-once")),
        trial("a_fork_bomb_in_a_small_ring_balances", &[], fork_bomb),
        trial("more_processes_than_fit_are_counted", &[], more_than_fit),
    ]
}

/// A virtual machine in software emulation runs a tenth of them.
pub(crate) fn scale() -> u32 {
    if is_emulated() { 1_000 } else { 10_000 }
}

fn many(mode: &str) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let nothing = peer::nothing(folder.path(), 0)?;
    let count = scale();
    let command = peer::command(mode, &[&count.to_string(), &nothing.to_string_lossy()]);
    let run = run_with(&[], &command, |_| {})?;
    run.is_whole()?;
    let root = run.span(&peer::name())?.text("spanId").to_owned();
    let below = run.spans.iter().filter(|span| span.name() == "nothing");
    let below = below.filter(|span| span.text("parentSpanId") == root).count();
    let missed = usize::try_from(run.missed())?;
    let all = count as usize;
    ensure!(below <= all && below + missed >= all, "{below} of {all}: {}", run.stderr);
    // Two records each, and two for the peer.
    let wanted = 2 * u64::from(count) + 2;
    let received = run.account()?.received;
    ensure!((wanted..=wanted + run.missed()).contains(&received), "{}", run.stderr);
    Ok(())
}

fn fork_bomb() -> anyhow::Result<()> {
    let count = 5 * scale();
    let command = peer::command("forks", &[&count.to_string()]);
    let run = run_with(&["--ring-bytes", "4096"], &command, |_| {})?;
    run.balances()?;
    let account = run.account()?;
    // An exit each, exec and exit of the peer: whatever was lost was counted. What was `missed` is
    // counted at most, so that much more may have been received.
    let missed = run.missed();
    let wanted = u64::from(count) + 2;
    ensure!((wanted..=wanted + missed).contains(&account.received), "{account:?}");
    let said = run.stderr.contains("ring_full") || account.lost == missed;
    ensure!(said, "{}", run.stderr);
    // What is held of so many processes does not grow with their number.
    let peak = run.peak_mib()?;
    ensure!(peak < 64.0, "lynceus took {peak} MiB");
    Ok(())
}

fn more_than_fit() -> anyhow::Result<()> {
    let command = [
        "sh",
        "-c",
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do sleep 2 & done; wait",
    ];
    let run = run_with(&["--max-processes", "16"], &command, |_| {})?;
    run.balances()?;
    let lost = run.account()?.lost;
    let said = run.stderr.lines().last().context("nothing said")?;
    ensure!(lost > 0 && said.contains("tasks_full"), "{said}");
    Ok(())
}
