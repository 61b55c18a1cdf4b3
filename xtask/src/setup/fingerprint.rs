//! A short word for what pins a thing in the cache: another pin is another directory.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;

use anyhow::{Context as _, Result};

/// Changes when one of the files does, or `more`.
pub(super) fn fingerprint(directory: &Path, names: &[&str], more: &str) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for name in names {
        let path = directory.join(name);
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        text.hash(&mut hasher);
    }
    if !more.is_empty() {
        more.hash(&mut hasher);
    }
    Ok(format!("{:08x}", hasher.finish() >> 32))
}
