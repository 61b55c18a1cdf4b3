//! Counting tests in what the test programs printed.

use std::iter::{self, Sum};
use std::ops::Add;
use std::path::Path;

use anyhow::Result;

use crate::{command, say};

/// How many failures are shown with what they said, and how much of it.
const SHOWN_FAILURES: usize = 5;
const SHOWN_LINES: usize = 30;
/// Characters of a reason in the summary.
const LONGEST_REASON: usize = 600;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
    /// The names of the failed tests and the beginning of what each said: for the very end, where
    /// whoever sees only the tail of a log finds them.
    pub(crate) failures: Vec<String>,
    /// The same of those that were tried once more, whatever became of that.
    pub(crate) again: Vec<String>,
}

impl Counts {
    /// A check that is one thing by itself, and held.
    pub(crate) const ONE_PASSED: Self = Self::of(1, 0, 0);
    pub(crate) const ONE_FAILED: Self = Self::of(0, 1, 0);
    pub(crate) const ONE_SKIPPED: Self = Self::of(0, 0, 1);

    /// What failed as a whole, before a test could.
    pub(crate) fn one_failed(what: &str) -> Self {
        Self { failures: vec![cut(what)], ..Self::ONE_FAILED }
    }

    /// Says with each failure on which kernel it was.
    pub(crate) fn of_kernel(mut self, name: &str) -> Self {
        for said in self.failures.iter_mut().chain(&mut self.again) {
            *said = format!("{name}: {said}");
        }
        self
    }

    const fn of(passed: u32, failed: u32, skipped: u32) -> Self {
        Self { passed, failed, skipped, failures: Vec::new(), again: Vec::new() }
    }

    /// Reads the `test result:` lines of cargo's tests and of our own harness; what a harness
    /// ignores, since the machine lacks something, is skipped.
    pub(crate) fn read(output: &str) -> Self {
        let counts: Self = output.lines().filter_map(result_line).sum();
        Self { failures: failed_tests(output), again: tried_again(output), ..counts }
    }
}

impl Counts {
    /// Reads the last line of the form in which counts are shown, and the names of what failed.
    pub(crate) fn summary(output: &str) -> Self {
        let number = |text: &str, word: &str| text.trim().strip_suffix(word)?.trim().parse().ok();
        let counts = |line: &str| {
            let mut parts = line.split(',');
            let passed = number(parts.next()?, "passed")?;
            let failed = number(parts.next()?, "failed")?;
            Some(Self::of(passed, failed, number(parts.next()?, "skipped")?))
        };
        let failures = output.lines().filter_map(|line| line.strip_prefix("FAIL "));
        let failures = failures.map(str::to_owned).collect();
        Self { failures, ..output.lines().rev().find_map(counts).unwrap_or_default() }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed.saturating_add(other.passed),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
            failures: [self.failures, other.failures].concat(),
            again: [self.again, other.again].concat(),
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { passed, failed, skipped, .. } = self;
        write!(formatter, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// What the tests said about leaving themselves out: `SKIP test: reason`.
pub(crate) fn skipped(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| Some(line.split_once("SKIP ")?.1.trim_end()))
}

/// Shows why tests failed: libtest's own words, else the log's tail.
pub(crate) fn show_failures(output: &str, log: &Path) -> Result<()> {
    say::note(&format!("all of it is in {}", log.display()));
    let failures = failures(output);
    say::block(&if failures.is_empty() { command::tail(log)? } else { failures });
    Ok(())
}

/// What the harness says about the tests that failed: from `failures:` to each `FAILED` result.
/// Where there is no such part (nothing compiled, the machine died) it is empty.
///
/// Each failure is cut to its end, where a verifier's log has its reason, and after the first few
/// only the names remain: one refused program fails every test with megabytes.
fn failures(output: &str) -> String {
    let mut inside = false;
    let mut sections: Vec<Vec<&str>> = vec![Vec::new()];
    for line in output.lines().map(str::trim_end) {
        inside |= line == "failures:";
        if inside {
            if line.starts_with("---- ") || line == "failures:" {
                sections.push(Vec::new());
            }
            sections.iter_mut().last().into_iter().for_each(|section| section.push(line));
        }
        inside &= !line.contains("test result: ");
    }
    let mut details = 0;
    let mut text = String::new();
    let mut say = |line: &str| {
        text.push_str("    | ");
        text.push_str(line);
        text.push('\n');
    };
    for section in sections {
        let [first, rest @ ..] = section.as_slice() else { continue };
        let is_detail = first.starts_with("---- ");
        details += usize::from(is_detail);
        if is_detail && details > SHOWN_FAILURES {
            continue;
        }
        say(first);
        let cut = if is_detail { rest.len().saturating_sub(SHOWN_LINES) } else { 0 };
        if cut > 0 {
            say(&format!("({cut} lines before this)"));
        }
        rest.iter().skip(cut).for_each(|line| say(line));
    }
    text
}

/// `---- name ----` or `---- name stdout ----`, and then the reason.
fn failed_tests(output: &str) -> Vec<String> {
    let mut lines = output.lines().map(str::trim).peekable();
    let mut failed = Vec::new();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" ----"));
        if let Some(name) = name {
            let is_next = |line: &&str| line.starts_with("---- ") || *line == "failures:";
            let says = |line: &&str| !line.is_empty() && !line.contains("panicked at");
            let said = iter::from_fn(|| lines.next_if(|line| !is_next(line))).filter(says);
            let reason: Vec<&str> = said.take(SHOWN_LINES).collect();
            let reason = cut(&reason.join(" | "));
            failed.push(format!("{}: {reason}", name.trim_end_matches(" stdout")));
        }
    }
    failed
}

/// `AGAIN name: reason`, wherever in a line the harness is when a test says it.
fn tried_again(output: &str) -> Vec<String> {
    output.lines().filter_map(|line| Some(cut(line.split_once("AGAIN ")?.1.trim_end()))).collect()
}

fn cut(reason: &str) -> String {
    reason.chars().take(LONGEST_REASON).collect()
}

/// `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.1s`
fn result_line(line: &str) -> Option<Counts> {
    let (_, counts) = line.split_once("test result: ")?.1.split_once(". ")?;
    let count = |word: &str| {
        counts.split(';').find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
    };
    Some(Counts::of(count("passed")?, count("failed")?, count("ignored")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: u32, failed: u32, skipped: u32) {
        assert_eq!(Counts::read(output), Counts::of(passed, failed, skipped), "{output}");
    }

    #[test]
    fn a_summary_is_read_as_it_is_shown() {
        let shown = "FAIL a_job (3 s)\n2 passed, 1 failed, 0 skipped\nbye\n";
        let failures = vec!["a_job (3 s)".to_owned()];
        assert_eq!(Counts::summary(shown), Counts { failures, ..Counts::of(2, 1, 0) });
        assert_eq!(Counts::summary("nothing"), Counts::default());
    }

    #[test]
    fn results_of_several_programs_add_up() {
        let unit = "test a ... ok\n\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; \
                    3 filtered out; finished in 0.10s\n";
        let doc = "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered \
                   out; finished in 0.00s\r\n";
        check(unit, 12, 0, 1);
        check(&format!("{unit}{doc}"), 14, 1, 1);
        check("error[E0308]: mismatched types", 0, 0, 0);
    }

    #[test]
    fn the_failures_of_every_program_are_shown_and_nothing_else() {
        let output = "test a ... ok\ntest result: ok. 1 passed\ntest b ... FAILED\n\nfailures:\r\n\n\
                      ---- b stdout ----\nboom\n\nfailures:\n    b\n\ntest result: FAILED. 0\n\
                      running 1 test\n";
        let shown = failures(output);
        assert!(shown.starts_with("    | failures:\n"));
        assert!(shown.contains("boom") && shown.ends_with("test result: FAILED. 0\n"));
        assert_eq!(failures("error: could not compile"), "");
    }

    #[test]
    fn failed_tests_are_named_with_their_reason() {
        let output = "---- mimic ----\r\nlost 3\r\nmore\n\n---- a::libtest stdout ----\n\nthread \
                      'x' panicked at x.rs:1:\nboom\nfailures:\n    mimic\n";
        let failures = Counts::read(output).failures;
        assert_eq!(failures, ["mimic: lost 3 | more", "a::libtest: boom"]);
    }

    #[test]
    fn a_test_that_was_tried_again_is_named() {
        let output = "test a ... AGAIN b: too late\r\nok\ntest result: ok. 2 passed; 0 failed; 0 \
                      ignored; 0 measured; 0 filtered out; finished in 1s\n";
        let counts = Counts::read(output).of_kernel("6.1");
        assert_eq!((counts.passed, counts.again), (2, vec!["6.1: b: too late".to_owned()]));
    }

    #[test]
    fn a_refused_program_does_not_fill_the_screen() {
        let log = "0: (bf) r6 = r1\n".repeat(100_000);
        let one = |n: usize| format!("---- test{n} ----\n{log}reason {n}\n\n");
        let all: String = (0..9).map(one).collect();
        let shown = failures(&format!("failures:\n\n{all}\nfailures:\n    test0\n    test8\n"));
        assert!(shown.lines().count() < 200);
        assert!(shown.contains("reason 0") && !shown.contains("reason 8"));
        assert!(shown.contains("    test8"));
    }

    #[test]
    fn a_test_that_left_itself_out_is_named() {
        let output = "SKIP java: no java here\r\ntest java (no java) ... ignored\ntest result: ok. 3 \
                      passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1s\n";
        check(output, 3, 0, 1);
        assert_eq!(skipped(output).collect::<Vec<_>>(), ["java: no java here"]);
    }
}
