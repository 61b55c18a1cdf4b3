//! `cargo xtask bench`: what tracing costs, as ratios taken side by side in one run.

mod compare;
mod driver;
mod grpc;
mod http;
mod load;
mod memory;
mod nginx;
mod pipeline;
mod probes;
mod ratio;
mod spawn;
mod targets;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use crate::arch::Arch;
use crate::executable::{self, Linking};
use crate::missing::Missing;
use crate::privilege::{Privilege, WITHOUT_ROOT};
use crate::{ebpf, paths, say};

/// Measures what tracing costs: the traced program, the probes, the pipeline, memory.
///
/// A static program of 134 bytes is started and waited for again and again: untraced, with Lynceus
/// there but not for it, traced, under strace, and with a span sent by curl for each, as people do
/// by hand. The ways take turns in every round, and what is shown is the ratio to the same round's
/// untraced time: a machine that is busy or slow shifts both. Requests over HTTP likewise, without
/// strace and curl. Then nginx under wrk and a server of gRPC under ghz, as fast as they can: requests a
/// second, as a ratio, and times, what they were wanted to be, and which probe takes how much of it. Needs
/// root or sudo. Seven minutes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench http --rounds 100")]
pub(crate) struct Arguments {
    /// Only this; everything without it.
    #[arg(value_enum)]
    only: Option<Part>,
    /// How often all ways take their turn.
    #[arg(long, default_value_t = 60)]
    rounds: usize,
    /// How the traced server's requests are seen, as `lynceus run --capture` has it.
    #[arg(long, value_enum, default_value_t = Capture::Auto)]
    capture: Capture,
    /// Processes of the run that watches memory.
    #[arg(long, default_value_t = 100_000)]
    processes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Fork, exec and exit.
    Spawn,
    /// Requests over HTTP: one after the other, and then nginx and the server of gRPC.
    Http,
    /// nginx under wrk.
    Nginx,
    /// A server of gRPC under ghz.
    Grpc,
    /// One run of each probe.
    Probes,
    /// Memory over many processes.
    Memory,
    /// Records a second.
    Pipeline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Capture {
    Auto,
    Fentry,
    Kprobe,
    Tracepoint,
}

/// The programs that the measurements run.
pub(crate) struct Bench {
    capture: Capture,
    privilege: Privilege,
    lynceus: PathBuf,
    /// The test program, which starts processes when asked.
    driver: PathBuf,
    /// Exits at once.
    nothing: PathBuf,
    folder: tempfile::TempDir,
}

/// A span for each request.
const EVERY_REQUEST: [&str; 2] = ["--requests-per-second", "0"];

impl Part {
    fn has(self, part: Self) -> bool {
        self == part || (self == Self::Http && matches!(part, Self::Nginx | Self::Grpc))
    }
}

impl Bench {
    /// A command as root: `lynceus` is, so what it is compared with must be too.
    fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Result<Command> {
        let (program, arguments) = words.split_first().context("an empty command")?;
        let mut command = self.privilege.command(program.as_ref(), &[]).context(WITHOUT_ROOT)?;
        command.args(arguments);
        Ok(command)
    }

    /// To be followed by options, `--` and a command.
    fn lynceus_with(&self, options: &[&str]) -> Result<Command> {
        let mut command = self.command(&[&self.lynceus])?;
        let capture = self.capture.to_possible_value().context("a hidden way")?;
        command.args([
            "run",
            "--quiet",
            "--strict",
            "--user",
            "0",
            "--capture",
            capture.get_name(),
        ]);
        command.args(options).arg("--");
        Ok(command)
    }

    /// With a span for each request.
    fn lynceus(&self) -> Result<Command> {
        self.lynceus_with(&EVERY_REQUEST)
    }

    /// The test program's words for `mode`: to do it with `before`, the static program, and `after`.
    fn driver(&self, mode: &str, before: &[&str], after: &[&str]) -> Vec<String> {
        let (driver, nothing) = (self.driver.to_string_lossy(), self.nothing.to_string_lossy());
        let words = [&[&*driver, "--peer", mode], before, &[&*nothing], after].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    /// Starts the static program `count` times, one after the other.
    fn one_by_one(&self, count: usize) -> Vec<String> {
        self.driver("one-by-one", &[&count.to_string()], &[])
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let privilege = Privilege::find();
    ensure!(privilege != Privilege::None, Missing::new(WITHOUT_ROOT));
    ebpf::build(Arch::OWN)?;
    let lynceus = executable::lynceus(Linking::Usual)?;
    let driver = executable::test_program("kernel", Linking::Usual)?;
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let nothing = folder.path().join("nothing");
    let status = Command::new(&driver)
        .args(["--peer", "write-nothing"])
        .arg(folder.path())
        .status()
        .context("starting the test program")?;
    ensure!(status.success(), "the test program wrote no program ({status})");
    let bench = Bench { capture: arguments.capture, privilege, lynceus, driver, nothing, folder };

    for part in Part::value_variants() {
        if arguments.only.is_some_and(|only| !only.has(*part)) {
            continue;
        }
        let measured = match part {
            Part::Spawn => spawn::measure(&bench, arguments.rounds),
            Part::Http => http::measure(&bench, arguments.rounds / 2),
            Part::Nginx => nginx::measure(&bench, arguments.rounds / 4),
            Part::Grpc => grpc::measure(&bench, arguments.rounds / 4),
            Part::Probes => probes::measure(&bench),
            Part::Memory => memory::measure(&bench, arguments.processes),
            Part::Pipeline => pipeline::measure(&bench),
        };
        match measured {
            // What is asked for by name is not left out silently.
            Err(error) if arguments.only.is_none() && Missing::find(&error).is_some() => {
                say::note(&format!("left out: {error:#}"));
            }
            measured => measured?,
        }
    }
    say::note(&format!("on {}", machine()));
    Ok(ExitCode::SUCCESS)
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": ?");
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let model = model.split_once(':').map_or(model, |(_, name)| name);
    format!("{cores} x{model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

/// Where the repository is, for commands that need it.
fn repository() -> PathBuf {
    paths::repository().to_path_buf()
}
