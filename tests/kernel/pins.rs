//! What stays attached while nobody reads.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use agent::{
    event::BootNanos,
    host::{
        clocks,
        load::{Options, PinOptions, Probes},
    },
};
use agent_tests::need::trial;
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use crate::{
    cgroups::{Group, Happened, Traced, Waits, options},
    peer,
};

/// Programs that may end before all that was pinned is gone.
const DETACHED: u32 = 100;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("pins_keep_what_happens_for_the_next_reader", &[], what_happens_is_kept),
        trial("pins_of_others_are_taken_away", &[], others_are_taken_away),
        trial("pins_take_up_nothing_when_nobody_reads", &[], nothing_when_nobody_reads),
        trial("pins_are_in_no_foreign_folder", &[], foreign_folders_are_refused),
    ]
}

/// A BPF file system for one test.
struct Pinned(TempDir);

impl Pinned {
    fn make() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        mount(None::<&str>, folder.path(), Some("bpf"), MsFlags::empty(), None::<&str>)
            .context("mounting a BPF file system")?;
        Ok(Self(folder))
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("lynceus")
    }

    fn options(&self) -> Options {
        let pins = PinOptions { folder: self.folder(), attached: String::new() };
        Options { pins: Some(pins), ..options(0) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        umount2(self.0.path(), MntFlags::MNT_DETACH).unwrap_or_default();
    }
}

/// Programs that exit with this.
fn exits(code: &str) -> Vec<String> {
    peer::command("exit", &[code])
}

fn run(group: &Path, command: &[String]) -> anyhow::Result<u32> {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    Waits::within(group, &command)?.go()
}

fn what_happens_is_kept() -> anyhow::Result<()> {
    let (group, pinned) = (Group::make()?, Pinned::make()?);
    let mut first = Traced::attached(&group, pinned.options())?;
    ensure!(!first.probes.is_adopted());
    let pod = group.within("pod")?;
    let seen = run(&pod, &exits("3"))?;
    first.exit(seen)?;
    ensure!(Probes::load(pinned.options()).is_err(), "two read one ring");
    drop(first);

    let unseen = run(&pod, &exits("4"))?;
    let mut second = Traced::attached(&group, pinned.options())?;
    ensure!(second.probes.is_adopted());
    let end = second.exit(unseen)?;
    ensure!(matches!(end, Happened::Exit(process, owner, 4) if process == owner), "{end:?}");
    // What the first reader took is gone. A program may be moved while its exec is not over: then it has two.
    let is_exec =
        |one: &Happened, pid: u32| matches!(one, Happened::Exec(_, of, _) if of.pid == pid);
    let is_exit = |one: &Happened, pid: u32| matches!(one, Happened::Exit(of, ..) if of.pid == pid);
    let told = &second.happened;
    ensure!(told.iter().any(|one| is_exec(one, unseen)), "{told:?}");
    ensure!(told.iter().filter(|one| is_exit(one, unseen)).count() == 1, "{told:?}");
    ensure!(!told.iter().any(|one| is_exec(one, seen) || is_exit(one, seen)), "{told:?}");
    let counts = second.probes.counts()?;
    ensure!(counts.seen == counts.emitted && counts.ring_full == 0, "{counts:?}");

    second.probes.detach()?;
    // The kernel lets go of what was pinned when every processor has come by (RCU).
    let mut is_told = || -> anyhow::Result<bool> {
        let after = run(&pod, &exits("5"))?;
        second.read()?;
        Ok(second.happened.iter().any(|one| is_exit(one, after)))
    };
    let mut tries = 0;
    while is_told()? {
        tries += 1;
        ensure!(tries < DETACHED, "{tries} programs were told of after the end");
    }
    ensure!(!pinned.folder().exists(), "something is left");
    Ok(())
}

/// Of another build, or with other options.
fn others_are_taken_away() -> anyhow::Result<()> {
    let (group, pinned) = (Group::make()?, Pinned::make()?);
    drop(Traced::attached(&group, pinned.options())?);
    let folders = || -> anyhow::Result<Vec<_>> {
        let folders = fs::read_dir(pinned.folder())?;
        Ok(folders.map(|one| one.map(|one| one.file_name())).collect::<Result<_, _>>()?)
    };
    let before = folders()?;
    let other = Options { max_tasks: 2048, ..pinned.options() };
    let probes = Traced::attached(&group, other)?.probes;
    let after = folders()?;
    ensure!(!probes.is_adopted() && after.len() == 1 && before != after, "{before:?}, {after:?}");
    Ok(())
}

/// A folder that is on no BPF file system, and one to which others can write.
fn foreign_folders_are_refused() -> anyhow::Result<()> {
    let pinned = Pinned::make()?;
    let elsewhere = TempDir::new()?;
    let refused = |folder: PathBuf| {
        let pins = PinOptions { folder, attached: String::new() };
        let loaded = Probes::load(Options { pins: Some(pins), ..options(0) });
        loaded.err().is_some_and(|error| error.is_of_pins())
    };
    ensure!(refused(elsewhere.path().join("lynceus")), "no BPF file system");
    let open = pinned.folder();
    fs::create_dir(&open)?;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777))?;
    ensure!(refused(open), "others can write to it");
    Ok(())
}

/// The reader said last that it was there when the machine began. What it reports is not reported again.
fn nothing_when_nobody_reads() -> anyhow::Result<()> {
    let (group, pinned) = (Group::make()?, Pinned::make()?);
    let mut first = Traced::attached(&group, pinned.options())?;
    let pod = group.within("pod")?;
    first.probes.renew_reader(BootNanos(0))?;
    while clocks::boot() < BootNanos(61_000_000_000) {
        thread::sleep(Duration::from_secs(1));
    }
    let pid = run(&pod, &exits("3"))?;
    first.read()?;
    let is_its = |one: &Happened| matches!(one, Happened::Exec(_, of, _) if of.pid == pid);
    ensure!(!first.happened.iter().any(is_its), "{:?}", first.happened);
    let unread = first.probes.counts()?.unread;
    ensure!(unread > 0, "it is not counted");
    first.probes.renew_reader(clocks::boot())?;
    drop(first);
    let mut second = Traced::attached(&group, pinned.options())?;
    ensure!(second.probes.counts()?.unread == 0, "it is counted twice");
    let seen = run(&pod, &exits("4"))?;
    second.exit(seen)?;
    Ok(())
}
