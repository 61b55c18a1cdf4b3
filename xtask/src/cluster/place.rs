//! The directory of a cluster: everything that it writes is below it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::component::Component;
use crate::paths;

/// The path of a UNIX socket has at most 107 bytes, and `run/containerd/containerd.sock.ttrpc` is
/// the longest one below it.
const LONGEST: usize = 107 - 40;

#[derive(Debug, Clone)]
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    /// `target/cluster`, or what was asked for.
    pub(super) fn new(asked: Option<&Path>) -> Result<Self> {
        let root = asked.map_or_else(|| paths::target().join("cluster"), Path::to_owned);
        let root =
            std::path::absolute(&root).with_context(|| format!("resolving {}", root.display()))?;
        ensure!(
            root.as_os_str().len() <= LONGEST,
            "{} is too long for the sockets in it: choose a directory of at most {LONGEST} \
             characters by --dir",
            root.display()
        );
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What the components keep, and their process ids.
    pub(super) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.root.join("conf")
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.root.join("pki")
    }

    pub(super) fn log(&self, component: Component) -> PathBuf {
        self.logs().join(format!("{}.log", component.name()))
    }

    pub(super) fn process(&self, component: Component) -> PathBuf {
        self.run().join(format!("{}.pid", component.name()))
    }

    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.keys().join(format!("{user}.kubeconfig"))
    }

    pub(super) fn containerd_socket(&self) -> PathBuf {
        self.run().join("containerd/containerd.sock")
    }

    /// Where the Collector writes what it received: lines of OTLP/JSON.
    pub(super) fn collector_output(&self) -> PathBuf {
        self.logs().join("collector.jsonl")
    }

    pub(super) fn make(&self) -> Result<()> {
        for directory in [self.run(), self.logs(), self.configuration(), self.keys()] {
            fs::create_dir_all(&directory)
                .with_context(|| format!("making {}", directory.display()))?;
        }
        Ok(())
    }

    /// Removes everything but the logs. Those are given to the owner of the directory above, who may
    /// have called us through sudo.
    pub(super) fn clear(&self) -> Result<()> {
        for directory in [self.run(), self.configuration(), self.keys()] {
            if directory.exists() {
                fs::remove_dir_all(&directory)
                    .with_context(|| format!("removing {}", directory.display()))?;
            }
        }
        if !self.logs().exists() {
            return Ok(());
        }
        let above = self.root.parent().unwrap_or(&self.root);
        let owner =
            fs::metadata(above).with_context(|| format!("looking at {}", above.display()))?;
        let give = |path: &Path| {
            chown(path, Some(owner.uid()), Some(owner.gid()))
                .with_context(|| format!("giving away {}", path.display()))
        };
        give(&self.root)?;
        give(&self.logs())?;
        let entries = fs::read_dir(self.logs()).context("listing the logs")?;
        entries.into_iter().try_for_each(|entry| give(&entry.context("listing the logs")?.path()))
    }
}
