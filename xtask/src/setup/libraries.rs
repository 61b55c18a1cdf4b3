//! Libraries that come with unpacked programs of this machine's own release.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::arch::Arch;

/// Moves out of unpacked packages the libraries that this system lacks. What it has, its C library
/// above all, must not be mixed with another.
pub(super) fn keep_what_is_missing(unpacked: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to).with_context(|| format!("making {}", to.display()))?;
    for place in places() {
        let Ok(entries) = fs::read_dir(unpacked.join(&place)) else { continue };
        for entry in entries {
            let entry = entry.with_context(|| format!("listing {}", place.display()))?;
            let name = entry.file_name();
            let is_library = name.to_string_lossy().contains(".so");
            if is_library && !entry.path().is_dir() && !the_system_has(&name) {
                fs::rename(entry.path(), to.join(&name))
                    .with_context(|| format!("moving {}", name.display()))?;
            }
        }
    }
    Ok(())
}

fn places() -> [PathBuf; 2] {
    ["usr/lib", "lib"].map(|parent| Path::new(parent).join(Arch::OWN.triplet()))
}

fn the_system_has(library: &OsStr) -> bool {
    places().iter().any(|place| Path::new("/").join(place).join(library).exists())
}
