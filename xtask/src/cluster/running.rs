//! A cluster that runs: what tests and commands do with it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::component::{Component, Programs, command_line};
use super::host::Rights;
use super::node::{self, Node};
use super::place::Place;
use super::process::Process;
use super::{NODE_ADDRESS, cgroups, configuration, images, interrupt, pki, ready};
use crate::clock::{self, Stopwatch};
use crate::setup::{self, ContainerRuntime};
use crate::{command, paths, say};

/// The slowest component takes seconds, and a minute where others work on the machine, too.
const READY_LIMIT: Duration = Duration::from_secs(300);
const STOP_GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// What a component's state is now.
#[derive(Debug)]
pub(super) enum State {
    Ready(Process),
    /// It runs, and this is why it is not ready.
    NotReady(Process, anyhow::Error),
    Stopped,
}

/// Whether the cluster ends with the value that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtTheEnd {
    Down,
    Left,
}

/// A node and all that runs on it. Dropped, it is taken down if it is ours: [`Cluster::up`] started it,
/// and [`Cluster::leave`] was not called.
/// A signal does not end us while one is up: what waits fails, and so it is dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    place: Place,
    programs: Programs,
    runtime: ContainerRuntime,
    at_the_end: AtTheEnd,
}

impl Cluster {
    /// Sets up what is missing, starts what does not run yet, and waits until all is ready. A cluster
    /// that runs already is left running at the end, and if an error comes.
    pub(crate) fn up(directory: Option<&Path>) -> Result<Self> {
        let mut cluster = Self::find(directory)?;
        interrupt::watch()?;
        if Process::load(&cluster.place.process(Component::Node)).is_none() {
            cluster.at_the_end = AtTheEnd::Down;
        }
        cluster.start_all()?;
        Ok(cluster)
    }

    /// The cluster of a directory, whether it runs or not.
    pub(super) fn find(directory: Option<&Path>) -> Result<Self> {
        let place = Place::new(directory)?;
        let runtime = setup::container_runtime()?;
        let programs = Programs {
            kubernetes: setup::kubernetes()?,
            runtime: runtime.programs.clone(),
            collector: setup::collector()?,
            collector_configuration: paths::repository().join("tests/collector/config.yaml"),
        };
        Ok(Self { place, programs, runtime, at_the_end: AtTheEnd::Left })
    }

    /// Lets it run on.
    pub(super) fn leave(mut self) {
        self.at_the_end = AtTheEnd::Left;
    }

    /// Whether nobody else started it.
    pub(crate) fn is_ours(&self) -> bool {
        self.at_the_end == AtTheEnd::Down
    }

    /// Ends everything and leaves nothing behind but logs.
    pub(crate) fn down(mut self) -> Result<()> {
        self.at_the_end = AtTheEnd::Left;
        take_down(&self.place)
    }

    /// `kubectl` with these arguments, as the administrator: what it printed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        command::output(self.kubectl_command()?.args(arguments))
    }

    /// Applies manifests, in YAML or JSON.
    pub(crate) fn apply(&self, manifests: &str) -> Result<String> {
        self.apply_as(&[], manifests)
    }

    /// As [`Cluster::apply`], with more options.
    pub(super) fn apply_as(&self, options: &[&str], manifests: &str) -> Result<String> {
        let mut file = tempfile::NamedTempFile::new_in(self.place.run())
            .context("making a file for manifests")?;
        std::io::Write::write_all(&mut file, manifests.as_bytes()).context("writing manifests")?;
        let path = file.path().display().to_string();
        self.kubectl(&[&["apply", "--filename", &path], options].concat())
    }

    /// Makes the images of an archive known to the node.
    pub(crate) fn import_image(&self, archive: &Path) -> Result<()> {
        let path = archive.display().to_string();
        self.ctr(&["images", "import", &path])
            .with_context(|| format!("importing the image {}", archive.display()))?;
        Ok(())
    }

    /// Ends one component, asking first, and waits until it is gone.
    pub(crate) fn stop(&self, component: Component) -> Result<()> {
        match Process::load(&self.place.process(component)) {
            Some(process) => process.stop(STOP_GRACE),
            None => Ok(()),
        }
    }

    /// Starts one component, if it does not run, and waits until it is ready.
    pub(crate) fn start(&self, component: Component) -> Result<()> {
        self.start_together(&[component])
    }

    /// The kubelet begins anew, and wants so much memory to be free.
    pub(crate) fn want_free(&self, memory: &str) -> Result<()> {
        self.stop(Component::Kubelet)?;
        configuration::of_kubelet(&self.place, memory)?;
        self.start(Component::Kubelet)
    }

    /// As at the beginning.
    pub(crate) fn want_little_free(&self) -> Result<()> {
        self.want_free(configuration::ENOUGH)
    }

    /// The file with what the Collector received: lines of OTLP/JSON.
    pub(crate) fn collector_output(&self) -> PathBuf {
        self.place.collector_output()
    }

    /// Where pods, and processes in the node's network, reach the Collector by OTLP/HTTP.
    pub(crate) fn collector_url() -> String {
        format!("http://{NODE_ADDRESS}:4318")
    }

    /// Writes something beside the logs, which stay.
    pub(crate) fn keep(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.place.logs().join(format!("{name}.log"));
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }

    /// The directory that a pod mounts to see the unified hierarchy of control groups.
    pub(crate) fn unified_cgroups() -> Result<PathBuf> {
        cgroups::unified()
    }

    /// A program that asks the API server, as the cluster's administrator.
    pub(super) fn command(&self, program: &OsStr) -> Result<Command> {
        let mut command = self.node().inside(program)?;
        command.arg("--kubeconfig").arg(self.place.kubeconfig("admin"));
        Ok(command)
    }

    pub(super) fn kubectl_command(&self) -> Result<Command> {
        let program = self.programs.kubernetes.join("kubectl");
        let mut kubectl = self.command(program.as_os_str())?;
        // Its cache of what the server knows would be in the home directory.
        kubectl.arg("--cache-dir").arg(self.place.run().join("kubectl"));
        Ok(kubectl)
    }

    /// containerd's own client.
    pub(super) fn ctr(&self, arguments: &[&str]) -> Result<String> {
        let mut ctr = self.node().inside(self.programs.runtime.join("ctr").as_os_str())?;
        ctr.arg("--address").arg(self.place.containerd_socket()).arg("--namespace=k8s.io");
        command::output(ctr.args(arguments))
    }

    pub(super) fn node(&self) -> Node<'_> {
        Node { place: &self.place, runtime: &self.runtime }
    }

    pub(super) fn state(&self, component: Component) -> State {
        match Process::load(&self.place.process(component)) {
            None => State::Stopped,
            Some(process) => match ready::check(self, component) {
                Ok(()) => State::Ready(process),
                Err(why) => State::NotReady(process, why),
            },
        }
    }

    fn start_all(&self) -> Result<()> {
        if Process::load(&self.place.process(Component::Node)).is_none() {
            self.start_the_node()?;
        }
        self.start_together(&[Component::Etcd, Component::Containerd, Component::Collector])?;
        self.start_together(&[Component::Apiserver])?;
        let known = self.ctr(&["images", "list", "--quiet"])?;
        if !known.lines().any(|name| name == images::BUSYBOX) {
            for archive in images::write()? {
                self.import_image(&archive)?;
            }
        }
        self.start_together(&[
            Component::ControllerManager,
            Component::Scheduler,
            Component::Proxy,
            Component::Kubelet,
        ])
    }

    /// Where no node runs, whatever is there is remains.
    fn start_the_node(&self) -> Result<()> {
        node::must_be_the_only_one(&self.place.run())?;
        node::end(&self.place)?;
        self.place.make()?;
        pki::write(&self.place)?;
        configuration::write(&self.place, &self.runtime, Rights::find()?)?;
        for log in Component::ALL.map(|component| self.place.log(component)) {
            if log.exists() {
                fs::remove_file(&log).with_context(|| format!("removing {}", log.display()))?;
            }
        }
        self.node().start()
    }

    /// Starts those that do not run, and waits until each is ready.
    fn start_together(&self, components: &[Component]) -> Result<()> {
        let names: Vec<&str> = components.iter().map(|component| component.name()).collect();
        let is_stopped =
            |component: &Component| Process::load(&self.place.process(*component)).is_none();
        let work = || {
            for component in components.iter().filter(|component| is_stopped(component)) {
                self.spawn(*component)?;
            }
            components.iter().try_for_each(|component| self.wait_for(*component))
        };
        if components.iter().any(is_stopped) {
            say::step(&format!("starting {}", names.join(", ")), work)
        } else {
            work()
        }
    }

    fn spawn(&self, component: Component) -> Result<()> {
        let Some(line) = command_line(component, &self.programs, &self.place) else {
            bail!("the node itself is started with the cluster only");
        };
        let (program, arguments) = line.split_first().context("naming a program")?;
        let mut command = self.node().inside(program)?;
        command.args(arguments);
        if component == Component::Collector {
            let address = |port: u16| format!("0.0.0.0:{port}");
            command.env("OTLP_GRPC", address(4317)).env("OTLP_HTTP", address(4318));
            command.env("OUT", self.place.collector_output());
        }
        self.node().spawn(component, command)?;
        Ok(())
    }

    fn wait_for(&self, component: Component) -> Result<()> {
        let name = component.name();
        let watch = Stopwatch::start();
        loop {
            interrupt::check()?;
            let why = match self.state(component) {
                State::Ready(_) => return Ok(()),
                State::NotReady(..) if watch.elapsed() < READY_LIMIT => {
                    std::thread::sleep(POLL);
                    continue;
                }
                State::NotReady(_, why) => {
                    let took = clock::human(watch.elapsed());
                    why.context(format!("{name} is not ready after {took}"))
                }
                State::Stopped => anyhow::anyhow!("{name} ended"),
            };
            let log = self.place.log(component);
            let tail = command::tail(&log)?;
            return Err(
                why.context(format!("starting {name}; {} ends with\n{tail}", log.display()))
            );
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.at_the_end == AtTheEnd::Down
            && let Err(error) = take_down(&self.place)
        {
            say::error(&error.context("taking the cluster down"));
        }
    }
}

/// Needs no program, so that it can be done when something else went wrong.
pub(super) fn take_down(place: &Place) -> Result<()> {
    // What the Collector has not written yet, it writes when it is asked to end.
    if let Some(collector) = Process::load(&place.process(Component::Collector)) {
        collector.stop(STOP_GRACE)?;
    }
    node::end(place)
        .with_context(|| format!("taking down the cluster in {}", place.root().display()))
}
