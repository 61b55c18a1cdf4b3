//! What is the same for all spans of this machine.

use nix::unistd::{SysconfVar, sysconf};

use crate::{assemble::Machine, clock::Clock};

/// Of x86-64, where the system does not say.
const PAGE_BYTES: u64 = 4096;

pub fn machine(clock: Clock) -> nix::Result<Machine> {
    let page_bytes = sysconf(SysconfVar::PAGE_SIZE)?;
    let page_bytes = page_bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(PAGE_BYTES);
    Ok(Machine { clock, page_bytes })
}
