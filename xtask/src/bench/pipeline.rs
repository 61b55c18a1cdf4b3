//! Records a second through the pure line, on one core, from a recording made just before.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{Bench, repository};
use crate::executable::{self, Linking};
use crate::{command, say};

pub(super) fn measure(bench: &Bench) -> Result<()> {
    let recording = bench.folder.path().join("recording.bin");
    let path = recording.to_string_lossy();
    let options = ["--ring-bytes", "16777216", "--record", &*path];
    let mut record = bench.lynceus_with(&options)?;
    record.args(bench.one_by_one(5000));
    let status = record.status().context("recording")?;
    ensure!(status.success(), "recording failed ({status})");
    let mut cargo = executable::cargo("bench", Linking::Usual)?;
    cargo.args(["--package", "lynceus", "--no-default-features", "--bench", "pipeline", "--"]);
    cargo.arg(&recording).current_dir(repository());
    let printed = command::captured(&mut cargo, "bench-pipeline", Duration::from_secs(900))?;
    say::result("the pipeline on a recording of that run, one core:");
    for line in printed.lines() {
        say::result(&format!("  {line}"));
    }
    Ok(())
}
