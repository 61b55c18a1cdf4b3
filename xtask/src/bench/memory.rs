//! How much memory `lynceus run` takes, and that it does not grow with what it saw.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::Bench;
use crate::say;

pub(super) fn measure(bench: &Bench, processes: usize) -> Result<()> {
    say::result("lynceus run itself, by its own last line:");
    for count in [100, processes / 10, processes] {
        say::result(&format!("  {count:8} processes  {}", cost(bench, count)?));
    }
    Ok(())
}

fn cost(bench: &Bench, count: usize) -> Result<String> {
    let mut command = bench.command(&[&bench.lynceus])?;
    command.args(["run", "--strict", "--user", "0", "--"]).args(bench.one_by_one(count));
    let output = command.stdin(Stdio::null()).output().context("starting lynceus")?;
    ensure!(output.status.success(), "lynceus failed ({})", output.status);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, cost) = said.trim_end().rsplit_once("took ").context("lynceus told no cost")?;
    Ok(cost.to_owned())
}
