//! Tests and what they need of the machine. A test that cannot run says so by name.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

/// A test: passes, or says why not.
pub type Body = fn() -> anyhow::Result<()>;

/// Characters that are shown of what a test said that is tried again.
const SHOWN: usize = 600;

/// Makes a trial; one that needs programs which are not there is ignored and says which.
pub fn trial(name: &str, programs: &[&str], body: Body) -> Trial {
    let missing: Vec<&str> =
        programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        let named = name.to_owned();
        return Trial::test(name, move || tried(&named, body));
    }
    lacking(name, &missing.join(" and "))
}

/// Emulated machines and busy ones disturb a test now and then. One that fails is tried once more, and
/// says so: `cargo xtask test` names it at its end, with what it said first.
fn tried(name: &str, body: Body) -> Result<(), Failed> {
    let Err(error) = body() else { return Ok(()) };
    // A verifier's log has megabytes, and its reason at the end.
    let said = format!("{error:#}").replace(['\r', '\n'], " ");
    let cut = said.chars().count().saturating_sub(SHOWN);
    eprintln!("AGAIN {name}: {}", said.chars().skip(cut).collect::<String>());
    body().map_err(|error| Failed::from(format!("{error:#}")))
}

/// A test that cannot run here. Of several machines the first says so.
pub fn lacking(name: &str, what: &str) -> Trial {
    if Part::of_this_machine().nth == 1 {
        eprintln!("SKIP {name}: no {what} here");
    }
    Trial::test(format!("{name} (no {what})"), || Ok(())).with_ignored_flag(true)
}

/// Which of the tests this machine runs, where several like it share them: `LYNCEUS_PART=1/2`.
#[derive(Clone, Copy)]
struct Part {
    /// From 1 on.
    nth: usize,
    of: usize,
}

impl Part {
    fn of_this_machine() -> Self {
        let text = env::var_os("LYNCEUS_PART").unwrap_or_default();
        let part = text.to_string_lossy().split_once('/').and_then(|(nth, of)| {
            let (nth, of) = (nth.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&nth).then_some(Self { nth, of })
        });
        part.unwrap_or(Self { nth: 1, of: 1 })
    }

    /// Those that cannot run are the first machine's; the others are dealt out.
    fn take(self, trials: Vec<Trial>) -> Vec<Trial> {
        let (lacking, rest): (Vec<_>, Vec<_>) =
            trials.into_iter().partition(Trial::has_ignored_flag);
        let dealt = rest.into_iter().enumerate();
        let its = dealt.filter(|(index, _)| index % self.of == self.nth - 1);
        let lacking = lacking.into_iter().filter(|_| self.nth == 1);
        its.map(|(_, trial)| trial).chain(lacking).collect()
    }
}

/// Runs all, or where `LYNCEUS_CORE` is set those with these names.
pub fn run(mut trials: Vec<Trial>, core: &[&str]) -> ExitCode {
    let is = |trial: &Trial, name: &str| {
        trial.name().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let unknown = core.iter().find(|name| !trials.iter().any(|trial| is(trial, name)));
    if let Some(name) = unknown {
        eprintln!("no test has the name {name}, which is one of the core");
        return ExitCode::FAILURE;
    }
    if env::var_os("LYNCEUS_CORE").is_some() {
        trials.retain(|trial| core.iter().any(|name| is(trial, name)));
    }
    let trials = Part::of_this_machine().take(trials);
    let arguments = Arguments::from_args();
    let conclusion: Conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_code()
}

/// Where a program is: in a folder of `LYNCEUS_PROGRAMS`, which the set-up filled, else in one of `PATH`,
/// else where servers are, which not everybody's `PATH` names.
pub fn find(program: &str) -> Option<PathBuf> {
    let folders = ["LYNCEUS_PROGRAMS", "PATH"].into_iter().filter_map(env::var_os);
    let mut places = folders.flat_map(|path| {
        env::split_paths(&path).map(|folder| folder.join(program)).collect::<Vec<_>>()
    });
    let found = places.find(|place| place.is_file());
    found.or_else(|| Some(Path::new("/usr/sbin").join(program)).filter(|place| place.is_file()))
}

/// [`find`], as a word of a command line.
pub fn program(name: &str) -> anyhow::Result<String> {
    let path = find(name).with_context(|| format!("finding {name}"))?;
    Ok(path.to_string_lossy().into_owned())
}
