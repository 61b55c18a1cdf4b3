//! `lynceus doctor`: what this machine allows, what will not work, and why.

mod api;
mod checks;
mod node;
mod place;
mod rights;
mod show;
mod why;

use std::process::ExitCode;

use serde::Serialize;

use self::place::Place;
use super::{cli::DoctorOptions, say};

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    /// Works, with less.
    Limited,
    /// Whoever needs it cannot work so.
    Failed,
    /// Nothing here needs it.
    Information,
}

/// Who needs what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Need {
    /// `run` and `agent`.
    All,
    Agent,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) need: Need,
    pub(crate) found: String,
    /// What to do about it, or what is done instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
    /// What the kernel said, in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, verdict: Verdict, found: impl Into<String>) -> Self {
        let (name, found) = (name.into(), found.into());
        Self { name, verdict, need: Need::All, found, remedy: None, detail: None }
    }

    fn of_agent(name: impl Into<String>, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { need: Need::Agent, ..Self::new(name, verdict, found) }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: &'static str,
    run_works: bool,
    /// `None` where no agent is meant to run.
    agent_works: Option<bool>,
    checks: Vec<Check>,
}

impl Report {
    fn new(checks: Vec<Check>, place: Place) -> Self {
        let works = |needs: &[Need]| {
            let mut failed = checks.iter().filter(|check| check.verdict == Verdict::Failed);
            failed.all(|check| !needs.contains(&check.need))
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            run_works: works(&[Need::All]),
            agent_works: match place {
                Place::PodOfAgent => Some(works(&[Need::All, Need::Agent])),
                Place::Elsewhere => None,
            },
            checks,
        }
    }
}

pub fn main(options: DoctorOptions) -> ExitCode {
    let place = Place::find();
    let mut checks = checks::of_machine(place);
    checks.extend(node::all(place));
    checks.extend(api::all(place));
    checks.extend(checks::of_programs());
    let report = Report::new(checks, place);
    let shown = if options.json { show::json(&report) } else { show::table(&report) };
    if let Err(error) = shown {
        say::line(format_args!("printing the report: {}", say::chain(&error)));
        return ExitCode::FAILURE;
    }
    let works = report.run_works && report.agent_works != Some(false);
    if works { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_agent_lacks_does_not_keep_run_from_working() {
        let check = |need: Need, place: Place, expected: (bool, Option<bool>)| {
            let lack = Check { need, ..Check::new("x", Verdict::Failed, "not there") };
            let report = Report::new(vec![lack], place);
            assert_eq!((report.run_works, report.agent_works), expected, "{need:?} {place:?}");
        };
        check(Need::All, Place::Elsewhere, (false, None));
        check(Need::All, Place::PodOfAgent, (false, Some(false)));
        check(Need::Agent, Place::Elsewhere, (true, None));
        check(Need::Agent, Place::PodOfAgent, (true, Some(false)));
    }
}
