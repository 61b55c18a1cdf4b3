//! The Collector that is sent to.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

pub(crate) fn collector() -> Option<PathBuf> {
    env::var_os("LYNCEUS_COLLECTOR").map(PathBuf::from).filter(|path| path.is_file())
}

/// A Collector on loopback.
pub(crate) struct Peer {
    child: Child,
    pub(crate) grpc: String,
    pub(crate) http: String,
    file: PathBuf,
    metrics: PathBuf,
}

impl Peer {
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("collector/config.yaml");
        let (grpc, http) = (free_address()?, free_address()?);
        let (file, metrics) = (folder.join("theirs.jsonl"), folder.join("metrics.jsonl"));
        let child = Command::new(collector().context("no Collector")?)
            .arg("--config")
            .arg(configuration)
            .env("OTLP_GRPC", &grpc)
            .env("OTLP_HTTP", &http)
            .env("OUT", &file)
            .env("OUT_METRICS", &metrics)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("collector.log"))?)
            .spawn()?;
        let mut peer = Self { child, grpc, http, file, metrics };
        for _ in 0..1000 {
            let listens = |address: &str| TcpStream::connect(address).is_ok();
            if listens(&peer.grpc) && listens(&peer.http) {
                return Ok(peer);
            }
            if peer.child.try_wait()?.is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("no Collector: {}", fs::read_to_string(folder.join("collector.log"))?)
    }

    /// The metrics that it wrote until now.
    pub(crate) fn metrics(&self) -> anyhow::Result<String> {
        fs::read_to_string(&self.metrics).context("reading what the Collector wrote of metrics")
    }

    /// Stops it, so that it writes what it holds; gives the spans that it wrote.
    pub(crate) fn stop(mut self) -> anyhow::Result<String> {
        self.end()?;
        fs::read_to_string(&self.file).context("reading what the Collector wrote")
    }

    /// As [`Self::stop`], of metrics.
    pub(crate) fn stop_metrics(mut self) -> anyhow::Result<String> {
        self.end()?;
        self.metrics()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end.
        if let Ok(None) = self.child.try_wait() {
            let _killed = self.child.kill();
            let _waited = self.child.wait();
        }
    }
}

pub(crate) fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
