//! Runs the real binary and reads what it wrote.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::tree::{self, Span};

/// Where the binary is: `LYNCEUS_BIN`, as `cargo xtask test` and `cargo xtask vm` set it.
pub fn binary() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/lynceus");
    env::var_os("LYNCEUS_BIN").map_or_else(built, PathBuf::from)
}

/// Whether this is a virtual machine in software emulation, where everything takes ten times as long.
pub fn is_emulated() -> bool {
    env::var_os("LYNCEUS_VM").is_some()
}

/// What a run left.
pub struct Run {
    pub output: Output,
    pub stderr: String,
    /// What `--out` wrote.
    pub file: String,
    pub spans: Vec<Span>,
}

/// The last line of a run: received = exported + held + lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub received: u64,
    pub exported: u64,
    pub held: u64,
    pub lost: u64,
}

impl Account {
    /// What a run said on its standard error.
    pub fn read(stderr: &str) -> anyhow::Result<Self> {
        let line = stderr.lines().rev().find(|line| line.contains(" records received = "));
        let line = line.with_context(|| format!("no account in: {stderr}"))?;
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        let mut next = || numbers.next().context("the account has too few numbers");
        Ok(Self { received: next()?, exported: next()?, held: next()?, lost: next()? })
    }

    pub fn balances(self) -> anyhow::Result<()> {
        let Self { received, exported, held, lost } = self;
        ensure!(received == exported + held + lost, "does not balance: {self:?}");
        Ok(())
    }
}

impl Run {
    /// The span of the one process with this name.
    pub fn span(&self, name: &str) -> anyhow::Result<&Span> {
        let mut found = self.spans.iter().filter(|span| span.name() == name);
        match (found.next(), found.next()) {
            (Some(span), None) => Ok(span),
            (None, _) => bail!("no span {name} in {}", tree::of(&self.spans)),
            (Some(_), Some(_)) => bail!("more than one span {name} in {}", tree::of(&self.spans)),
        }
    }

    pub fn account(&self) -> anyhow::Result<Account> {
        Account::read(&self.stderr)
    }

    /// Largest resident memory of lynceus itself, MiB.
    pub fn peak_mib(&self) -> anyhow::Result<f64> {
        let (_, cost) = self.stderr.rsplit_once(" ms of CPU and ").context("no cost is told")?;
        cost.trim().trim_end_matches(" MiB").parse().with_context(|| format!("reading {cost:?}"))
    }

    /// Events that may have been missed: none before Linux 7.0, and from there on at most so many.
    pub fn missed(&self) -> u64 {
        let after =
            self.stderr.split("(missed ").nth(1).or_else(|| self.stderr.split(", missed ").nth(1));
        let number = after.unwrap_or_default().split([',', ')']).next().unwrap_or_default();
        number.parse().unwrap_or(0)
    }

    /// The equation holds, and nothing was lost but what may have been missed.
    pub fn is_whole(&self) -> anyhow::Result<()> {
        let account = self.account()?;
        ensure!(account.lost == self.missed(), "lost some: {account:?} {}", self.stderr);
        self.balances()
    }

    /// The equation holds, for records, and for spans in the file.
    pub fn balances(&self) -> anyhow::Result<()> {
        self.account()?.balances()?;
        ensure!(!self.stderr.contains("do not balance"), "{}", self.stderr);
        let line = self.stderr.lines().last().unwrap_or_default();
        let plural = if self.spans.len() == 1 { "" } else { "s" };
        let spans = format!("; {} span{plural},", self.spans.len());
        ensure!(line.contains(&spans), "the file has {spans}, the account says: {line}");
        Ok(())
    }

    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }
}

/// `lynceus run OPTIONS --out FILE -- COMMAND`, with `prepare` for what else the child needs. On an
/// emulated machine it sees requests only if the options say how: to load those programs takes seconds
/// there.
pub fn run_with<S: AsRef<OsStr>>(
    options: &[&str],
    command: &[S],
    prepare: impl FnOnce(&mut Command),
) -> anyhow::Result<Run> {
    let folder = TempDir::new()?;
    let out = folder.path().join("out.jsonl");
    let mut lynceus = Command::new(binary());
    lynceus.arg("run").arg("--strict").args(options);
    if is_emulated() && !options.contains(&"--capture") {
        lynceus.args(["--capture", "off"]);
    }
    lynceus.arg("--out").arg(&out).arg("--");
    lynceus.args(command).env_remove("TRACEPARENT");
    prepare(&mut lynceus);
    let output = lynceus.output().with_context(|| format!("running {}", binary().display()))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let file = fs::read_to_string(&out).with_context(|| format!("lynceus said: {stderr}"))?;
    let spans = tree::parse(&file)?;
    Ok(Run { output, stderr, file, spans })
}

pub fn run<S: AsRef<OsStr>>(command: &[S]) -> anyhow::Result<Run> {
    run_with(&[], command, |_| {})
}

/// Runs the command, which must leave exactly this tree and lose nothing.
pub fn check<S: AsRef<OsStr>>(command: &[S], expected: &str) -> anyhow::Result<Run> {
    let run = run(command)?;
    run.is_whole()?;
    let found = tree::of(&run.spans);
    ensure!(found == expected, "expected {expected}\n   found {found}\n{}", run.stderr);
    Ok(run)
}
