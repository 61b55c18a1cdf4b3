//! The cache of tools outside the repository: whole things only, under names that carry versions.
//!
//! A thing is built under a temporary name and renamed when complete, under a lock, so an
//! interruption leaves no half thing and two runs at once do not collide.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::say;

/// The cache's directory: `$LYNCEUS_CACHE`, else `$XDG_CACHE_HOME/lynceus`, else
/// `$HOME/.cache/lynceus`.
pub(crate) fn root() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let root = variable("LYNCEUS_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("XDG_CACHE_HOME")?).join("lynceus")))
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache/lynceus")))
        .context("finding a cache directory: set LYNCEUS_CACHE")?;
    std::path::absolute(&root).with_context(|| format!("resolving {}", root.display()))
}

/// Held while one process works on one part of the cache; dropped, it lets the next one in.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Waits for the part's lock, and says so if somebody else has it.
pub(crate) fn lock(part: &str) -> Result<Lock> {
    let directory = root()?.join("locks");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let path = directory.join(part);
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    if file.try_lock().is_err() {
        say::note(&format!("waiting for another set-up of {part} to finish"));
        file.lock().with_context(|| format!("locking {}", path.display()))?;
    }
    Ok(Lock { _file: file })
}

/// Fills `destination` by `fill`, which gets a temporary directory beside it, renamed at the end.
///
/// What is at `destination` is replaced: the caller found it missing or broken. The caller holds
/// the lock of what it installs, so other temporary directories of that name are remains of a run
/// that was killed, and are removed. What `fill` leaves in [`BUILD`] is thrown away.
pub(crate) fn install(destination: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = destination.parent().context("installing into the root directory")?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    let name = destination.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".half-{name}-");
    while let Some(remains) = find(parent, &prefix) {
        remove(&remains)?;
    }
    let half = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(parent)
        .with_context(|| format!("making a temporary directory in {}", parent.display()))?;
    fill(half.path())?;
    remove(&half.path().join(BUILD))?;
    remove(destination)?;
    // tempfile makes directories that only their owner reads; other users may share the cache.
    open_to_all(half.path())?;
    fs::rename(half.path(), destination)
        .with_context(|| format!("renaming {} into place", destination.display()))?;
    // It is no temporary directory any more, so nothing is left to remove.
    drop(half.keep());
    Ok(())
}

/// Where an installation may build, inside the temporary directory that it is given.
pub(crate) const BUILD: &str = "build";

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("removing {}", directory.display()))?;
    }
    Ok(())
}

fn open_to_all(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("opening {} to readers", directory.display()))
}

/// The directory in `parent` whose name starts with `prefix`; of several, the last by name.
pub(crate) fn find(parent: &Path, prefix: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(parent).ok()?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|n| n.starts_with(prefix))
        })
        .collect();
    found.sort();
    found.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_installation_leaves_nothing_under_the_final_name() {
        let cache = tempfile::tempdir().unwrap();
        let destination = cache.path().join("tools/thing-1");
        let failed = install(&destination, |half| {
            fs::write(half.join("a"), "half")?;
            anyhow::bail!("interrupted")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(cache.path().join("tools")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_installation_left_behind_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir(cache.path().join(".half-thing-1-Xy")).unwrap();
        fs::create_dir(cache.path().join(".half-other-1-Xy")).unwrap();
        install(&cache.path().join("thing-1"), |half| Ok(fs::create_dir(half.join(BUILD))?))
            .unwrap();
        let left = fs::read_dir(cache.path()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".half-other-1-Xy", "thing-1"]);
        assert_eq!(fs::read_dir(cache.path().join("thing-1")).unwrap().count(), 0);
    }

    #[test]
    fn an_installation_replaces_what_was_broken() {
        let cache = tempfile::tempdir().unwrap();
        let destination = cache.path().join("thing-1");
        fs::create_dir(&destination).unwrap();
        fs::write(destination.join("old"), "").unwrap();
        install(&destination, |half| Ok(fs::write(half.join("new"), "whole")?)).unwrap();
        assert!(destination.join("new").exists());
        assert!(!destination.join("old").exists());
        assert_eq!(find(cache.path(), "thing-"), Some(destination));
    }
}
