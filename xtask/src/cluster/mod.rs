//! `cargo xtask cluster`: a real Kubernetes of one node on this machine, and nothing left of it after.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;

use self::component::Component;
use self::place::Place;
use self::running::{Cluster, State};
use crate::clock::{self, Stopwatch};
use crate::missing::Missing;
use crate::privilege::{Privilege, WITHOUT_ROOT};
use crate::setup::{self, Part};
use crate::{cache, paths, say};

mod cgroups;
mod component;
mod configuration;
mod host;
mod images;
mod interrupt;
mod node;
mod pki;
mod place;
mod process;
mod ready;
mod running;
mod test;

const NODE_NAME: &str = "node1";
const NODE_ADDRESS: &str = "10.77.0.1";
/// An API server that is not ready tells everything that is.
const LONGEST_REASON: usize = 400;

/// Runs a real Kubernetes of one node on this machine: etcd, all of Kubernetes' own programs,
/// containerd, and an OpenTelemetry Collector that pods reach at http://10.77.0.1:4317.
///
/// All of it is in network and mount namespaces of its own and in one directory, and `down` leaves
/// nothing but the logs. Images need no registry: `cargo xtask image` writes one, and pods name them
/// with `imagePullPolicy: Never`. There is no DNS for pods. Needs root or sudo, and a Debian system
/// for containerd; sets up what is missing (see `cargo xtask setup`), ten minutes the first time, ten
/// seconds later.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask cluster up\n  \
    cargo xtask cluster kubectl -- get pods --all-namespaces\n  cargo xtask cluster down")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,

    /// Where the cluster keeps everything, instead of target/cluster.
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Starts what does not run yet, and waits until the node is ready.
    Up,
    /// Ends everything and removes everything but the logs.
    Down,
    /// Says of each component whether it runs and is ready.
    Status,
    /// Runs kubectl as the cluster's administrator.
    Kubectl {
        #[arg(last = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
    Test(test::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let directory = arguments.dir.as_deref();
    let privilege = Privilege::find();
    ensure!(privilege != Privilege::None, Missing::new(WITHOUT_ROOT));
    if matches!(arguments.verb, Verb::Up | Verb::Test(_)) {
        // As whoever calls: the cache is theirs.
        setup::ensure(Part::Cluster)?;
        setup::ensure(Part::Collector)?;
    }
    let archive = match &arguments.verb {
        Verb::Test(arguments) => Some(test::prepare(arguments)?),
        Verb::Up | Verb::Down | Verb::Status | Verb::Kubectl { .. } => None,
    };
    if privilege == Privilege::Sudo {
        return once_more_as_root(privilege, archive.as_deref());
    }
    match &arguments.verb {
        Verb::Up => {
            let watch = Stopwatch::start();
            Cluster::up(directory)?.leave();
            say::result(&format!("ready after {}", clock::human(watch.elapsed())));
            Ok(ExitCode::SUCCESS)
        }
        Verb::Down => {
            let place = Place::new(directory)?;
            running::take_down(&place)?;
            say::result(&format!("down; logs are in {}", place.logs().display()));
            Ok(ExitCode::SUCCESS)
        }
        Verb::Status => status(&Cluster::find(directory)?),
        Verb::Kubectl { arguments } => {
            let cluster = Cluster::find(directory)?;
            let mut kubectl = cluster.kubectl_command()?;
            let status = kubectl.args(arguments).status().context("starting kubectl")?;
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
        }
        Verb::Test(arguments) => {
            let archive = archive.context("preparing the tests")?;
            test::run(arguments, &archive, directory)
        }
    }
}

/// One line for each component.
fn status(cluster: &Cluster) -> Result<ExitCode> {
    let mut all_ready = true;
    for component in Component::ALL {
        let (pid, what) = match cluster.state(component) {
            State::Ready(process) => (process.pid().to_string(), "ready".to_owned()),
            State::NotReady(process, why) => {
                all_ready = false;
                let why: String = format!("{why:#}").chars().take(LONGEST_REASON).collect();
                (process.pid().to_string(), format!("not ready: {why}"))
            }
            State::Stopped => {
                all_ready = false;
                ("-".to_owned(), "does not run".to_owned())
            }
        };
        say::result(&format!("{:18} {pid:>8}  {what}", component.name()));
    }
    Ok(if all_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// This same command through sudo, with our cache, our target directory, and the image if we built one.
fn once_more_as_root(privilege: Privilege, image: Option<&Path>) -> Result<ExitCode> {
    let ourselves = std::env::current_exe().context("finding this program")?;
    let (cache, target) = (cache::root()?, paths::target());
    let variables =
        [("LYNCEUS_CACHE", cache.as_os_str()), ("CARGO_TARGET_DIR", target.as_os_str())];
    let mut again: Command =
        privilege.command(ourselves.as_os_str(), &variables).context(WITHOUT_ROOT)?;
    again.args(std::env::args_os().skip(1));
    if let Some(image) = image
        && !std::env::args_os().any(|argument| argument == "--image")
    {
        again.arg("--image").arg(image);
    }
    let status = again.status().context("starting sudo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
