//! `cargo xtask setup`: fetches and builds what the other commands need, into the cache.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use crate::arch::Arch;
use crate::missing::Missing;
use crate::say;

mod bpf_linker;
mod cargo_tool;
mod charts;
mod collector;
mod container_runtime;
mod cross;
mod fingerprint;
mod go;
mod go_programs;
mod kubernetes;
mod libraries;
mod nginx;
mod packages;
mod private;
mod programs;
mod rust_src;
mod virtual_machine;

pub(crate) use cargo_tool::{DENY, FUZZ};
pub(crate) use charts::{Charts, charts};
pub(crate) use collector::collector;
pub(crate) use container_runtime::{ContainerRuntime, container_runtime};
pub(crate) use cross::cross;
pub(crate) use kubernetes::kubernetes;
pub(crate) use private::{Private, VARIABLE as PRIVATE_VARIABLE};
pub(crate) use virtual_machine::{Kernel, Machine, SERIES, Series, busybox, kernel, machine};

/// Fetches and builds the tools that the other commands need, into a cache outside the repository.
///
/// Every part says what it installs and why, once; when all is there a run takes a second. An
/// interrupted run leaves nothing half done, and two runs at once do not collide. Nothing is
/// installed into the system except by the part `programs`.
///
/// ebpf: the Rust tool chain's own sources (through rustup, else from a Debian package) and
/// bpf-linker, which turn Rust into an eBPF object. One to three minutes.
///
/// programs: the real programs that the tests trace. Missing ones come from Debian packages with
/// apt-get, through sudo where you are not root; elsewhere you are told their names. Clients and
/// servers of HTTP and gRPC go into the cache: nginx (from its Debian package, but unpacked only, so
/// that no server is started on this machine), grpcurl, ghz and gRPC's own test programs (Go modules),
/// gunicorn, requests, httpx, aiohttp and grpcio (PyPI), grpc-js (npm). Two minutes.
///
/// charts: Helm and Kustomize, built from Go modules. Needs Go. Two minutes.
///
/// collector: a real OpenTelemetry Collector built from Go modules. Needs Go. Two minutes.
///
/// vm: QEMU and packaged kernels of Debian (5.10, 6.1, 6.12 and the newest), unpacked privately,
/// without root. Needs a Debian system. One minute. To move on to newer kernels, delete the
/// cache's directory `vm`.
///
/// cluster: Kubernetes and etcd built from Go modules, and containerd, runc and network plugins from
/// Debian packages, unpacked privately. Needs Go and a Debian system. Ten minutes.
///
/// What `--arch` of `image` and `vm` needs for another processor comes when it is first asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask setup\n  cargo xtask setup --only ebpf --only vm")]
pub(crate) struct Arguments {
    /// Only this part; may be given several times.
    #[arg(long, value_name = "PART", value_enum)]
    only: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Ebpf,
    Programs,
    Charts,
    Collector,
    Vm,
    Cluster,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Programs => "programs",
            Self::Charts => "charts",
            Self::Collector => "collector",
            Self::Vm => "vm",
            Self::Cluster => "cluster",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut failed = false;
    for part in Part::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(part) {
            continue;
        }
        match ensure(*part) {
            Ok(state) => say::result(&format!("{}: {state}", part.name())),
            Err(error) => match Missing::find(&error) {
                Some(missing) => {
                    say::result(&format!("{}: left out, {missing}", part.name()));
                }
                None => {
                    failed = true;
                    say::error(&error.context(format!("setting up {}", part.name())));
                }
            },
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Makes one part be there; the answer is one line about its state.
pub(crate) fn ensure(part: Part) -> Result<String> {
    match part {
        Part::Ebpf => {
            let tools = ebpf()?;
            Ok(format!("ready, {}", tools.linker.display()))
        }
        Part::Programs => Ok(programs()?.0),
        Part::Charts => Ok(format!("ready, {}", charts()?.helm.display())),
        Part::Collector => Ok(format!("ready, {}", collector()?.display())),
        Part::Vm => {
            let machine = machine(Arch::OWN)?;
            busybox(Arch::OWN)?;
            let mut kernels = Vec::new();
            for series in SERIES {
                kernels.push(kernel(series, Arch::OWN)?.version);
            }
            Ok(format!("ready, {} with kernels {}", machine.version, kernels.join(", ")))
        }
        Part::Cluster => {
            // Before minutes of compilation: a system without Debian's packages has no use for it.
            container_runtime()?;
            busybox(Arch::OWN)?;
            Ok(format!("ready, {}", kubernetes()?.display()))
        }
    }
}

/// The programs that the tests trace: a line about their state, and those of the cache.
pub(crate) fn programs() -> Result<(String, Private)> {
    let state = programs::programs()?;
    let private = Private::ensure();
    Ok((state + &private.lacking(), private))
}

/// What building the kernel object takes.
#[derive(Debug)]
pub(crate) struct EbpfTools {
    /// The executable bpf-linker.
    pub(crate) linker: std::path::PathBuf,
}

pub(crate) fn ebpf() -> Result<EbpfTools> {
    let toolchain = crate::paths::Toolchain::read()?;
    rust_src::ensure(&toolchain)?;
    Ok(EbpfTools { linker: bpf_linker::ensure(&toolchain)? })
}
