//! Connections of HTTP/2 that were opened and used before tracing began: what is told of them is
//! certain, and says that it is not all.

use std::{fs, process::Command};

use agent_tests::{
    lynceus::{Account, binary},
    need,
    tree::{self, Span},
};
use anyhow::ensure;
use tempfile::TempDir;

use crate::http::{exchange, is_kind};

const SCRIPT: &str = include_str!("http2_met.py");
const LATE: &str = "lynceus.http.joined_late";

/// The script hands this end of its connection to a traced process: its spans of this kind, and the
/// rest.
fn handed_over(end: &str, kind: &str) -> anyhow::Result<(Vec<Span>, String)> {
    let folder = TempDir::new()?;
    let [script, out, ring] =
        ["http2_met.py", "out.jsonl", "ring"].map(|it| folder.path().join(it));
    fs::write(&script, SCRIPT)?;
    let mut parent = Command::new(need::program("python-with-packages")?);
    parent.arg(&script).arg(end).arg(binary()).args(["run", "--strict", "--out"]).arg(&out);
    let output = parent.arg("--record").arg(&ring).arg("--").output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{stderr}");
    let account = Account::read(&stderr)?;
    account.balances()?;
    ensure!(account.lost == 0, "{stderr}");
    let (recording, canary) = (fs::read(&ring)?, b"CANARY-OF-A-BODY");
    ensure!(!recording.windows(canary.len()).any(|bytes| bytes == canary), "a body was recorded");
    let (mut told, rest): (Vec<Span>, Vec<Span>) =
        tree::parse(&fs::read_to_string(&out)?)?.into_iter().partition(|span| is_kind(span, kind));
    told.sort_by_key(|span| span.number("startTimeUnixNano"));
    ensure!(rest.len() == 1, "more than the process: {rest:?}");
    Ok((told, stderr))
}

/// The path of the first request is one that was said before, and so not known.
fn check(end: &str) -> anyhow::Result<()> {
    let (told, stderr) = handed_over(end, end)?;
    let found: Vec<String> = told.iter().map(exchange).collect();
    ensure!(found == ["GET  200 0/16", "GET /after 200 0/16"], "{found:?} {stderr}");
    for span in &told {
        ensure!(span.is_true(LATE), "{span:?}");
        ensure!(!format!("{span:?}").contains("met.example"), "{span:?}");
    }
    ensure!(stderr.contains("of HTTP/2 not understood: fields_unknown "), "{stderr}");
    Ok(())
}

pub(crate) fn client() -> anyhow::Result<()> {
    check("client")
}

pub(crate) fn server() -> anyhow::Result<()> {
    check("server")
}

/// What follows the first request is the middle of a frame: nothing is told of that.
pub(crate) fn torn() -> anyhow::Result<()> {
    let (told, stderr) = handed_over("torn", "client")?;
    let [span] = &told[..] else { anyhow::bail!("{told:?} {stderr}") };
    ensure!(exchange(span) == "GET  - 0/-", "{span:?}");
    ensure!(span.is_true("lynceus.http.response_unseen"), "{span:?}");
    ensure!(span.string("error.type").is_none(), "{span:?}");
    Ok(())
}
