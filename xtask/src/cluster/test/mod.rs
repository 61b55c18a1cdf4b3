//! `cargo xtask cluster test`: what is tested on a real cluster, one module a subject.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::interrupt;
use super::running::Cluster;
use crate::arch::Arch;
use crate::clock::Stopwatch;
use crate::test::count::Counts;
use crate::{image, say};

mod account;
mod admin;
mod agent;
mod applied;
mod arrivals;
mod arrived;
mod budget;
mod churn;
mod collected;
mod context;
mod cron;
mod daemon;
mod deleted;
mod detail;
mod doctor;
mod ended;
mod entries;
mod gauge;
mod host_network;
mod latency;
mod layers;
mod left_behind;
mod load;
mod outage;
mod pod;
mod pressure;
mod restart;
mod service;
mod sidecar;
mod smoke;
mod told;
mod traced;

const LIMIT: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(200);

/// Tests the agent on a cluster.
///
/// Builds the image of `lynceus`, starts a cluster, runs the tests on it, takes it down, and checks that
/// nothing is left of it. A cluster that runs already is used, and left running.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Takes this archive of `lynceus` instead of building one.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Only the few that `cargo xtask test` runs.
    #[arg(long)]
    core: bool,

    /// Those that take minutes, too: a thousand pods, a storm of programs, outages, and figures.
    #[arg(long, conflicts_with = "core")]
    all: bool,

    #[command(flatten)]
    load: Load,

    /// Only tests whose name has this in it.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// A test by its name. It makes what it needs and names it so that no other test is in its way.
type Test = (&'static str, fn(&Cluster) -> Result<()>);

/// One that takes minutes, and is larger or smaller as it is told.
type LongTest = (&'static str, fn(&Cluster, Load) -> Result<()>);

/// One that is asked for, and knows how much it is to do.
type Wanted = (&'static str, Box<dyn Fn(&Cluster) -> Result<()>>);

/// How much the long tests do.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Load {
    /// With --all: pods that go through the node.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pods: u32,

    /// With --all: how long storms last, and what is away is away.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
}

impl Load {
    fn time(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What runs, in this order.
fn tests() -> impl Iterator<Item = Test> {
    let of_pods = cron::TESTS.into_iter().chain(host_network::TESTS).chain(sidecar::TESTS);
    let of_pods = of_pods.chain(layers::TESTS).chain(deleted::TESTS).chain(service::TESTS);
    let of_pods = of_pods.chain(context::TESTS).chain(detail::TESTS).chain(budget::TESTS);
    agent::TESTS
        .into_iter()
        .chain(ended::TESTS)
        .chain(restart::TESTS)
        .chain(of_pods)
        .chain(arrived::TESTS)
        .chain(outage::TESTS)
        .chain(admin::TESTS)
        .chain(pressure::TESTS)
        .chain(doctor::TESTS)
        .chain(applied::TESTS)
        .chain(smoke::TESTS)
}

/// With `--all`, after the others.
fn long_tests() -> impl Iterator<Item = LongTest> {
    outage::LONG.into_iter().chain(latency::LONG).chain(load::LONG).chain(churn::LONG)
}

/// By their names, those that are asked for.
fn wanted(arguments: &Arguments) -> Vec<Wanted> {
    let is_wanted = |name: &str| arguments.name.as_ref().is_none_or(|part| name.contains(part));
    let is_core = |name: &str| !arguments.core || agent::CORE.contains(&name);
    let mut wanted: Vec<Wanted> = Vec::new();
    for (name, test) in tests().filter(|(name, _)| is_core(name)) {
        wanted.push((name, Box::new(test)));
    }
    let load = arguments.load;
    for (name, test) in long_tests().filter(|_| arguments.all) {
        wanted.push((name, Box::new(move |cluster| test(cluster, load))));
    }
    wanted.retain(|(name, _)| is_wanted(name));
    wanted
}

/// Builds what the tests need and root is not needed for; the answer is the image's archive.
pub(super) fn prepare(arguments: &Arguments) -> Result<PathBuf> {
    match &arguments.image {
        Some(archive) => Ok(archive.clone()),
        None => {
            let archive = image::default_archive(Arch::OWN);
            image::lynceus(Arch::OWN, &archive)?;
            Ok(archive)
        }
    }
}

pub(super) fn run(
    arguments: &Arguments,
    archive: &Path,
    directory: Option<&Path>,
) -> Result<ExitCode> {
    let wanted = wanted(arguments);
    ensure!(!wanted.is_empty(), "no test has such a name");
    let before = left_behind::Machine::look()?;
    let cluster = Cluster::up(directory)?;
    cluster.import_image(archive)?;
    let mut counts = Counts::default();
    for (name, test) in wanted {
        let count = counted(name, || test(&cluster));
        if count.failed > 0 {
            keep_evidence(&cluster, name);
        }
        counts = counts + count;
        interrupt::check()?;
    }
    if cluster.is_ours() {
        cluster.down()?;
        counts = counts + counted("nothing_is_left_behind", || before.compare());
    }
    say::result(&counts.to_string());
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn counted(name: &str, test: impl FnOnce() -> Result<()>) -> Counts {
    match say::step(name, test) {
        Ok(()) => Counts::ONE_PASSED,
        Err(error) => {
            say::error(&error);
            Counts::one_failed(&format!("{name}: {error:#}"))
        }
    }
}

/// What the cluster knows of its pods, for whoever looks into a failure: they may be gone by then.
fn keep_evidence(cluster: &Cluster, name: &str) {
    let known = ["pods,events", "pods --output=yaml"].map(|what| {
        let mut arguments = vec!["get", "--all-namespaces"];
        arguments.extend(what.split(' '));
        cluster.kubectl(&arguments).unwrap_or_else(|error| format!("{error:#}"))
    });
    match cluster.keep(&format!("test-{name}"), &known.join("\n")) {
        Ok(file) => say::note(&format!("{} has the pods as they were", file.display())),
        Err(error) => say::error(&error),
    }
}

/// Asks until the answer is as expected, and tells the last answer if it never is.
fn until(
    what: &str,
    mut ask: impl FnMut() -> Result<String>,
    expected: impl Fn(&str) -> bool,
) -> Result<String> {
    let watch = Stopwatch::start();
    loop {
        interrupt::check()?;
        let answer = ask();
        match answer {
            Ok(answer) if expected(&answer) => return Ok(answer),
            answer if watch.elapsed() > LIMIT => {
                let last = answer.unwrap_or_else(|error| format!("{error:#}"));
                bail!("{what}: not within {} s; last: {last}", LIMIT.as_secs());
            }
            _ => std::thread::sleep(POLL),
        }
    }
}
