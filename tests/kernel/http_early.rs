//! Exchanges that are over before their request is.

use agent_tests::lynceus::{Run, run_with};
use anyhow::ensure;

use crate::http_programs::check_joined;

const EARLY: &str = include_str!("http_early.py");

fn python(script: &str, arguments: &[&str]) -> anyhow::Result<Run> {
    let run = run_with(&[], &[&["python3", "-c", script][..], arguments].concat(), |_| {})?;
    run.is_whole()?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    Ok(run)
}

/// The size of a request is known although it was answered before; that of one that was turned away
/// without its body is not said.
pub(crate) fn answers() -> anyhow::Result<()> {
    let expected = [
        "POST /sent 200 1000/2",
        "POST /sendfile 200 1000/2",
        "GET /next 200 0/2",
        "POST /refused 417 -/0",
    ];
    check_joined(&python(EARLY, &[])?, &expected.map(str::to_owned))
}
