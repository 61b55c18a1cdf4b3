//! The running kernel's own type information -> where its structures keep what the probes read.

use std::{fs, io};

use abi::settings::{Offset, Offsets, Settings};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::btf::{Btf, BtfError};

/// Where the kernel keeps its type information.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Of x86-64, and of arm64 with pages of 4 KiB, where nothing is said.
const STACK_BYTES: u32 = 16 * 1024;
/// Of x86-64, likewise.
const REGISTERS_BYTES: u32 = 168;
/// In the kernel.
const POINTER_BYTES: u32 = 8;

/// What no probe can do without.
const NEEDED: &[&str] = &[
    "tgid",
    "group_leader",
    "start_boottime",
    "self_exec_id",
    "signal",
    "mm",
    "arg_start",
    "arg_end",
    "env_start",
    "env_end",
];

#[derive(Debug, thiserror::Error)]
pub enum OffsetError {
    #[error("reading the kernel's type information at {KERNEL_BTF} (CONFIG_DEBUG_INFO_BTF)")]
    Read(#[source] io::Error),
    #[error("parsing the kernel's type information at {KERNEL_BTF}")]
    Parse(#[source] BtfError),
    #[error("finding {structure}.{path} in the kernel's type information")]
    Missing { structure: &'static str, path: String },
}

/// What the running kernel says of itself.
#[derive(Debug)]
pub struct Kernel {
    pub settings: Settings,
    /// Fields that it does not have: they read as zero.
    pub absent: Vec<String>,
    /// Type ids of `bpf_preempt_disable` and `bpf_preempt_enable` (6.10).
    pub preempt_calls: Option<[u32; 2]>,
    pub sockets: Sockets,
}

/// What decides which programs on sockets fit.
#[derive(Debug, Clone, Copy)]
pub struct Sockets {
    /// Without `bpf_loop` (5.17).
    pub is_early: bool,
    /// With `tcp_sendpage` (until 6.4).
    pub has_sendpage: bool,
    /// So many arguments `tcp_recvmsg` has: 6 until 5.18, with `nonblock`, then 5, and 4 where it has none
    /// for the length of an address.
    pub recvmsg: Option<u32>,
}

pub fn kernel(wake_at_bytes: u32, controller: Option<&str>) -> Result<Kernel, OffsetError> {
    let bytes = fs::read(KERNEL_BTF).map_err(OffsetError::Read)?;
    let btf = Btf::parse(&bytes).map_err(OffsetError::Parse)?;
    let mut found = Vec::with_capacity(Offsets::SOURCES.len());
    let mut absent = Vec::new();
    let mut known = ("", None);
    for &(structure, path) in Offsets::SOURCES {
        if known.0 != structure {
            known = (structure, btf.structure(structure));
        }
        let offset = known.1.map_or(Offset::ABSENT, |id| btf.offset_of(id, path));
        if offset == Offset::ABSENT && NEEDED.contains(&path) {
            return Err(OffsetError::Missing { structure, path: path.to_owned() });
        }
        if offset == Offset::ABSENT {
            absent.push(format!("{structure}.{path}"));
        }
        found.push(offset);
    }
    let offsets = Offsets::read_from_bytes(found.as_bytes()).unwrap_or(Offsets::ABSENT);
    let subsystem = controller.map(|controller| subsystem(&btf, controller)).transpose()?;
    let upid = btf.structure("upid").and_then(|id| btf.size_of(id));
    let stack = btf.structure("thread_union").and_then(|id| btf.size_of(id));
    let registers = btf.structure("pt_regs").and_then(|id| btf.size_of(id));
    let recvmsg = btf.function("tcp_recvmsg").and_then(|id| btf.arguments_of(id));
    let calls = btf.function("bpf_preempt_disable").zip(btf.function("bpf_preempt_enable"));
    Ok(Kernel {
        settings: Settings {
            offsets,
            upid_bytes: upid.unwrap_or(16),
            wake_at_bytes,
            subsystem_offset: subsystem.unwrap_or(Offset::ABSENT),
            stack_bytes: stack.unwrap_or(STACK_BYTES),
            registers_bytes: registers.unwrap_or(REGISTERS_BYTES),
            ..Settings::UNSET
        },
        absent,
        sockets: Sockets {
            is_early: btf.function("bpf_loop").is_none(),
            has_sendpage: btf.function("tcp_sendpage").is_some(),
            recvmsg,
        },
        preempt_calls: calls.map(|(disable, enable)| [disable, enable]),
    })
}

/// Where in `css_set.subsys` a controller's is: `SUBSYS` of include/linux/cgroup-defs.h.
fn subsystem(btf: &Btf<'_>, controller: &str) -> Result<Offset, OffsetError> {
    let (structure, path) = ("cgroup_subsys_id", format!("{controller}_cgrp_id"));
    let number = btf.enumeration(structure).and_then(|id| btf.value_of(id, &path));
    let number = number.ok_or(OffsetError::Missing { structure, path })?;
    Ok(Offset(number.saturating_mul(POINTER_BYTES)))
}
