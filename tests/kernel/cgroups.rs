//! Processes that are traced because of their control group, on the programs themselves: what the agent
//! makes of their records is tested on a cluster.

use std::{
    collections::HashSet,
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use abi::cgroup::Policy;
use agent::{
    decode::decode,
    event::{BootNanos, ConnectionId, Event, TaskId},
    host::{
        capture::{Backend, Capture},
        cgroups::{Hierarchy, hierarchy},
        load::{Attach, ByCgroup, Options, ProbeLog, Probes},
        ring::Ring,
    },
};
use agent_tests::need::{Body, lacking, trial};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use crate::{
    moves::{SENDS, UNIX},
    peer,
};

/// How long a record may take.
const POLL: Duration = Duration::from_millis(20);
const POLLS: u32 = 500;
/// Of the first version of control groups: the one that least has use for.
const CONTROLLER: &str = "pids";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("cgroups_are_traced_from_the_first_exec", &[], || {
            traced_from_the_first_exec(&Group::make()?)
        }),
        of_version_1("cgroups_of_version_1_are_traced_from_the_first_exec", || {
            traced_from_the_first_exec(&Group::of_version_1()?)
        }),
        trial("cgroups_inherit_what_was_decided_of_their_pod", &[], inherit_what_was_decided),
        trial("cgroups_take_up_what_runs", &[], take_up_what_runs),
        trial("cgroups_leave_no_connection_behind", &[], no_connection_behind),
    ]
}

/// Nobody else may use the controller as one of version 2.
fn of_version_1(name: &str, body: Body) -> Trial {
    match Group::of_version_1() {
        Ok(_) => trial(name, &[], body),
        Err(error) => lacking(name, &format!("control groups of version 1 ({error:#})")),
    }
}

/// A control group for one test, in a hierarchy that is mounted for it.
pub(crate) struct Group {
    /// Goes when the group does.
    _folder: TempDir,
    mounted: PathBuf,
    path: PathBuf,
    hierarchy: Hierarchy,
}

impl Group {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        mount(None::<&str>, folder.path(), Some("cgroup2"), MsFlags::empty(), None::<&str>)
            .context("mounting cgroup2")?;
        Self::below(folder.path().to_owned(), folder)
    }

    fn of_version_1() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let mounted = folder.path().join(CONTROLLER);
        fs::create_dir(&mounted)?;
        mount(None::<&str>, &mounted, Some("cgroup"), MsFlags::empty(), Some(CONTROLLER))
            .with_context(|| format!("mounting the controller {CONTROLLER}"))?;
        Self::below(mounted, folder)
    }

    fn below(mounted: PathBuf, folder: TempDir) -> anyhow::Result<Self> {
        // Tests run at the same time, in one process.
        let own = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = mounted.join(format!("lynceus{own}")).join("kubepods");
        fs::create_dir_all(&path).context("making a control group")?;
        let hierarchy = hierarchy(Some(folder.path()))?;
        Ok(Self { _folder: folder, mounted, path, hierarchy })
    }

    pub(crate) fn within(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.path);
        self.path.parent().map_or(Ok(()), fs::remove_dir).unwrap_or_default();
        umount2(&self.mounted, MntFlags::MNT_DETACH).unwrap_or_default();
    }
}

/// With what is in it.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    fs::remove_dir(group).unwrap_or_default();
}

fn id(path: &Path) -> anyhow::Result<u64> {
    Ok(fs::metadata(path)?.ino())
}

pub(crate) fn options(spans_per_second: u32) -> Options {
    Options {
        ring_bytes: 1 << 20,
        max_tasks: 1024,
        requests_per_second: 0,
        cgroups: Some(ByCgroup { hierarchy_id: 0, controller: None, spans_per_second }),
        log: ProbeLog::Off,
        pins: None,
    }
}

/// What happened, as a test looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happened {
    Made(u64, u64, String),
    Gone(u64),
    Exec(u64, TaskId, TaskId),
    /// The process, its owner, its exit code.
    Exit(TaskId, TaskId, u32),
    Connected(ConnectionId),
    Closed(ConnectionId),
}

impl Happened {
    /// To the process with this id.
    fn is_of(&self, pid: u32) -> bool {
        match self {
            Self::Exec(_, process, _) | Self::Exit(process, ..) => process.pid == pid,
            Self::Made(..) | Self::Gone(_) | Self::Connected(_) | Self::Closed(_) => false,
        }
    }
}

pub(crate) struct Traced {
    pub(crate) probes: Probes,
    ring: Ring,
    pub(crate) happened: Vec<Happened>,
    /// Requests of `talk` that were told of, at either end, and those that were not.
    pub(crate) requests: u64,
    pub(crate) beyond: u64,
}

impl Traced {
    /// All that is made in this control group is undecided.
    pub(crate) fn watch(group: &Group, spans_per_second: u32) -> anyhow::Result<Self> {
        let Hierarchy { id, controller, .. } = group.hierarchy;
        let by = ByCgroup { hierarchy_id: id, controller, spans_per_second };
        Self::attached(group, Options { cgroups: Some(by), ..options(spans_per_second) })
    }

    /// With pins: unless what another attached is there.
    pub(crate) fn attached(group: &Group, options: Options) -> anyhow::Result<Self> {
        let mut probes = Probes::load(options)?;
        if !probes.adopt()? {
            probes.attach(Attach::Auto)?;
            probes.attach_cgroups()?;
            probes.keep()?;
            ensure!(probes.set_policy(id(&group.path)?, 0, Policy::WATCHED)?, "no room");
        }
        let ring = Ring::new(probes.take_ring()?);
        Ok(Self { probes, ring, happened: Vec::new(), requests: 0, beyond: 0 })
    }

    /// Reads until this happened.
    pub(crate) fn until(&mut self, is_it: impl Fn(&Happened) -> bool) -> anyhow::Result<Happened> {
        for _ in 0..POLLS {
            self.read()?;
            if let Some(found) = self.happened.iter().find(|one| is_it(one)) {
                return Ok(found.clone());
            }
            self.ring.wait(POLL);
        }
        anyhow::bail!("it did not happen: {:?}", self.happened)
    }

    pub(crate) fn read(&mut self) -> anyhow::Result<()> {
        let (happened, requests, beyond) =
            (&mut self.happened, &mut self.requests, &mut self.beyond);
        let mut wrong = None;
        self.ring.drain(|record| match decode(record) {
            Ok(Event::CgroupMade(made)) => happened.push(Happened::Made(
                made.cgroup_id,
                made.parent_id,
                String::from_utf8_lossy(made.name).into_owned(),
            )),
            Ok(Event::CgroupGone(gone)) => happened.push(Happened::Gone(gone.cgroup_id)),
            Ok(Event::Exec(exec)) => {
                happened.push(Happened::Exec(exec.cgroup_id, exec.process, exec.parent));
            }
            Ok(Event::Exit(exit)) => {
                let code = exit.wait_status.shell_code();
                happened.push(Happened::Exit(exit.process, exit.owner, code));
                *beyond += exit.beyond.ways.iter().map(|way| u64::from(way.requests)).sum::<u64>();
            }
            Ok(Event::Connection(connection)) => {
                happened.push(Happened::Connected(connection.connection));
            }
            Ok(Event::Head(head)) if head.offset == 0 && head.bytes.starts_with(b"GET") => {
                *requests += 1;
            }
            Ok(Event::Closed(closed)) => happened.push(Happened::Closed(closed.connection)),
            Ok(_) => {}
            Err(error) => wrong = Some(error),
        });
        wrong.map_or(Ok(()), |error| Err(error.into()))
    }

    /// The end of the process with this id.
    pub(crate) fn exit(&mut self, pid: u32) -> anyhow::Result<Happened> {
        self.until(|one| matches!(one, Happened::Exit(process, ..) if process.pid == pid))
    }
}

/// A process that was moved into a control group, and executes something when told to.
pub(crate) struct Waits(pub(crate) Child);

impl Waits {
    pub(crate) fn within(group: &Path, command: &[&str]) -> anyhow::Result<Self> {
        let line = peer::command("after-input", command);
        let (program, arguments) = line.split_first().context("no program")?;
        let mut command = Command::new(program);
        let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        // `spawn` is back when the child's descriptors close, which is before the exec is told.
        child.stdout.as_mut().context("no output")?.read_exact(&mut [0])?;
        fs::write(group.join("cgroup.procs"), child.id().to_string()).context("moving")?;
        Ok(Self(child))
    }

    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        Ok(self.0.stdin.take().context("no input")?.write_all(b"\n")?)
    }

    pub(crate) fn go(&mut self) -> anyhow::Result<u32> {
        self.begin()?;
        self.0.wait()?;
        Ok(self.0.id())
    }
}

fn traced_from_the_first_exec(group: &Group) -> anyhow::Result<()> {
    let mut traced = Traced::watch(group, 0)?;
    let pod = group.within("pod")?;
    let pod_id = id(&pod)?;
    let made = Happened::Made(pod_id, id(&group.path)?, "pod".to_owned());
    traced.until(|one| *one == made)?;
    let exits = peer::command("exit", &["3"]);
    let exits: Vec<&str> = exits.iter().map(String::as_str).collect();
    let pid = Waits::within(&pod, &exits)?.go()?;
    let Happened::Exit(process, owner, 3) = traced.exit(pid)? else {
        anyhow::bail!("another end: {:?}", traced.happened)
    };
    ensure!(owner == process, "{:?}", traced.happened);
    ensure!(traced.happened.contains(&Happened::Exec(pod_id, process, TaskId::ROOT)));

    // What is not wanted has no record.
    traced.probes.change_policy(pod_id, Policy::IGNORED)?;
    let ignored = Waits::within(&pod, &exits)?.go()?;
    // Nor has what is in no known control group.
    let outside = Waits::within(&group.mounted, &exits)?.go()?;
    fs::remove_dir(&pod)?;
    traced.until(|one| *one == Happened::Gone(pod_id))?;
    let told = |pid| traced.happened.iter().any(|one| one.is_of(pid));
    ensure!(!told(ignored) && !told(outside), "{:?}", traced.happened);
    let counts = traced.probes.counts()?;
    ensure!(counts.seen == counts.emitted, "{counts:?}");
    Ok(())
}

/// Of a container that is made in a pod that is not wanted nothing is told, though nobody decided of it
/// itself; of one in a pod that is wanted, all is.
fn inherit_what_was_decided() -> anyhow::Result<()> {
    let group = Group::make()?;
    let mut traced = Traced::watch(&group, 0)?;
    let exits = peer::command("exit", &["5"]);
    let exits: Vec<&str> = exits.iter().map(String::as_str).collect();
    let mut within = |name: &str, policy: Policy| -> anyhow::Result<(u64, u32)> {
        let pod = group.within(name)?;
        let pod_id = id(&pod)?;
        traced.until(|one| matches!(one, Happened::Made(made, ..) if *made == pod_id))?;
        traced.probes.change_policy(pod_id, policy)?;
        let container = pod.join("container");
        fs::create_dir(&container)?;
        Ok((id(&container)?, Waits::within(&container, &exits)?.go()?))
    };
    let (_, ignored) = within("ignored", Policy::IGNORED)?;
    let (container, wanted) = within("wanted", Policy::TRACED)?;
    let Happened::Exit(process, owner, 5) = traced.exit(wanted)? else {
        anyhow::bail!("another end: {:?}", traced.happened)
    };
    ensure!(owner == process, "{:?}", traced.happened);
    ensure!(traced.happened.contains(&Happened::Exec(container, process, TaskId::ROOT)));
    // It came first, and the ring keeps the order.
    ensure!(!traced.happened.iter().any(|one| one.is_of(ignored)), "{:?}", traced.happened);
    Ok(())
}

fn take_up_what_runs() -> anyhow::Result<()> {
    let group = Group::make()?;
    let pod = group.within("pod")?;
    let exits = peer::command("exit", &["4"]);
    let exits: Vec<&str> = exits.iter().map(String::as_str).collect();
    let mut runs = Waits::within(&pod, &exits)?;
    let mut disowned = Waits::within(&pod, &exits)?;
    let mut traced = Traced::watch(&group, 0)?;
    traced.probes.set_policy(id(&pod)?, id(&group.path)?, Policy::TRACED)?;
    let taken = traced.probes.take_up()?;
    let pids: HashSet<u32> = taken.iter().map(|task| task.process.pid).collect();
    ensure!(pids == HashSet::from([runs.0.id(), disowned.0.id()]), "{taken:?}");
    ensure!(taken.iter().all(|task| task.owner == task.process), "{taken:?}");
    let first = runs.go()?;
    let Happened::Exit(process, owner, 4) = traced.exit(first)? else {
        anyhow::bail!("another end: {:?}", traced.happened)
    };
    ensure!(owner == process && taken.iter().any(|task| task.process == process), "{taken:?}");

    traced.probes.change_policy(id(&pod)?, Policy::IGNORED)?;
    traced.probes.disown(&HashSet::from([id(&pod)?]))?;
    let second = disowned.go()?;
    fs::remove_dir(&pod)?;
    let gone = id(&pod).err().map(|_| ());
    ensure!(gone.is_some());
    traced.until(|one| matches!(one, Happened::Gone(_)))?;
    let told = |one: &Happened| matches!(one, Happened::Exit(one, ..) if one.pid == second);
    ensure!(!traced.happened.iter().any(told), "{:?}", traced.happened);
    Ok(())
}

/// Of each connection over a UNIX socket its end is told, or it is found when the process is gone.
fn no_connection_behind() -> anyhow::Result<()> {
    let group = Group::make()?;
    let mut traced = Traced::watch(&group, 0)?;
    let slowly = Capture::Only(Backend::Fentry);
    let attached = traced.probes.attach_requests(Capture::Auto);
    attached.or_else(|_| traced.probes.attach_requests(slowly))?;
    let pod = group.within("pod")?;
    let folder = TempDir::new()?;
    let socket = format!("{UNIX}{}", folder.path().join("socket").display());
    let moves = peer::command("moves", &[&socket, "read"]);
    let moves: Vec<&str> = moves.iter().map(String::as_str).collect();
    let pid = Waits::within(&pod, &moves)?.go()?;
    traced.exit(pid)?;
    let ids = |of: fn(&Happened) -> Option<ConnectionId>| -> HashSet<_> {
        traced.happened.iter().filter_map(of).collect()
    };
    let connected = ids(|one| if let Happened::Connected(id) = one { Some(*id) } else { None });
    let closed = ids(|one| if let Happened::Closed(id) = one { Some(*id) } else { None });
    ensure!(connected.len() == 2 * SENDS.len(), "{:?}", traced.happened);
    let young = traced.probes.sweep(BootNanos(0))?;
    ensure!(young.is_empty(), "{young:?}");
    let found = traced.probes.sweep(BootNanos(u64::MAX))?;
    let all: HashSet<_> = closed.union(&found).copied().collect();
    ensure!(all == connected && closed.is_disjoint(&found), "{closed:?}, {found:?}");
    let again = traced.probes.sweep(BootNanos(u64::MAX))?;
    ensure!(again.is_empty(), "{again:?}");
    Ok(())
}
