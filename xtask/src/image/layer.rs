//! The files of an image as a tar archive: sorted, owned by root, without times, so that the same
//! files are the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// One thing in an image; its path begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    File { path: String, content: Vec<u8>, mode: u32 },
    Link { path: String, target: String },
    Directory { path: String, mode: u32 },
}

impl Entry {
    /// A file of this machine that may be executed.
    pub(crate) fn program(path: &str, from: &Path) -> Result<Self> {
        let content = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
        Ok(Self::File { path: path.to_owned(), content, mode: 0o755 })
    }

    fn path(&self) -> &str {
        match self {
            Self::File { path, .. } | Self::Link { path, .. } | Self::Directory { path, .. } => {
                path.trim_matches('/')
            }
        }
    }
}

/// A layer, as it is hashed for the image and as it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) unpacked: Vec<u8>,
    pub(super) compressed: Vec<u8>,
}

pub(super) fn write(entries: &[Entry]) -> Result<Layer> {
    let by_path: BTreeMap<&str, &Entry> =
        entries.iter().map(|entry| (entry.path(), entry)).collect();
    // Parents sort before what is in them.
    let parents = by_path.keys().flat_map(|path| Path::new(path).ancestors().skip(1));
    let parents = parents.filter_map(Path::to_str).filter(|path| !path.is_empty());
    let paths: BTreeSet<&str> = by_path.keys().copied().chain(parents).collect();
    let mut tar = Builder::new(Vec::new());
    for path in paths {
        match by_path.get(path) {
            Some(Entry::File { content, mode, .. }) => {
                append(&mut tar, path, EntryType::Regular, *mode, content)?;
            }
            Some(Entry::Link { target, .. }) => {
                let mut header = header(EntryType::Symlink, 0o777);
                tar.append_link(&mut header, path, target)?;
            }
            Some(Entry::Directory { mode, .. }) => {
                append(&mut tar, path, EntryType::Directory, *mode, &[])?;
            }
            None => append(&mut tar, path, EntryType::Directory, 0o755, &[])?,
        }
    }
    let unpacked = tar.into_inner().context("ending the layer's archive")?;
    // Neither a time nor the name of a system in the header.
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut gzip, &unpacked).context("compressing the layer")?;
    let compressed = gzip.finish().context("compressing the layer")?;
    Ok(Layer { unpacked, compressed })
}

/// Adds a member that says of itself only what it has to.
pub(super) fn append(
    tar: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) -> Result<()> {
    let mut header = header(kind, mode);
    header.set_size(u64::try_from(content.len())?);
    tar.append_data(&mut header, path, content).with_context(|| format!("packing {path}"))
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Entry {
        Entry::File { path: path.into(), content: b"x".to_vec(), mode: 0o644 }
    }

    #[test]
    fn parents_are_made_and_come_first() {
        let link = Entry::Link { path: "/usr/bin/b".into(), target: "a".into() };
        let directory = Entry::Directory { path: "/tmp".into(), mode: 0o1777 };
        let layer = write(&[link, file("/usr/bin/a"), directory]).unwrap();
        let mut archive = tar::Archive::new(layer.unpacked.as_slice());
        let members = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            (path, entry.header().mode().unwrap())
        });
        let expected = [
            ("tmp", 0o1777),
            ("usr", 0o755),
            ("usr/bin", 0o755),
            ("usr/bin/a", 0o644),
            ("usr/bin/b", 0o777),
        ];
        assert_eq!(
            members.collect::<Vec<_>>(),
            expected.map(|(path, mode)| (path.to_owned(), mode))
        );
    }

    #[test]
    fn the_order_in_which_files_are_named_does_not_matter() {
        let one = write(&[file("/a"), file("/b/c")]).unwrap();
        assert_eq!(one, write(&[file("/b/c"), file("/a")]).unwrap());
    }
}
