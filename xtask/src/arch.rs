//! The processors that we build for.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// This machine's own.
    pub(crate) const OWN: Self =
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 };

    /// As Debian, Kubernetes and images call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As Rust, the kernel and compilers call it.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// As Debian calls what is built for it.
    pub(crate) fn triplet(self) -> String {
        format!("{}-linux-gnu", self.machine())
    }

    /// What an image says beside the name.
    pub(crate) fn variant(self) -> Option<&'static str> {
        match self {
            Self::Amd64 => None,
            Self::Arm64 => Some("v8"),
        }
    }

    /// Behind the name of a file or a log; nothing for this machine's own.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            own if own == Self::OWN => "",
            Self::Amd64 => "-amd64",
            Self::Arm64 => "-arm64",
        }
    }
}

impl Default for Arch {
    fn default() -> Self {
        Self::OWN
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
