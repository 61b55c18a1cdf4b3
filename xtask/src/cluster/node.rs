//! The node: a network and a mount namespace that live as long as a process is in them, so that of
//! interfaces, rules and mounts nothing is left behind, however the cluster ends.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;

use super::NODE_ADDRESS;
use super::component::Component;
use super::place::Place;
use super::process::{self, Process};
use super::{cgroups, host};
use crate::clock::Stopwatch;
use crate::command;
use crate::setup::ContainerRuntime;

/// Every process of a cluster but those in pods has this in its environment, with the directory's
/// path: so they are all found, whoever started them.
const MARK: &str = "LYNCEUS_CLUSTER";
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const START_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// What the first process does in the new namespaces. Mounts of the machine still arrive, ours do not
/// leave; and they are shared among ourselves, as volumes with propagation need it.
const SCRIPT: &str = r#"
set -eu
mount --no-mtab --make-rshared /
for place in PLACES; do
  mount --no-mtab --bind "$RUN/over$place" "$place"
done
mount --no-mtab --types bpf bpf /sys/fs/bpf
ip link set lo up
ip link add node0 type veth peer name node0-peer
ip link set node0-peer up
ip address add ADDRESS/24 dev node0
ip link set node0 up
ip route add default dev node0
echo 1 > /proc/sys/net/ipv4/ip_forward
exec sleep infinity
"#;

#[derive(Debug)]
pub(super) struct Node<'cluster> {
    pub(super) place: &'cluster Place,
    pub(super) runtime: &'cluster ContainerRuntime,
}

impl Node<'_> {
    /// Makes the namespaces, and waits until they are as they should be.
    pub(super) fn start(&self) -> Result<()> {
        let run = self.place.run();
        let places = host::prepare(&run)?.join(" ");
        let script = SCRIPT.replace("PLACES", &places).replace("ADDRESS", NODE_ADDRESS);
        let mut unshare = self.command("unshare".as_ref());
        unshare.args(["--net", "--mount", "--propagation", "slave", "sh", "-c"]).arg(script);
        unshare.env("RUN", run);
        let process = self.spawn(Component::Node, unshare)?;
        let watch = Stopwatch::start();
        let name = || fs::read_to_string(format!("/proc/{}/comm", process.pid()));
        while name().is_ok_and(|name| name.trim() != "sleep") {
            ensure!(watch.elapsed() < START_LIMIT, "the node's namespaces took too long to make");
            std::thread::sleep(POLL);
        }
        if !process.is_running() {
            let log = self.place.log(Component::Node);
            bail!(
                "making the node's namespaces; {} ends with\n{}",
                log.display(),
                command::tail(&log)?
            );
        }
        Ok(())
    }

    /// A program inside, with the private programs before the system's.
    pub(super) fn inside(&self, program: &OsStr) -> Result<Command> {
        let file = self.place.process(Component::Node);
        let node = Process::load(&file).context("the node does not run")?;
        let mut command = self.command("nsenter".as_ref());
        command.arg("--target").arg(node.pid().to_string());
        command.args(["--net", "--mount", "--"]).arg(program);
        Ok(command)
    }

    /// Starts a program that goes on without us, its output at the end of its log.
    pub(super) fn spawn(&self, component: Component, mut command: Command) -> Result<Process> {
        let log = self.place.log(component);
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("opening {}", log.display()))?;
        let errors = output.try_clone().context("duplicating the log's descriptor")?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let mut child = child.with_context(|| format!("starting {}", component.name()))?;
        let pid = i32::try_from(child.id()).context("reading a process id")?;
        let process = Process::of(pid).with_context(|| format!("starting {}", component.name()));
        // Whoever is the parent has to wait for it, if the parent lives longer.
        std::thread::spawn(move || child.wait());
        let process = process?;
        process.store(&self.place.process(component))?;
        Ok(process)
    }

    /// Whether somebody listens, asked from inside.
    pub(super) fn connects(&self, address: SocketAddr) -> Result<()> {
        let file = self.place.process(Component::Node);
        let node = Process::load(&file).context("the node does not run")?;
        let path = format!("/proc/{}/ns/net", node.pid());
        let namespace = File::open(&path).with_context(|| format!("opening {path}"))?;
        // A thread of its own: it is in the namespace from here to its end.
        let asking = std::thread::spawn(move || -> Result<()> {
            setns(&namespace, CloneFlags::CLONE_NEWNET).context("entering the node's network")?;
            TcpStream::connect_timeout(&address, CONNECT_LIMIT)
                .with_context(|| format!("connecting to {address}"))?;
            Ok(())
        });
        asking.join().unwrap_or_else(|_| bail!("the thread that asked panicked"))
    }

    /// A session of its own: a key pressed at our terminal is not for it.
    fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new("setsid");
        command.arg(program).current_dir(self.place.root());
        command.env(MARK, self.place.root()).env("LD_LIBRARY_PATH", &self.runtime.libraries);
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let mut path = OsString::from(&self.runtime.programs);
        path.push(":");
        path.push(rest);
        command.env("PATH", path);
        command
    }
}

/// Ends everything of the cluster in `place`, its pods too, and puts the machine back as it was. It
/// needs nothing to run, or to be whole.
pub(super) fn end(place: &Place) -> Result<()> {
    let mark = [MARK.as_bytes(), b"=", place.root().as_os_str().as_encoded_bytes()].concat();
    let marked = || -> Result<Vec<Process>> {
        Ok(process::all()?.into_iter().filter(|process| process.has_variable(&mark)).collect())
    };
    // The directory may have been deleted while the cluster ran.
    let ours = host::is_of_this_boot(&place.run()) || !marked()?.is_empty();
    let groups = if ours { cgroups::of_pods()? } else { Vec::new() };
    let watch = Stopwatch::start();
    loop {
        // Again and again: one that we did not see may have started another.
        let mut processes = cgroups::processes(&groups);
        processes.extend(marked()?);
        if processes.is_empty() {
            break;
        }
        if watch.elapsed() > END_LIMIT {
            let pids: Vec<i32> = processes.iter().map(|process| process.pid()).collect();
            bail!("processes of the cluster do not end although they were killed: {pids:?}");
        }
        for process in processes {
            process.signal(Signal::SIGKILL)?;
        }
        std::thread::sleep(POLL);
    }
    cgroups::remove(&groups)?;
    if ours {
        host::restore(&place.run());
    }
    place.clear()
}

/// Another node's pods and ours would be in the same control groups.
pub(super) fn must_be_the_only_one(run: &Path) -> Result<()> {
    if host::is_of_this_boot(run) {
        return Ok(());
    }
    if let Some(group) = cgroups::of_pods()?.first() {
        bail!(
            "this machine already runs a Kubernetes node, or remains of one: {} exists",
            group.display()
        );
    }
    Ok(())
}
