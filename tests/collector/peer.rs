//! The Collector that is sent to.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use agent_tests::port;
use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

pub(crate) fn collector() -> Option<PathBuf> {
    env::var_os("LYNCEUS_COLLECTOR").map(PathBuf::from).filter(|path| path.is_file())
}

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn end(&mut self) -> anyhow::Result<ExitStatus> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGTERM)?;
        Ok(self.0.wait()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `end` there is nothing left to end.
        if let Ok(None) = self.0.try_wait() {
            let _killed = self.0.kill();
            let _waited = self.0.wait();
        }
    }
}

/// A Collector on loopback.
pub(crate) struct Peer {
    running: Running,
    pub(crate) grpc: String,
    pub(crate) http: String,
    file: PathBuf,
    metrics: PathBuf,
}

impl Peer {
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        Self::configured(folder, |_| {})
    }

    /// One that speaks TLS, with what is there of certificates and keys.
    pub(crate) fn start_with_certificates(
        folder: &Path,
        certificates: &Path,
    ) -> anyhow::Result<Self> {
        Self::configured(folder, |collector| {
            collector.arg("--config").arg(file("tls.yaml")).env("CERTIFICATES", certificates);
        })
    }

    fn configured(folder: &Path, prepare: impl Fn(&mut Command)) -> anyhow::Result<Self> {
        let (grpc, http) = (free_address()?, free_address()?);
        let (file, metrics) = (folder.join("theirs.jsonl"), folder.join("metrics.jsonl"));
        let mut collector = Command::new(collector().context("no Collector")?);
        collector.arg("--config").arg(self::file("config.yaml"));
        prepare(&mut collector);
        let child = collector
            .env("OTLP_GRPC", &grpc)
            .env("OTLP_HTTP", &http)
            .env("OUT", &file)
            .env("OUT_METRICS", &metrics)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("collector.log"))?)
            .spawn()?;
        let running = Running(child);
        let mut peer = Self { running, grpc, http, file, metrics };
        for _ in 0..1000 {
            let listens = |address: &str| TcpStream::connect(address).is_ok();
            if listens(&peer.grpc) && listens(&peer.http) {
                return Ok(peer);
            }
            if peer.running.0.try_wait()?.is_some() {
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
        self.running.end()?;
        fs::read_to_string(&self.file).context("reading what the Collector wrote")
    }

    /// As [`Self::stop`], of metrics.
    pub(crate) fn stop_metrics(mut self) -> anyhow::Result<String> {
        self.running.end()?;
        self.metrics()
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("collector").join(name)
}

pub(crate) fn free_address() -> anyhow::Result<String> {
    Ok(format!("127.0.0.1:{}", port::free()?))
}
