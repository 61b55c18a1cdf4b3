//! Why the probes are not attached, or not read.

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use super::{offset::OffsetError, pin::PinFault};

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("this build has no kernel object: run `cargo xtask ebpf` and build again")]
    NoObject,
    #[error(transparent)]
    Offset(#[from] OffsetError),
    #[error("creating the maps (CAP_BPF, and below Linux 5.11 CAP_SYS_RESOURCE, are needed)")]
    Object(#[source] EbpfError),
    #[error("attaching {program} to {target} of the kernel")]
    Attach {
        program: &'static str,
        target: &'static str,
        #[source]
        source: ProgramError,
    },
    #[error("running the program take_up over all tasks")]
    TakeUp(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the kernel object has no {0}")]
    Absent(&'static str),
    #[error("using the map {name}")]
    Map {
        name: &'static str,
        #[source]
        source: MapError,
    },
    #[error("running the program adopt in this process")]
    Adopt(#[source] ProgramError),
    #[error(
        "not attached: before Linux 5.17 the verifier takes a second or more for them \
         (--capture fentry attaches them all the same)"
    )]
    Slow,
    #[error("detaching the probes")]
    Detach(#[source] ProgramError),
    #[error(transparent)]
    Pin(#[from] PinFault),
    #[error("the kernel side refused this process as the root of a trace")]
    NotAdopted,
}

impl LoadError {
    /// Without pins it may work.
    pub fn is_of_pins(&self) -> bool {
        matches!(self, Self::Pin(_) | Self::Object(EbpfError::MapError(MapError::PinError { .. })))
    }
}

/// What the verifier printed, where the cause is a refused program.
pub fn verifier_log(error: &LoadError) -> Option<String> {
    let LoadError::Attach { source: ProgramError::LoadError { verifier_log, .. }, .. } = error
    else {
        return None;
    };
    Some(verifier_log.to_string()).filter(|log| !log.is_empty())
}
