//! What `xtask` tells the person in front of it: progress on standard error, results on standard
//! output. Nothing else in the crate prints.

use crate::clock::{self, Stopwatch};

/// A line about what goes on. Several threads may talk at once; a line is never torn.
pub(crate) fn note(text: &str) {
    eprintln!("     {text}");
}

/// Lines that are laid out already.
pub(crate) fn block(text: &str) {
    eprint!("{text}");
}

/// A heading in front of a group of steps.
pub(crate) fn heading(text: &str) {
    eprintln!("== {text}");
}

/// A result, on standard output.
#[expect(clippy::print_stdout, reason = "the one place that writes results")]
pub(crate) fn result(text: &str) {
    println!("{text}");
}

/// What stopped the whole run, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

/// Runs one step between two lines: what starts, and how it ended and how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    eprintln!("  .. {name}");
    let watch = Stopwatch::start();
    let outcome = work();
    let verdict = if outcome.is_ok() { "  ok" } else { "FAIL" };
    eprintln!("{verdict} {name} ({})", clock::human(watch.elapsed()));
    outcome
}
