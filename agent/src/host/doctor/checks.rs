//! What this machine has, and what its kernel takes, in the order in which a person would look.

use std::{fs, path::Path};

use aya::{programs::ProgramType, sys::is_program_supported};
use nix::sys::utsname::uname;

use super::{
    Check, Verdict,
    place::Place,
    rights::{BPF, PERFMON, Rights, SYS_RESOURCE},
    why,
};
use crate::host::{
    capture::{Backend, Capture},
    load::{Form, Options, PROCESS_FAMILY, Probes},
    offset, say,
};

pub(super) fn of_machine(place: Place) -> Vec<Check> {
    let mut checks = vec![kernel(), type_information(), lockdown()];
    checks.extend(rights());
    checks.push(pid_namespace(place));
    checks.push(cgroups());
    checks.push(limits());
    checks
}

pub(super) fn of_programs() -> Vec<Check> {
    let mut checks = program_types();
    checks.extend(process_family());
    checks
}

fn kernel() -> Check {
    let found = uname().map_or_else(
        |error| error.to_string(),
        |name| {
            let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
            format!("{} {}", text(name.release()), text(name.machine()))
        },
    );
    Check::new("kernel", Verdict::Information, found)
}

fn type_information() -> Check {
    const NAME: &str = "kernel type information (BTF)";
    match offset::kernel(0, None).map(|kernel| kernel.absent) {
        Ok(absent) if absent.is_empty() => {
            Check::new(NAME, Verdict::Ok, format!("{}: all fields known", offset::KERNEL_BTF))
        }
        Ok(absent) => {
            let found = format!("{}: no {}", offset::KERNEL_BTF, absent.join(", "));
            Check::new(NAME, Verdict::Limited, found)
                .remedy("spans leave out what these fields hold; nothing to be done")
        }
        Err(error) => Check::new(NAME, Verdict::Failed, say::chain(&error)).remedy(
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of distributions are",
        ),
    }
}

fn lockdown() -> Check {
    const NAME: &str = "kernel lockdown";
    let text = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let mode = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    match mode.map(|(mode, _)| mode) {
        Some("confidentiality") => {
            Check::new(NAME, Verdict::Failed, "confidentiality: no program may read kernel memory")
                .remedy("boot with lockdown=integrity or without it")
        }
        Some(mode) => Check::new(NAME, Verdict::Ok, mode),
        None => Check::new(NAME, Verdict::Ok, "none, or not shown here"),
    }
}

fn rights() -> Vec<Check> {
    let rights = Rights::of_this_process();
    let missing = rights.missing(&[BPF, PERFMON]);
    let load = if missing.is_empty() {
        Check::new("rights to load programs", Verdict::Ok, "CAP_BPF and CAP_PERFMON")
    } else {
        // Whether that is enough is for the real load below to say.
        let found = format!("{} missing", missing.join(" and "));
        Check::new("rights to load programs", Verdict::Limited, found).remedy(
            "run as root (sudo), or: setcap cap_bpf,cap_perfmon+ep on this file, \
             or in a container: --cap-add=BPF --cap-add=PERFMON",
        )
    };
    let memory = if accounts_maps_by_cgroup() || rights.has(SYS_RESOURCE) {
        Check::new("memory for maps", Verdict::Ok, "no limit of locked memory applies")
    } else {
        Check::new(
            "memory for maps",
            Verdict::Limited,
            "before Linux 5.11 maps count as locked memory, and CAP_SYS_RESOURCE is missing",
        )
        .remedy("add CAP_SYS_RESOURCE, or raise `ulimit -l` to 64 MiB")
    };
    vec![load, memory]
}

/// Since 5.11 (commit 755e5d55367a) maps count against the cgroup's memory.
fn accounts_maps_by_cgroup() -> bool {
    let Ok(name) = uname() else { return false };
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|digit: char| !digit.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (number(), number()) >= (Some(5), Some(11))
}

fn pid_namespace(place: Place) -> Check {
    // PROC_PID_INIT_INO of include/linux/proc_ns.h.
    const ROOT: &str = "pid:[4026531836]";
    const NAME: &str = "PID namespace";
    let own = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if own == Path::new(ROOT) {
        let first = fs::read_to_string("/proc/1/comm").unwrap_or_default();
        let found = format!("the root namespace, where process 1 is {}", first.trim());
        return Check::new(NAME, Verdict::Ok, found);
    }
    let found = "not the root namespace: process.pid of spans is that of the root, process.vpid that of here";
    match place {
        Place::Elsewhere => Check::new(NAME, Verdict::Ok, found),
        Place::PodOfAgent => Check::of_agent(NAME, Verdict::Limited, found).remedy(
            "give the pod hostPID: what ran before it was traced is not, or is taken for another",
        ),
    }
}

fn cgroups() -> Check {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let types: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    let found = match (types.contains(&"cgroup2"), types.contains(&"cgroup")) {
        (true, false) => "v2",
        (true, true) => "hybrid: v1 with v2 beside it",
        (false, true) => "v1",
        (false, false) => "none mounted; `run` needs none",
    };
    Check::new("cgroups", Verdict::Information, found)
}

fn limits() -> Check {
    let pid_max = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    let tasks = Options::default().max_tasks;
    let found = format!(
        "{tasks} processes traced at one time (--max-processes), of {} that the kernel allows",
        pid_max.trim()
    );
    Check::new("limits", Verdict::Information, found)
}

/// What this kernel lets these rights load at all, by loading a program of two instructions.
fn program_types() -> Vec<Check> {
    let types = [
        ("functions (fentry, fexit)", ProgramType::Tracing),
        ("raw tracepoints", ProgramType::RawTracePoint),
        ("tracepoints", ProgramType::TracePoint),
        ("kprobes and uprobes", ProgramType::KProbe),
        ("LSM", ProgramType::Lsm(aya::programs::LsmAttachType::Mac)),
        ("perf events", ProgramType::PerfEvent),
    ];
    let check = |(name, program_type)| {
        let name = format!("program type: {name}");
        let found = |found: &str| Check::new(name.as_str(), Verdict::Information, found);
        match is_program_supported(program_type) {
            Ok(true) => found("can be loaded"),
            Ok(false) => found("this kernel has none"),
            Err(error) => {
                let words = why::of_number(&error, Rights::of_this_process());
                found(&words.unwrap_or_else(|| "not known".to_owned())).detail(say::chain(&error))
            }
        }
    };
    types.into_iter().map(check).collect()
}

/// The real thing: loads and attaches the process probes, in both forms, and unloads them again.
fn process_family() -> Vec<Check> {
    let mut probes = match Probes::load(Options::default()) {
        Ok(probes) => probes,
        Err(error) => {
            let check = Check::new("maps", Verdict::Failed, say::chain(&error));
            return vec![check.remedy("see the rights and the type information above")];
        }
    };
    let mut checks = vec![Check::new("maps", Verdict::Ok, "created")];
    let mut works = [false; 2];
    for (form, works) in [Form::Btf, Form::Raw].into_iter().zip(&mut works) {
        let results =
            PROCESS_FAMILY.map(|(program, _)| (program, probes.attach_one(program, form)));
        *works = results.iter().all(|(_, result)| result.is_ok());
        for (program, result) in results {
            let name = format!("probe: {program} as {}", form.name());
            checks.push(match result {
                Ok(()) => Check::new(name, Verdict::Ok, "loaded, verified and attached"),
                Err(error) => Check::new(name, Verdict::Limited, why::refused(&error))
                    .detail(why::detail(&error)),
            });
        }
    }
    checks.extend(requests(&mut probes));
    let family = match works {
        [true, _] => Check::new("process probes", Verdict::Ok, "run as tp_btf"),
        [false, true] => Check::new("process probes", Verdict::Ok, "run as raw tracepoints"),
        [false, false] => Check::new("process probes", Verdict::Failed, "neither form attaches")
            .remedy("see why above, per probe"),
    };
    checks.push(family);
    checks.push(match probes.adopt_self().and_then(|()| probes.release_self()) {
        Ok(()) => Check::new("root of a trace", Verdict::Ok, "this process can be one"),
        Err(error) => Check::new("root of a trace", Verdict::Failed, say::chain(&error)),
    });
    checks
}

/// What is needed to see requests; processes are traced without.
fn requests(probes: &mut Probes) -> Vec<Check> {
    let tried = Backend::ALL.map(|backend| {
        let result = probes.attach_requests(Capture::Only(backend));
        (backend, result.and_then(|_| probes.detach_requests()))
    });
    let used = probes.attach_requests(Capture::Auto);
    let instead = match &used {
        Ok(used) => format!("{} is used instead", used.name()),
        Err(_) => "requests are not seen".to_owned(),
    };
    let mut checks = Vec::new();
    for (backend, result) in tried {
        let name = format!("request probes: {}", backend.name());
        checks.push(match result {
            Ok(()) => match probes.misses(backend) {
                None => Check::new(name, Verdict::Ok, "loaded, verified and attached"),
                Some(what) => Check::new(name, Verdict::Limited, what),
            },
            Err(error) => Check::new(name, Verdict::Information, why::refused(&error))
                .detail(why::detail(&error))
                .remedy(instead.as_str()),
        });
    }
    match used {
        Ok(backend) => {
            let found = format!("{} is used, of those above", backend.name());
            checks.push(Check::new("request probes", Verdict::Ok, found));
            checks.push(unix_sockets(probes, backend));
        }
        Err(error) => checks.push(
            Check::new("request probes", Verdict::Limited, why::refused(&error))
                .detail(why::detail(&error))
                .remedy("processes are traced, HTTP is not"),
        ),
    }
    checks
}

/// What of UNIX sockets is seen by what is attached.
fn unix_sockets(probes: &Probes, backend: Backend) -> Check {
    const NAME: &str = "requests over UNIX sockets";
    let Some(error) = probes.unix_error() else { return Check::new(NAME, Verdict::Ok, "seen") };
    let (verdict, found) = match backend {
        Backend::Tracepoint => {
            (Verdict::Information, "seen; that a socket was closed shows at its other end only")
        }
        Backend::Fentry | Backend::Kprobe => (Verdict::Limited, "not seen"),
    };
    Check::new(NAME, verdict, format!("{found}: {}", why::refused(error)))
        .detail(why::detail(error))
}
