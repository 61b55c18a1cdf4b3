//! `cargo xtask test`: every level of tests, in order, with one answer at the end.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use self::count::Counts;
use crate::arch::Arch;
use crate::clock::{self, Stopwatch};
use crate::missing::Missing;
use crate::setup::{self, Part};
use crate::vm::{self, Choice};
use crate::{ebpf, say};

mod chart;
pub(crate) mod count;
mod levels;

/// Sets everything up, then runs every level of tests and says how each one ended.
///
/// fmt, tidy, clippy, docs: what can be said without running anything. pure: the tracer without
/// its host part, as on a laptop without kernel tooling. unit: everything else that needs no
/// kernel. chart: what Helm and Kustomize make of deploy/, and what they refuse. kernel: real
/// programs on this kernel, as root or through sudo. collector: spans that arrive in a real
/// OpenTelemetry Collector. cluster: the agent on a real Kubernetes. vm: the core of the kernel tests on other kernels in QEMU
/// (all of them: `cargo xtask vm`). deny: licences, sources and advisories of the dependencies.
///
/// A test on a kernel that fails is tried once more, and named at the end with what it said first.
///
/// A level that fails does not stop the next. A level that this machine cannot run (no root, no
/// Go, no Debian system) says so and counts as skipped. From nothing it takes forty minutes on two
/// processors, later half of that; the last line is `N passed, N failed, N skipped`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --fast\n  \
    cargo xtask test --only kernel -- spawn_is")]
pub(crate) struct Arguments {
    /// Only this level; may be given several times.
    #[arg(long, value_name = "LEVEL", value_enum)]
    only: Vec<Level>,

    /// Without deny, collector, cluster and vm: what to run before a commit.
    #[arg(long)]
    fast: bool,

    /// Passed on to the test programs, for example the name of one test.
    #[arg(last = true, value_name = "ARGUMENTS")]
    rest: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Fmt,
    Tidy,
    Clippy,
    Docs,
    Pure,
    Unit,
    Chart,
    Kernel,
    Collector,
    Cluster,
    Vm,
    Deny,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Deny => "deny",
            Self::Pure => "pure",
            Self::Unit => "unit",
            Self::Chart => "chart",
            Self::Kernel => "kernel",
            Self::Collector => "collector",
            Self::Cluster => "cluster",
            Self::Vm => "vm",
        }
    }

    fn is_slow(self) -> bool {
        matches!(self, Self::Deny | Self::Collector | Self::Cluster | Self::Vm)
    }

    /// Whether the kernel object is part of what the level builds. It is then built first, so that
    /// the agent is not compiled once without it and once with it.
    fn embeds_the_object(self) -> bool {
        matches!(self, Self::Clippy | Self::Unit | Self::Kernel | Self::Collector)
    }

    fn run(self, rest: &[String]) -> Result<Counts> {
        match self {
            Self::Fmt => levels::fmt(),
            Self::Tidy => levels::tidy(),
            Self::Clippy => levels::clippy(),
            Self::Docs => levels::docs(),
            Self::Deny => levels::deny(),
            Self::Pure => levels::pure(rest),
            Self::Unit => levels::unit(rest),
            Self::Chart => chart::run(),
            Self::Kernel => levels::kernel(rest),
            Self::Collector => levels::collector(rest),
            Self::Cluster => levels::cluster(),
            Self::Vm => {
                let choice = if rest.is_empty() { Choice::Core } else { Choice::All };
                vm::kernel_tests(Arch::OWN, &setup::SERIES, rest, choice)
            }
        }
    }
}

enum Outcome {
    Ran(Counts),
    Broke,
    CouldNotRun(String),
}

struct Report {
    level: Level,
    outcome: Outcome,
    took: Duration,
}

impl Report {
    fn counts(&self) -> Counts {
        match &self.outcome {
            Outcome::Ran(counts) => counts.clone(),
            Outcome::Broke => Counts::ONE_FAILED,
            Outcome::CouldNotRun(_) => Counts::ONE_SKIPPED,
        }
    }

    fn line(&self) -> String {
        let (word, what) = match &self.outcome {
            Outcome::Ran(counts) if counts.failed == 0 => ("passed", counts.to_string()),
            Outcome::Ran(counts) => ("FAILED", counts.to_string()),
            Outcome::Broke => ("FAILED", "see above".to_owned()),
            Outcome::CouldNotRun(why) => ("not run", why.clone()),
        };
        format!("{word:7}  {:9}  {what} ({})", self.level.name(), clock::human(self.took))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let watch = Stopwatch::start();
    let wanted = |level: &Level| {
        (arguments.only.is_empty() || arguments.only.contains(level))
            && !(arguments.fast && level.is_slow())
    };
    let levels: Vec<Level> = Level::value_variants().iter().copied().filter(wanted).collect();
    let reports: Vec<Report> = std::thread::scope(|scope| {
        scope.spawn(|| set_up_ahead(&levels));
        if levels.iter().any(|level| level.embeds_the_object())
            && let Err(error) = ebpf::build(Arch::OWN)
        {
            // The levels that need it come to the same end and count it.
            say::error(&error);
        }
        levels.iter().map(|level| report(*level, &arguments.rest)).collect()
    });
    say::heading(&format!("summary ({})", clock::human(watch.elapsed())));
    for report in &reports {
        say::result(&report.line());
        let Counts { failures, again, .. } = report.counts();
        failures.iter().for_each(|failure| say::result(&format!("         {failure}")));
        again.iter().for_each(|said| say::result(&format!("         tried again: {said}")));
    }
    let counts: Counts = reports.iter().map(Report::counts).sum();
    say::result(&counts.to_string());
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Downloads and builds beside the first levels what the later ones need. Every part is under a
/// lock, so a level that comes too early waits for it; and a part that fails here fails again
/// there, where it is counted.
fn set_up_ahead(levels: &[Level]) {
    let ahead = |level: Level, part: Part| {
        if levels.contains(&level) {
            match setup::ensure(part) {
                Ok(state) => say::note(&format!("{}: {state}", part.name())),
                Err(error) => say::note(&format!("{}: {error:#}", part.name())),
            }
        }
    };
    ahead(Level::Chart, Part::Charts);
    ahead(Level::Kernel, Part::Programs);
    ahead(Level::Vm, Part::Vm);
    ahead(Level::Collector, Part::Collector);
    ahead(Level::Cluster, Part::Cluster);
    if levels.contains(&Level::Deny)
        && let Err(error) = setup::DENY.ensure()
    {
        say::note(&format!("{error:#}"));
    }
}

fn report(level: Level, rest: &[String]) -> Report {
    say::heading(level.name());
    let watch = Stopwatch::start();
    let outcome = match level.run(rest) {
        Ok(counts) => Outcome::Ran(counts),
        Err(error) => match Missing::find(&error) {
            Some(missing) => Outcome::CouldNotRun(missing.to_string()),
            None => {
                say::error(&error);
                Outcome::Broke
            }
        },
    };
    Report { level, outcome, took: watch.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_cannot_run_counts_as_skipped_and_says_why() {
        let outcome = Outcome::CouldNotRun("needs root".into());
        let report = Report { level: Level::Kernel, outcome, took: Duration::from_secs(1) };
        assert_eq!(report.counts(), Counts::ONE_SKIPPED);
        assert_eq!(report.line(), "not run  kernel     needs root (1.0 s)");
    }

    #[test]
    fn what_broke_before_any_test_ran_is_one_failure() {
        let report = Report { level: Level::Unit, outcome: Outcome::Broke, took: Duration::ZERO };
        assert_eq!(report.counts(), Counts::ONE_FAILED);
    }
}
