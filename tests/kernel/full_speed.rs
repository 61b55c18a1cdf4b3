//! A server under as much load as there can be: what its log has is told, or counted as lost.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Command,
};

use agent_tests::{
    lynceus::{Account, binary},
    need::{self, Body},
};
use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    nginx::{Files, Nginx},
    stage::{AS_ROOT, Server},
};

pub(crate) const TESTS: [(&str, &[&str], Body); 3] = [
    ("full_speed_of_wrk_is_accounted_for", &["nginx", "wrk"], || wrk(Files::Sent)),
    ("full_speed_of_wrk_without_sendfile", &["nginx", "wrk"], || wrk(Files::Copied)),
    ("full_speed_of_h2load_is_accounted_for", &["nginx", "h2load"], h2load),
];

const CONNECTIONS: &str = "64";

/// How long, unless somebody asks for another.
const SECONDS: &str = "10";

#[expect(clippy::disallowed_methods, reason = "tests read the environment where they need it")]
fn seconds() -> String {
    env::var("LYNCEUS_SECONDS").unwrap_or_else(|_| SECONDS.to_owned())
}

fn wrk(files: Files) -> anyhow::Result<()> {
    let nginx = Nginx::with(files, "", 2)?;
    let mut wrk = Command::new(need::program("wrk")?);
    wrk.args(["-t", "2", "-c", CONNECTIONS, "-d", &format!("{}s", seconds())]);
    wrk.arg(nginx.url("/small"));
    check(&nginx, wrk)
}

fn h2load() -> anyhow::Result<()> {
    let nginx = Nginx::with(Files::Copied, "http2", 2)?;
    let mut h2load = Command::new(need::program("h2load")?);
    h2load.args(["-t", "2", "-c", CONNECTIONS, "-m", "10", "-D", &seconds()]);
    h2load.arg(nginx.url("/small"));
    check(&nginx, h2load)
}

/// Traces nginx alone; the load comes from outside.
fn check(nginx: &Nginx, mut load: Command) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (out, said) = (folder.path().join("out.jsonl"), folder.path().join("stderr"));
    let mut lynceus = Command::new(binary());
    lynceus
        .args(["run", "--strict", "--requests-per-second", "0"])
        .args(AS_ROOT)
        .arg("--out")
        .arg(&out)
        .arg("--");
    lynceus.args(&nginx.command);
    lynceus.stderr(fs::File::create(&said)?);
    // nginx ends when what is open was answered and logged. lynceus passes the signal on.
    let mut traced = Server::start(lynceus, Signal::SIGQUIT)?;
    traced.until_it_listens(nginx.port)?;
    let output = load.output()?;
    ensure!(output.status.success(), "{output:?}");
    drop(traced);
    let stderr = fs::read_to_string(&said)?;
    let account = Account::read(&stderr)?;
    account.balances()?;
    let (requests, served) = (nginx.log()?.len() as u64, count_served(&out)?);
    ensure!(served <= requests, "{served} spans of {requests} requests");
    // A request is two records at most, of which one that is lost leaves the other unpaired: each
    // request without a span has at least one loss.
    ensure!(served + account.lost >= requests, "{served} of {requests}: {stderr}");
    ensure!(account.lost > 0 || served == requests, "{served} of {requests}: {stderr}");
    ensure!(account.lost * 1000 <= account.received, "lost too many: {stderr}");
    Ok(())
}

/// Spans of kind server. The file is too large to be taken apart.
fn count_served(file: &Path) -> anyhow::Result<u64> {
    let mut count = 0;
    for line in BufReader::new(fs::File::open(file).context("opening the spans")?).lines() {
        count += line?.matches("\"kind\":2,").count() as u64;
    }
    Ok(count)
}
