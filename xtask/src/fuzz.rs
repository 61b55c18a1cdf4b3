//! `cargo xtask fuzz`: runs the fuzz targets for a while, on the stable tool chain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::missing::Missing;
use crate::{command, paths, say, setup};

/// Compiling a target, beside the time it runs.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);

/// Runs the fuzz targets of agent/fuzz, each for a while.
///
/// Builds cargo-fuzz into the cache if it is missing (half a minute). New inputs are kept in
/// target/fuzz/corpus/TARGET, the committed seeds are in agent/fuzz/seeds/TARGET; an input
/// that crashes a target is in target/fuzz/found/TARGET, and the log's tail says which. Keep it
/// as a seed and as a test. No sanitizer is used: the targets are safe Rust, and what we look
/// for are panics, overflows and hangs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz decode --seconds 600")]
pub(crate) struct Arguments {
    /// Only this target; all of them without it.
    target: Option<String>,

    /// How long each target runs.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = workspace();
    let targets = match &arguments.target {
        Some(target) => vec![target.clone()],
        None => targets(&workspace)?,
    };
    let program = setup::FUZZ.ensure()?;
    let mut failed = false;
    for target in &targets {
        let name = format!("fuzzing {target} for {} s", arguments.seconds);
        let fuzzed = say::step(&name, || fuzz(&program, &workspace, target, arguments.seconds));
        match fuzzed {
            Ok(summary) => say::result(&format!("{target}: {summary}")),
            Err(error) => {
                failed = true;
                say::error(&error);
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Clippy over the targets, which are a workspace of their own. libFuzzer is C++, and is not compiled: there
/// may be no compiler for it, and nothing is linked here.
pub(crate) fn clippy() -> Command {
    let mut clippy = Command::new("cargo");
    clippy.args(["clippy", "--locked", "--bins", "--", "-D", "warnings"]);
    clippy.current_dir(workspace()).env("CARGO_TERM_COLOR", "never");
    clippy.env("CARGO_TARGET_DIR", paths::target().join("fuzz").join("check"));
    clippy.env("CUSTOM_LIBFUZZER_PATH", "./libfuzzer.a");
    clippy
}

fn workspace() -> PathBuf {
    paths::repository().join("agent/fuzz")
}

/// The names of the sources in `fuzz_targets`.
fn targets(workspace: &Path) -> Result<Vec<String>> {
    let sources = workspace.join("fuzz_targets");
    let Ok(entries) = fs::read_dir(&sources) else {
        bail!(Missing::new(format!("fuzz targets in {}", sources.display())));
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn fuzz(program: &Path, workspace: &Path, target: &str, seconds: u64) -> Result<String> {
    let fuzzing = paths::target().join("fuzz");
    let corpus = fuzzing.join("corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("making {}", corpus.display()))?;
    let found = fuzzing.join("found").join(target);
    fs::create_dir_all(&found).with_context(|| format!("making {}", found.display()))?;
    let mut cargo_fuzz = Command::new(program);
    cargo_fuzz.arg("run").arg("--fuzz-dir").arg(workspace);
    cargo_fuzz.arg("--target-dir").arg(fuzzing.join("build"));
    cargo_fuzz.args(["--sanitizer", "none", target]).arg(&corpus);
    let seeds = workspace.join("seeds").join(target);
    if seeds.is_dir() {
        cargo_fuzz.arg(seeds);
    }
    cargo_fuzz.arg("--").arg(format!("-max_total_time={seconds}"));
    cargo_fuzz.arg(format!("-artifact_prefix={}/", found.display()));
    cargo_fuzz.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    // The coverage that guides the search is an unstable option of rustc.
    cargo_fuzz.env("RUSTC_BOOTSTRAP", "1").current_dir(paths::repository());
    // Otherwise cargo-fuzz's own backtrace pushes the target's panic out of the log's tail.
    cargo_fuzz.env("RUST_BACKTRACE", "0");
    let limit = BUILD_LIMIT + Duration::from_secs(seconds);
    let ended = command::checked(&mut cargo_fuzz, &format!("fuzz-{target}"), limit)?;
    let output = ended.output()?;
    let statistic =
        |name: &str| output.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim);
    let runs = statistic("stat::number_of_executed_units:");
    let rate = statistic("stat::average_exec_per_sec:");
    Ok(format!("{runs} inputs, {rate} a second, nothing found"))
}
