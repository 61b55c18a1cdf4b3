//! The checks, in the order in which a person would look.

use std::{fs, path::Path};

use aya::{programs::ProgramType, sys::is_program_supported};
use nix::sys::utsname::uname;

use super::{
    Check, Verdict,
    rights::{BPF, PERFMON, Rights, SYS_PTRACE, SYS_RESOURCE},
};
use crate::host::{
    capture::{Backend, Capture},
    load::{Form, LoadError, Options, PROCESS_FAMILY, Probes, verifier_log},
    offset, say,
};

pub(super) fn all() -> Vec<Check> {
    let mut checks = vec![kernel(), type_information(), lockdown()];
    checks.extend(rights());
    checks.push(pid_namespace());
    checks.push(cgroups());
    checks.push(limits());
    checks.extend(program_types());
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
    match offset::kernel(0).map(|kernel| kernel.absent) {
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
    let proc = if rights.has(SYS_PTRACE) {
        Check::new("rights to read /proc of others", Verdict::Ok, "CAP_SYS_PTRACE")
    } else {
        Check::new(
            "rights to read /proc of others",
            Verdict::Information,
            "CAP_SYS_PTRACE missing; `run` does not need it",
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
    vec![load, proc, memory]
}

/// Since 5.11 (commit 755e5d55367a) maps count against the cgroup's memory.
fn accounts_maps_by_cgroup() -> bool {
    let Ok(name) = uname() else { return false };
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|digit: char| !digit.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (number(), number()) >= (Some(5), Some(11))
}

fn pid_namespace() -> Check {
    // PROC_PID_INIT_INO of include/linux/proc_ns.h.
    const ROOT: &str = "pid:[4026531836]";
    let own = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let found = if own == Path::new(ROOT) {
        "the root namespace"
    } else {
        "not the root namespace: process.pid of spans is that of the root, process.vpid that of here"
    };
    Check::new("PID namespace", Verdict::Ok, found)
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
        ("tracing (tp_btf, fentry, fexit)", ProgramType::Tracing),
        ("raw tracepoints", ProgramType::RawTracePoint),
        ("tracepoints", ProgramType::TracePoint),
        ("kprobes and uprobes", ProgramType::KProbe),
        ("LSM", ProgramType::Lsm(aya::programs::LsmAttachType::Mac)),
        ("perf events", ProgramType::PerfEvent),
    ];
    let check = |(name, program_type)| {
        let found = match is_program_supported(program_type) {
            Ok(true) => "can be loaded".to_owned(),
            Ok(false) => "this kernel has none".to_owned(),
            Err(error) => format!("not known: {}", say::chain(&error)),
        };
        Check::new(format!("program type: {name}"), Verdict::Information, found)
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
                Err(error) => Check::new(name, Verdict::Limited, told(&error)),
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
    let mut checks = Vec::new();
    for backend in Backend::ALL {
        let name = format!("request probes: {}", backend.name());
        let result = probes.attach_requests(Capture::Only(backend));
        checks.push(match result.and_then(|_| probes.detach_requests()) {
            Ok(()) => match probes.misses(backend) {
                None => Check::new(name, Verdict::Ok, "loaded, verified and attached"),
                Some(what) => Check::new(name, Verdict::Limited, what),
            },
            Err(error) => Check::new(name, Verdict::Information, told(&error)),
        });
    }
    match probes.attach_requests(Capture::Auto) {
        Ok(backend) => {
            let found = format!("{} is used, of those above", backend.name());
            checks.push(Check::new("request probes", Verdict::Ok, found));
            checks.push(unix_sockets(probes, backend));
        }
        Err(error) => checks.push(
            Check::new("request probes", Verdict::Limited, told(&error))
                .remedy("processes are traced, HTTP is not"),
        ),
    }
    checks
}

/// What of UNIX sockets is seen by what is attached.
fn unix_sockets(probes: &Probes, backend: Backend) -> Check {
    const NAME: &str = "requests over UNIX sockets";
    match (probes.unix_error(), backend) {
        (None, _) => Check::new(NAME, Verdict::Ok, "seen"),
        (Some(error), Backend::Tracepoint) => {
            let found = "seen; that a socket was closed shows at its other end only";
            Check::new(NAME, Verdict::Information, format!("{found}: {}", told(error)))
        }
        (Some(error), Backend::Fentry | Backend::Kprobe) => {
            Check::new(NAME, Verdict::Limited, format!("not seen: {}", told(error)))
        }
    }
}

/// Why a program is not attached, with the verifier's last words.
fn told(error: &LoadError) -> String {
    let log = verifier_log(error).filter(|log| !log.is_empty());
    let log = log.map(|log| format!("\n{}", tail(&log, 6))).unwrap_or_default();
    format!("{}{log}", say::chain(error))
}

/// The end of a verifier log is where the reason stands.
fn tail(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}
