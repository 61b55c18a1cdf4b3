//! Maps and attached programs that outlive this process: files on a BPF file system.
//!
//! `FOLDER/KEY/` holds `map/NAME`, `program/NAME` and, when all are there, `link/PROGRAM@TARGET`. The key is of
//! the object and of all that it is loaded with: what another build left, or other options, is taken away.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use aya::{Ebpf, pin::PinError, programs::links::FdLink};
use nix::{
    sys::statfs::{BPF_FS_MAGIC, statfs},
    unistd::geteuid,
};

use super::{object, say};
use crate::id::SpanId;

/// What records, and what they are about, are in.
pub(super) const MAPS: [&str; 14] = [
    "RING",
    "TASKS",
    "THREADS",
    "CGROUPS",
    "RATES",
    "CONNECTIONS",
    "OPEN_MESSAGES",
    "COUNTS",
    "SENDING",
    "RECEIVING",
    "SCRATCH",
    "READER",
    "NAMES",
    "TOLD",
];

#[derive(Debug, thiserror::Error)]
pub enum PinFault {
    #[error("{what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is not a directory of a BPF file system that only this user can write to")]
    Foreign(PathBuf),
    #[error("pinning {path}")]
    Pin {
        path: PathBuf,
        #[source]
        source: PinError,
    },
    #[error("the kernel has no link for {0} that can be pinned")]
    Link(String, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where this build's are.
#[derive(Debug)]
pub(super) struct Pins {
    folder: PathBuf,
    /// Held while this process reads the ring: two would tear it.
    _lock: File,
}

/// Attached programs whose links are to be pinned.
#[derive(Debug, Default)]
pub(super) struct Links {
    attached: Vec<(String, FdLink)>,
    /// Of the first that cannot be.
    fault: Option<PinFault>,
}

impl Links {
    /// The link of a program that was attached to `target` just now. One that cannot be pinned is detached.
    pub(super) fn take<L>(&mut self, program: &str, target: &str, link: L)
    where
        L: TryInto<FdLink>,
        L::Error: std::error::Error + Send + Sync + 'static,
    {
        let name = format!("{program}@{target}");
        match link.try_into() {
            Ok(link) => self.attached.push((name, link)),
            Err(error) => {
                self.fault.get_or_insert(PinFault::Link(name, error.into()));
            }
        }
    }

    /// Detaches a program.
    pub(super) fn drop_of(&mut self, program: &str) {
        self.attached.retain(|(name, _)| name.split('@').next() != Some(program));
    }
}

impl Pins {
    /// Makes the folder, and takes away what others left in it.
    pub(super) fn open(root: &Path, key: &[&[u8]]) -> Result<Self, PinFault> {
        let own = SpanId::derive("pins", key).to_string();
        let at = |what| fault(what, root);
        match fs::DirBuilder::new().mode(0o700).create(root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at("making")(error));
            }
            Ok(()) | Err(_) => {}
        }
        if !is_ours(root).map_err(at("looking at"))? {
            return Err(PinFault::Foreign(root.to_owned()));
        }
        let lock = File::open(root).map_err(at("opening"))?;
        lock.try_lock().map_err(io::Error::from).map_err(at("another agent has locked"))?;
        let folder = root.join(&own);
        let is_key = |name: &str| {
            name.len() == own.len() && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        for other in fs::read_dir(root).into_iter().flatten().flatten() {
            let name = other.file_name().to_string_lossy().into_owned();
            if name != own && is_key(&name) {
                say::line(
                    "what an agent of another version or with other options left is taken away",
                );
                remove(&other.path())?;
            }
        }
        let pins = Self { folder, _lock: lock };
        if !pins.is_whole() {
            // Half of it: its maker died.
            remove(&pins.folder)?;
            for kind in ["map", "program", "attached"] {
                let path = pins.folder.join(kind);
                fs::create_dir_all(&path).map_err(fault("making", &path))?;
            }
        }
        Ok(pins)
    }

    /// Everything is there: programs run.
    pub(super) fn is_whole(&self) -> bool {
        self.folder.join("link").is_dir()
    }

    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.folder.join("map").join(name)
    }

    /// From here on what is attached stays when this process ends.
    pub(super) fn keep(&self, links: Links, ebpf: &mut Ebpf) -> Result<(), PinFault> {
        let pinned = |path: PathBuf, result: Result<(), PinError>| {
            result.map_err(|source| PinFault::Pin { path, source })
        };
        if let Some(fault) = links.fault {
            return Err(fault);
        }
        let before = self.folder.join("attached");
        for (name, link) in links.attached {
            let program = name.split('@').next().unwrap_or_default();
            let path = self.folder.join("program").join(program);
            if !path.exists()
                && let Some(program) = ebpf.program_mut(program)
            {
                pinned(path.clone(), program.pin(&path))?;
            }
            let path = before.join(&name);
            pinned(path.clone(), link.pin(&path).map(drop))?;
        }
        let path = self.folder.join("link");
        fs::rename(&before, &path).map_err(fault("making", &path))
    }

    /// The programs that run, by their names.
    pub(super) fn programs(&self) -> Result<BTreeMap<String, OwnedFd>, PinFault> {
        let folder = self.folder.join("program");
        let mut programs = BTreeMap::new();
        for file in fs::read_dir(&folder).map_err(fault("reading", &folder))?.flatten() {
            let fd = object::open(&file.path()).map_err(fault("opening", &file.path()))?;
            programs.insert(file.file_name().to_string_lossy().into_owned(), fd);
        }
        Ok(programs)
    }

    /// Detaches what is pinned. The maps are forgotten with the last who uses them.
    pub(super) fn remove(&self) -> Result<(), PinFault> {
        remove(&self.folder)?;
        // Another release may have its own there.
        let _in_use = self.folder.parent().map(fs::remove_dir);
        Ok(())
    }
}

fn fault(what: &'static str, path: &Path) -> impl Fn(io::Error) -> PinFault {
    move |source| PinFault::File { what, path: path.to_owned(), source }
}

/// Nobody else may put anything there: it would be taken for what an agent left.
fn is_ours(root: &Path) -> io::Result<bool> {
    let about = fs::symlink_metadata(root)?;
    let others_write = about.permissions().mode() & 0o022 != 0;
    let is_bpf = statfs(root)?.filesystem_type() == BPF_FS_MAGIC;
    Ok(about.is_dir() && about.uid() == geteuid().as_raw() && !others_write && is_bpf)
}

fn remove(folder: &Path) -> Result<(), PinFault> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(fault("removing", folder)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
