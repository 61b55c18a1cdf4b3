//! What `lynceus agent` needs of its node beside what `run` needs: tried, not concluded from rights.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{
    Check, Verdict,
    place::{Place, variable},
    rights::{DAC_READ_SEARCH, Rights, SYS_PTRACE},
};
use crate::host::{
    cgroups::{self, Hierarchy},
    say,
};

pub(super) fn all(place: Place) -> Vec<Check> {
    vec![pods(place), processes(place)]
}

/// Where the pods' control groups are.
fn pods(place: Place) -> Check {
    const NAME: &str = "control groups of pods";
    let root = variable("LYNCEUS_CGROUP_ROOT").map(PathBuf::from);
    match cgroups::hierarchy(root.as_deref()) {
        Ok(Hierarchy { pods, id: 0, .. }) => {
            Check::of_agent(NAME, Verdict::Ok, format!("cgroup v2: {}", pods.display()))
        }
        Ok(Hierarchy { pods, id, .. }) => {
            let found = format!("cgroup v1, hierarchy {id}: {}", pods.display());
            Check::of_agent(NAME, Verdict::Ok, found)
        }
        Err(error) if place == Place::PodOfAgent => {
            Check::of_agent(NAME, Verdict::Failed, say::chain(&error)).remedy(format!(
                "mount the node's /sys/fs/cgroup, read-only, at {} (`hostCgroups` of the chart \
                 says where the node has it)",
                cgroups::ROOT_IN_POD
            ))
        }
        Err(_) => {
            Check::of_agent(NAME, Verdict::Information, "none: this is no node of Kubernetes")
        }
    }
}

/// What of other processes can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Readable {
    processes: usize,
    no_program: usize,
    no_environment: usize,
}

impl Readable {
    /// What is gone meanwhile is left out, and so are the kernel's own threads.
    fn of_others() -> Self {
        let mut found = Self::default();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
            if pid.is_some_and(|pid| pid != std::process::id()) {
                found.add(&entry.path());
            }
        }
        found
    }

    fn add(&mut self, folder: &Path) {
        if fs::read(folder.join("cmdline")).unwrap_or_default().is_empty() {
            return;
        }
        self.processes += 1;
        self.no_program += denied(fs::read_link(folder.join("exe")));
        self.no_environment += denied(File::open(folder.join("environ")));
    }
}

/// 1 where it is not allowed.
fn denied<T>(result: io::Result<T>) -> usize {
    usize::from(result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied))
}

fn processes(place: Place) -> Check {
    processes_by(Readable::of_others(), Rights::of_this_process(), place)
}

fn processes_by(readable: Readable, rights: Rights, place: Place) -> Check {
    const NAME: &str = "/proc of others";
    let Readable { processes, no_program, no_environment } = readable;
    if no_program + no_environment == 0 {
        let found = format!("program and environment of {processes} processes can be read");
        return Check::of_agent(NAME, Verdict::Ok, found);
    }
    let missing = rights.missing(&[SYS_PTRACE, DAC_READ_SEARCH]);
    let why = if missing.is_empty() {
        "a security module (AppArmor, SELinux) or a sandbox forbids it".to_owned()
    } else {
        format!("{} missing", missing.join(" and "))
    };
    let found = format!(
        "of {processes} processes the program of {no_program} and the environment of \
         {no_environment} cannot be read: {why}"
    );
    let lacks = match (no_program, no_environment) {
        (0, _) => "environment, and a TRACEPARENT in it",
        (_, 0) => "program and directory",
        (_, _) => "program, directory and environment, and a TRACEPARENT in it",
    };
    let remedy = match place {
        Place::Elsewhere => "`run` does not need it".to_owned(),
        Place::PodOfAgent => {
            format!("spans of those that ran before they were traced lack {lacks}")
        }
    };
    Check::of_agent(NAME, place.lack(Verdict::Limited), found).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_says_what_is_missing_and_what_that_means() {
        let check = |no_program, no_environment, place, verdict, said: &[&str]| {
            let readable = Readable { processes: 9, no_program, no_environment };
            let check = processes_by(readable, Rights::NONE, place);
            assert_eq!(check.verdict, verdict);
            let text = format!("{} {}", check.found, check.remedy.unwrap_or_default());
            let lacks = said.iter().find(|said| !text.contains(**said));
            assert_eq!(lacks, None, "{text}");
        };
        check(0, 0, Place::PodOfAgent, Verdict::Ok, &["of 9 processes can be read"]);
        let both = "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH missing";
        let whole = "lack program, directory and environment";
        check(2, 3, Place::PodOfAgent, Verdict::Limited, &["of 2 and", "of 3", both, whole]);
        check(0, 3, Place::PodOfAgent, Verdict::Limited, &["of 0 and", "lack environment"]);
        // As seen on Linux 6.18, where CAP_PERFMON is enough for the environment.
        check(
            2,
            0,
            Place::PodOfAgent,
            Verdict::Limited,
            &["of 2 and", "lack program and directory"],
        );
        check(2, 3, Place::Elsewhere, Verdict::Information, &["`run` does not need it"]);
    }

    #[test]
    fn what_is_refused_is_counted_and_what_is_gone_is_not() {
        let error = |kind: ErrorKind| Err::<(), _>(io::Error::from(kind));
        assert_eq!(denied(error(ErrorKind::PermissionDenied)), 1);
        assert_eq!(denied(error(ErrorKind::NotFound)), 0);
        assert_eq!(denied(Ok(())), 0);
    }
}
