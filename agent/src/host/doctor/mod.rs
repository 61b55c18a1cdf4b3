//! `lynceus doctor`: what this machine allows, what will not work, and why.

mod checks;
mod rights;
mod show;

use std::process::ExitCode;

use serde::Serialize;

use super::{cli::DoctorOptions, say};

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    /// Works, with less.
    Limited,
    /// `run` cannot work so.
    Failed,
    /// Nothing needs it.
    Information,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, found: found.into(), remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Everything that was found. `run_works` is what the exit status says.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: &'static str,
    run_works: bool,
    checks: Vec<Check>,
}

pub fn main(options: DoctorOptions) -> ExitCode {
    let checks = checks::all();
    let run_works = checks.iter().all(|check| check.verdict != Verdict::Failed);
    let report = Report { version: env!("CARGO_PKG_VERSION"), run_works, checks };
    if let Err(error) = show::print(&report, options.json) {
        say::line(format_args!("printing the report: {}", say::chain(&error)));
        return ExitCode::FAILURE;
    }
    if run_works { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
