//! What each level of tests runs.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::count::{self, Counts};
use crate::arch::Arch;
use crate::executable::{self, Linking};
use crate::missing::Missing;
use crate::privilege::{Privilege, WITHOUT_ROOT};
use crate::setup::{self, Part};
use crate::{command, ebpf, fuzz, paths, say, tidy};

const LIMIT: Duration = Duration::from_secs(1800);
/// The advisories' data base comes from the network, which may be closed without an answer.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn fmt() -> Result<Counts> {
    check(cargo(&["fmt", "--all", "--check"]), "fmt")
}

pub(super) fn tidy() -> Result<Counts> {
    let problems = tidy::problems(paths::repository())?;
    for problem in &problems {
        say::note(problem);
    }
    Ok(if problems.is_empty() { Counts::ONE_PASSED } else { Counts::ONE_FAILED })
}

pub(super) fn clippy() -> Result<Counts> {
    let all = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    let pure = ["clippy", "--package", "lynceus", "--no-default-features", "--", "-D", "warnings"];
    let host = check(cargo(&all), "clippy")? + check(cargo(&pure), "clippy-pure")?;
    let fuzz = check(fuzz::clippy(), "clippy-fuzz")?;
    ebpf::clippy()?;
    Ok(host + fuzz + Counts::ONE_PASSED)
}

pub(super) fn docs() -> Result<Counts> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    check(doc, "docs")
}

pub(super) fn deny() -> Result<Counts> {
    let program = setup::DENY.ensure()?;
    let deny = |arguments: &[&str]| {
        let mut deny = Command::new(&program);
        deny.args(["--color", "never"]).args(arguments).current_dir(paths::repository());
        deny
    };
    let counts = check(deny(&["check", "licenses", "bans", "sources"]), "deny")?;
    let fetched = command::logged(&mut deny(&["fetch", "db"]), "deny-fetch", FETCH_LIMIT);
    if !fetched.is_ok_and(|ended| ended.status.success()) {
        say::note("advisories are not checked: their data base could not be fetched");
        return Ok(counts + Counts::ONE_SKIPPED);
    }
    let advisories = deny(&["check", "--disable-fetch", "advisories"]);
    Ok(counts + check(advisories, "deny-advisories")?)
}

pub(super) fn pure(rest: &[String]) -> Result<Counts> {
    let arguments = ["test", "--no-fail-fast", "--package", "lynceus", "--no-default-features"];
    tests(&mut with_rest(cargo(&arguments), rest), "pure")
}

pub(super) fn unit(rest: &[String]) -> Result<Counts> {
    let arguments = ["test", "--no-fail-fast", "--workspace", "--exclude", "agent-tests"];
    tests(&mut with_rest(cargo(&arguments), rest), "unit")
}

pub(super) fn kernel(rest: &[String]) -> Result<Counts> {
    let (state, private) = setup::programs()?;
    say::note(&format!("programs: {state}"));
    as_root("kernel", &[(setup::PRIVATE_VARIABLE, private.path().as_os_str())], rest)
}

pub(super) fn collector(rest: &[String]) -> Result<Counts> {
    let collector = setup::collector()?;
    as_root("collector", &[("LYNCEUS_COLLECTOR", collector.as_os_str())], rest)
}

/// The core of `cargo xtask cluster test`. Where no cluster can be started it is said why, and not run.
pub(super) fn cluster() -> Result<Counts> {
    if Privilege::find() == Privilege::None {
        bail!(Missing::new(WITHOUT_ROOT));
    }
    setup::ensure(Part::Cluster)?;
    setup::ensure(Part::Collector)?;
    setup::ensure(Part::Charts)?;
    let ourselves = std::env::current_exe().context("finding this program")?;
    let run = |arguments: &[&str], log: &str| {
        let mut cluster = Command::new(&ourselves);
        cluster.arg("cluster").args(arguments).current_dir(paths::repository());
        say::step(&format!("cluster {}", arguments.join(" ")), || {
            command::logged(&mut cluster, log, LIMIT)
        })
    };
    let up = run(&["up"], "cluster-up")?;
    if !up.status.success() {
        let why = up.output()?;
        let why = why.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        bail!(Missing::new(format!("a machine that can run a cluster: {}", why.trim())));
    }
    let ended = run(&["test", "--core"], "cluster-test");
    run(&["down"], "cluster-down")?;
    let ended = ended?;
    let output = ended.output()?;
    let counts = Counts::summary(&output);
    if !ended.status.success() {
        say::block(&command::tail(&ended.log)?);
        if counts.failed == 0 {
            bail!("the tests on a cluster failed ({}) before any test did", ended.status);
        }
    }
    Ok(counts)
}

/// Runs a test program of `agent-tests` with the release binary in `LYNCEUS_BIN`.
fn as_root(name: &str, variables: &[(&str, &OsStr)], rest: &[String]) -> Result<Counts> {
    let privilege = Privilege::find();
    ebpf::build(Arch::OWN)?;
    let lynceus = executable::lynceus(Linking::Usual)?;
    let program = executable::test_program(name, Linking::Usual)?;
    let mut all = vec![("LYNCEUS_BIN", lynceus.as_os_str()), ("RUST_BACKTRACE", "1".as_ref())];
    all.extend(variables);
    // How long tests of completeness take, where somebody asks for more; sudo would forget it.
    let seconds = std::env::var_os("LYNCEUS_SECONDS");
    all.extend(seconds.as_deref().map(|seconds| ("LYNCEUS_SECONDS", seconds)));
    let Some(mut command) = privilege.command(program.as_os_str(), &all) else {
        bail!(Missing::new(WITHOUT_ROOT));
    };
    command.args(rest).current_dir(paths::repository().join("tests"));
    say::step(&format!("running {name}"), || tests(&mut command, name))
}

/// A command that either passes as a whole or not.
fn check(mut command: Command, log: &str) -> Result<Counts> {
    command::checked(&mut command, log, LIMIT)?;
    Ok(Counts::ONE_PASSED)
}

/// A command that prints results of tests. Failed tests are counted, not an error.
fn tests(command: &mut Command, log: &str) -> Result<Counts> {
    let ended = command::logged(command, log, LIMIT)?;
    let output = ended.output()?;
    let counts = Counts::read(&output);
    for reason in count::skipped(&output) {
        say::note(&format!("skipped {reason}"));
    }
    if !ended.status.success() {
        count::show_failures(&output, &ended.log)?;
        if counts.failed == 0 {
            bail!("{log} failed ({}) before any test did", ended.status);
        }
    }
    Ok(counts)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(paths::repository()).env("CARGO_TERM_COLOR", "never");
    cargo
}

fn with_rest(mut cargo: Command, rest: &[String]) -> Command {
    if !rest.is_empty() {
        cargo.arg("--").args(rest);
    }
    cargo
}
