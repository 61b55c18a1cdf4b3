//! Images that every cluster has, made of busybox: what pods are held open by, and what tests run.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::arch::Arch;
use crate::image::{self, Entry, Image};
use crate::{paths, setup};

/// What a pod's namespaces are held open by.
pub(super) const PAUSE: &str = "localhost/pause:1";
/// Every program of busybox, in `/bin`.
pub(crate) const BUSYBOX: &str = "localhost/busybox:1";
/// Another image of the same layer: its files are the same.
pub(crate) const TWIN: &str = "localhost/twin:1";

/// Writes the archives, and returns their paths.
pub(super) fn write() -> Result<Vec<PathBuf>> {
    let busybox = setup::busybox(Arch::OWN)?;
    let pause = Image {
        name: PAUSE.to_owned(),
        entries: vec![Entry::program("/bin/busybox", &busybox)?],
        // Half a century; and not an endless one, which not every busybox knows.
        entrypoint: ["/bin/busybox", "sleep", "1500000000"].map(str::to_owned).into(),
        ..Image::default()
    };
    let mut entries = vec![
        Entry::program("/bin/busybox", &busybox)?,
        Entry::Directory { path: "/tmp".into(), mode: 0o1777 },
    ];
    entries.extend(
        applets(&busybox)?
            .into_iter()
            .map(|name| Entry::Link { path: format!("/bin/{name}"), target: "busybox".into() }),
    );
    let tools = Image {
        name: BUSYBOX.to_owned(),
        entries,
        command: vec!["/bin/sh".into()],
        environment: vec!["PATH=/bin".into()],
        ..Image::default()
    };
    let mut twin = Image { name: TWIN.to_owned(), ..tools.clone() };
    twin.environment.push("TWIN=yes".into());
    let directory = paths::target().join("image");
    [("pause", pause), ("busybox", tools), ("twin", twin)]
        .into_iter()
        .map(|(name, image)| {
            let archive = directory.join(format!("{name}.tar"));
            image::write(&image, &archive)?;
            Ok(archive)
        })
        .collect()
}

fn applets(busybox: &Path) -> Result<Vec<String>> {
    let mut list = std::process::Command::new(busybox);
    let output =
        crate::command::output(list.arg("--list")).context("listing busybox's programs")?;
    Ok(output.lines().filter(|name| *name != "busybox").map(str::to_owned).collect())
}
