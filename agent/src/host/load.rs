//! The embedded object -> maps and attached programs, one program at a time.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, AsRawFd, OwnedFd, RawFd},
    path::PathBuf,
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{MapData, RingBuf},
    programs::{Program, RawTracePoint, RawTracePointRunOptions, TestRun as _},
};
use zerocopy::IntoBytes as _;

use super::{
    attach::{Attached, Tools, unload},
    kcall, memory,
    offset::{self, Sockets},
    pin::{self, Links, Pins},
};
pub use super::{
    fault::{LoadError, verifier_log},
    policy::ByCgroup,
};
use crate::event::BootNanos;

static PLAIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lynceus.bpf.o"));
static LOGGING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lynceus-log.bpf.o"));

/// (program, tracepoint): each is there as `tp_btf` and, with `_raw` behind, as a raw tracepoint.
pub const PROCESS_FAMILY: [(&str, &str); 3] = [
    ("fork", "sched_process_fork"),
    ("exec", "sched_process_exec"),
    ("exit", "sched_process_exit"),
];

/// What the names of the copies of a program end in: the one for kernels where nothing comes in
/// between, and the two for those where something can (see `agent-ebpf/src/process.rs`).
const PLAIN_COPY: [&str; 1] = [""];
const PREEMPTIBLE_COPIES: [&str; 5] = ["_1", "_2", "_3", "_4", "_5"];

/// How programs are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attach {
    /// As `tp_btf`, and where the kernel refuses one of them all as raw tracepoints: the two forms
    /// count threads in different ways.
    #[default]
    Auto,
    /// In this form or not at all.
    Only(Form),
}

/// What kind of program it is to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Btf,
    Raw,
}

impl Form {
    pub fn name(self) -> &'static str {
        match self {
            Self::Btf => "tp_btf",
            Self::Raw => "raw tracepoint",
        }
    }
}

/// Which of the two embedded objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProbeLog {
    #[default]
    Off,
    /// The probes tell what they do, through `aya-log`.
    On,
}

#[derive(Debug, Clone)]
pub struct Options {
    /// A power of two of pages.
    pub ring_bytes: u32,
    /// Processes that can be traced at one time.
    pub max_tasks: u32,
    /// Of a process, that get a span; 0 for all.
    pub requests_per_second: u32,
    /// Trace processes by their control groups.
    pub cgroups: Option<ByCgroup>,
    pub log: ProbeLog,
    /// Where what is attached stays when this process ends.
    pub pins: Option<PinOptions>,
}

#[derive(Debug, Clone)]
pub struct PinOptions {
    /// A folder of a BPF file system.
    pub folder: PathBuf,
    /// What is attached depends on this, too.
    pub attached: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ring_bytes: 4 << 20,
            max_tasks: 32 << 10,
            requests_per_second: 0,
            cgroups: None,
            log: ProbeLog::default(),
            pins: None,
        }
    }
}

/// The loaded object. Dropping it detaches everything.
#[derive(Debug)]
pub struct Probes {
    pub(super) ebpf: Ebpf,
    /// The parsed type information; large, so it is dropped before anything runs.
    btf: Option<Btf>,
    /// Which copies of each program are attached.
    pub(super) copies: &'static [&'static str],
    ring_bytes: u32,
    /// Which programs on sockets fit.
    pub(super) sockets: Sockets,
    /// The programs on sockets that are attached.
    pub(super) requests: Vec<String>,
    /// Why those on UNIX sockets are not.
    pub(super) unix: Option<LoadError>,
    /// What programs missed that were detached since.
    pub(super) missed_before: u64,
    pins: Option<Pins>,
    /// Of what was attached, where there are pins.
    links: Option<Links>,
    /// The programs that another process attached, which read the ring before.
    adopted: BTreeMap<String, OwnedFd>,
    /// When that process was there last.
    pub(super) last_read: BootNanos,
    /// What it reported of the kernel's counts, by their slots, and behind them what was missed.
    pub(super) reported: Vec<u64>,
}

impl Probes {
    /// Creates the maps; attaches nothing yet.
    pub fn load(options: Options) -> Result<Self, LoadError> {
        let object = match options.log {
            ProbeLog::Off => PLAIN,
            ProbeLog::On => LOGGING,
        };
        if object.is_empty() {
            return Err(LoadError::NoObject);
        }
        let controller = options.cgroups.and_then(|by| by.controller);
        let kernel = offset::kernel(options.ring_bytes / 8, controller)?;
        let mut settings = kernel.settings;
        let (copies, object) = match kernel.preempt_calls {
            Some(calls) if tracepoints_are_preemptible() => {
                (&PREEMPTIBLE_COPIES[..], kcall::patched(object, calls))
            }
            Some(_) | None => (&PLAIN_COPY[..], kcall::aligned(object)),
        };
        let copies_len = u32::try_from(copies.len()).unwrap_or(1);
        settings.function_scratch = copies_len;
        settings.requests_per_second = options.requests_per_second;
        if let Some(by) = options.cgroups {
            settings.by_cgroup = 1;
            settings.hierarchy_id = by.hierarchy_id;
            settings.spans_per_second = by.spans_per_second;
        }
        let sizes = [options.ring_bytes, options.max_tasks].map(u32::to_le_bytes).concat();
        let open = |pins: &PinOptions| {
            let attached = pins.attached.as_bytes();
            let key = [object.as_bytes(), settings.as_bytes(), &sizes, attached];
            Pins::open(&pins.folder, &key)
        };
        let pins = options.pins.as_ref().map(open).transpose()?;
        let mut loader = EbpfLoader::new();
        loader
            .btf(None)
            .override_global("SETTINGS", settings.as_bytes(), true)
            .map_max_entries("RING", options.ring_bytes)
            .map_max_entries("TASKS", options.max_tasks)
            .map_max_entries("THREADS", options.max_tasks.saturating_mul(2))
            .map_max_entries("SCRATCH", copies_len + 2);
        if let Some(pins) = &pins {
            for name in pin::MAPS {
                loader.map_pin_path(name, pins.map(name));
            }
        } else {
            loader.map_max_entries("TOLD", 1);
        }
        let ebpf = match loader.load(object.as_bytes()) {
            Ok(ebpf) => ebpf,
            Err(error) => {
                pins.map_or(Ok(()), |pins| pins.remove())?;
                return Err(LoadError::Object(error));
            }
        };
        Ok(Self {
            links: pins.as_ref().map(|_| Links::default()),
            pins,
            ebpf,
            btf: None,
            copies,
            ring_bytes: options.ring_bytes,
            sockets: kernel.sockets,
            requests: Vec::new(),
            unix: None,
            missed_before: 0,
            adopted: BTreeMap::new(),
            last_read: BootNanos::default(),
            reported: Vec::new(),
        })
    }

    /// Takes over what an earlier process left attached. `false` where there is nothing.
    pub fn adopt(&mut self) -> Result<bool, LoadError> {
        let Some(pins) = self.pins.as_ref().filter(|pins| pins.is_whole()) else {
            return Ok(false);
        };
        self.adopted = pins.programs().or_else(|fault| pins.remove().and(Err(fault)))?;
        let of_processes = PROCESS_FAMILY.map(|(program, _)| program);
        let is_other = |name: &&String| {
            let program = name.split('_').next().unwrap_or_default();
            !of_processes.contains(&program) && program != "cgroup"
        };
        self.requests = self.adopted.keys().filter(is_other).cloned().collect();
        (self.last_read, self.reported) = self.reported()?;
        self.load_iterator()?;
        Ok(true)
    }

    pub fn is_adopted(&self) -> bool {
        !self.adopted.is_empty()
    }

    /// Of a program that is loaded.
    pub(super) fn program_fd(&self, name: &str) -> Option<RawFd> {
        let own = || Some(self.ebpf.program(name)?.fd().ok()?.as_fd().as_raw_fd());
        self.adopted.get(name).map(AsRawFd::as_raw_fd).or_else(own)
    }

    pub fn is_pinned(&self) -> bool {
        self.pins.is_some()
    }

    /// From here on what is attached stays when this process ends, unless it is detached.
    pub fn keep(&mut self) -> Result<(), LoadError> {
        if let (Some(pins), Some(links)) = (&self.pins, self.links.take()) {
            let kept = pins.keep(links, &mut self.ebpf);
            kept.or_else(|fault| pins.remove().and(Err(fault)))?;
        }
        Ok(())
    }

    /// Attaches fork, exec and exit: all or an error that names the first that did not.
    pub fn attach(&mut self, how: Attach) -> Result<(), LoadError> {
        match how {
            Attach::Only(form) => self.attach_all(form),
            Attach::Auto => self.attach_all(Form::Btf).or_else(|refused| {
                self.unload_all()?;
                // What is wrong with the better form is what there is to say.
                self.attach_all(Form::Raw).or(Err(refused))
            }),
        }
    }

    fn attach_all(&mut self, form: Form) -> Result<(), LoadError> {
        PROCESS_FAMILY.into_iter().try_for_each(|(program, _)| self.attach_one(program, form))
    }

    /// Attaches one of [`PROCESS_FAMILY`].
    pub fn attach_one(&mut self, program: &'static str, form: Form) -> Result<(), LoadError> {
        let known = PROCESS_FAMILY.iter().find(|(name, _)| *name == program);
        let (_, target) = *known.ok_or(LoadError::Absent(program))?;
        let copies = self.copies;
        let mut tools = self.tools();
        let attached = match form {
            Form::Btf => copies.iter().try_for_each(|copy| {
                tools.attach(&format!("{program}{copy}"), Attached::Tracepoint, target)
            }),
            Form::Raw => tools.attach_raw(&format!("{program}_raw"), target),
        };
        attached.map_err(|source| LoadError::Attach { program, target, source })
    }

    /// From here on what this process forks is traced, and this process is not.
    pub fn adopt_self(&mut self) -> Result<(), LoadError> {
        self.btf = None;
        memory::trim();
        self.run_adopt(1)
    }

    /// What this process forks is no longer traced; what it forked before still is.
    pub fn release_self(&mut self) -> Result<(), LoadError> {
        self.run_adopt(0)
    }

    fn run_adopt(&mut self, wanted: u64) -> Result<(), LoadError> {
        let program: &mut RawTracePoint = self
            .ebpf
            .program_mut("adopt")
            .ok_or(LoadError::Absent("adopt"))?
            .try_into()
            .map_err(LoadError::Adopt)?;
        if program.fd().is_err() {
            program.load().map_err(LoadError::Adopt)?;
        }
        let mut options = RawTracePointRunOptions::new();
        options.args[0] = wanted;
        let ran = program.test_run(options).map_err(LoadError::Adopt)?;
        if ran.return_value == 0 { Ok(()) } else { Err(LoadError::NotAdopted) }
    }

    pub fn ring_bytes(&self) -> u32 {
        self.ring_bytes
    }

    /// The ring. `None` the second time.
    pub fn take_ring(&mut self) -> Result<RingBuf<MapData>, LoadError> {
        let map = self.ebpf.take_map("RING").ok_or(LoadError::Absent("RING"))?;
        RingBuf::try_from(map).map_err(|source| LoadError::Map { name: "RING", source })
    }

    /// No record comes any more, and nothing stays. Gives how many events were missed until now.
    pub fn detach(&mut self) -> Result<u64, LoadError> {
        self.missed_before = self.missed_in_all();
        self.adopted.clear();
        if let Some(pins) = &self.pins {
            pins.remove()?;
        }
        self.unload_all()?;
        Ok(self.missed())
    }

    fn unload_all(&mut self) -> Result<(), LoadError> {
        self.links = self.links.as_ref().map(|_| Links::default());
        self.ebpf.programs_mut().try_for_each(|(_, program)| unload(program))
    }

    /// Whether something can come in between a tracepoint's program.
    pub(super) fn is_preemptible(&self) -> bool {
        self.copies != PLAIN_COPY
    }

    pub(super) fn first_copy(&self) -> &'static str {
        self.copies.first().copied().unwrap_or_default()
    }

    pub(super) fn tools(&mut self) -> Tools<'_> {
        Tools { ebpf: &mut self.ebpf, btf: &mut self.btf, links: self.links.as_mut() }
    }

    /// A program that is to be unloaded.
    pub(super) fn let_go(&mut self, name: &str) -> Option<&mut Program> {
        if let Some(links) = &mut self.links {
            links.drop_of(name);
        }
        self.ebpf.program_mut(name)
    }

    /// For `--probe-log`.
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }
}

/// Linux 7.0 protects the programs of a tracepoint by SRCU and no longer disables preemption around
/// them; before, nothing could come in between.
fn tracepoints_are_preemptible() -> bool {
    let name = nix::sys::utsname::uname().ok();
    let release = name.map(|name| name.release().to_string_lossy().into_owned());
    let major =
        release.as_deref().and_then(|release| release.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= 7)
}
