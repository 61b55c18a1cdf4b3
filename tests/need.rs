//! Tests and what they need of the machine. A test that cannot run says so by name.

use std::{env, path::PathBuf, process::ExitCode};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

/// A test: passes, or says why not.
pub type Body = fn() -> anyhow::Result<()>;

/// Makes a trial; one that needs programs which are not there is ignored and says which.
pub fn trial(name: &str, programs: &[&str], body: Body) -> Trial {
    let missing: Vec<&str> =
        programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return Trial::test(name, move || {
            body().map_err(|error| Failed::from(format!("{error:#}")))
        });
    }
    lacking(name, &missing.join(" and "))
}

/// A test that cannot run here.
pub fn lacking(name: &str, what: &str) -> Trial {
    eprintln!("SKIP {name}: no {what} here");
    Trial::test(format!("{name} (no {what})"), || Ok(())).with_ignored_flag(true)
}

pub fn run(trials: Vec<Trial>) -> ExitCode {
    let arguments = Arguments::from_args();
    let conclusion: Conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_code()
}

/// Where a program is, by PATH.
#[expect(clippy::disallowed_methods, reason = "tests read the environment where they need it")]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var("PATH").unwrap_or_default();
    let mut places = path.split(':').map(|folder| PathBuf::from(folder).join(program));
    places.find(|place| place.is_file())
}
