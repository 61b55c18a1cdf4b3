//! What `lynceus agent` pushes of itself: the agent of a node whose API server nobody reaches, and on which
//! no pod runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use agent_tests::lynceus::binary;
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::peer::{Peer, Running, free_address};

/// Of an API server on a port where nobody listens.
const KUBECONFIG: &str = "{apiVersion: v1, kind: Config, current-context: x,
    clusters: [{name: x, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: x, user: {}}],
    contexts: [{name: x, context: {cluster: x, user: x}}]}";
/// From which counters grow.
const START: &str = "startTimeUnixNano";

pub(crate) fn by_grpc() -> anyhow::Result<()> {
    arrive(|peer, agent| {
        agent.arg("--otlp-metrics").arg(format!("http://{}", peer.grpc));
        agent.args(["--otlp-metrics-protocol", "grpc"]);
    })
}

pub(crate) fn by_http() -> anyhow::Result<()> {
    arrive(|peer, agent| {
        agent.env("OTEL_METRICS_EXPORTER", "otlp");
        agent.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", peer.http));
        agent.env("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip");
    })
}

fn arrive(prepare: impl Fn(&Peer, &mut Command)) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let peer = Peer::start(folder.path())?;
    let agent = Agent::start(folder.path(), |agent| prepare(&peer, agent))?;
    agent.until("two pushes arrive", || {
        Ok(pushes(&peer.metrics()?).is_ok_and(|pushes| pushes.len() > 1).then_some(()))
    })?;
    let shown = agent.metrics()?;
    agent.stop()?;
    let pushes = pushes(&peer.stop_metrics()?)?;
    let (first, last) = pushes.first().zip(pushes.last()).context("nothing arrived")?;
    ensure!(first.kinds() == kinds(&shown), "{:?} is not {shown}", first.kinds());
    first.is_of("service.name", "lynceus")?;
    first.is_of("k8s.node.name", "the-node")?;
    first.is_of("k8s.cluster.name", "the-cluster")?;
    ensure!(pushes.iter().all(|push| push.resource == first.resource), "{pushes:?}");
    let began = first.points().find_map(|point| Some(point.get(START)?.as_str()?.to_owned()));
    for push in &pushes {
        push.counts_since(began.as_deref().context("nothing says when it began")?)?;
    }
    let (received, held) =
        (last.sum("lynceus_records_received")?, last.sum("lynceus_records_held")?);
    let (exported, lost) =
        (last.sum("lynceus_records_exported")?, last.sum("lynceus_records_lost")?);
    ensure!((received - exported - held - lost).abs() < 0.5, "it does not balance: {last:?}");
    // When the last one is made all others are over.
    let others = u32::try_from(pushes.len() - 1)?;
    ensure!(last.sum("lynceus_metrics_pushes")? >= f64::from(others), "{others}: {last:?}");
    Ok(())
}

/// What one push said, by the names of metrics.
#[derive(Debug)]
struct Push {
    resource: Value,
    metrics: BTreeMap<String, Value>,
}

/// In the order in which they arrived.
fn pushes(lines: &str) -> anyhow::Result<Vec<Push>> {
    let mut pushes = Vec::new();
    for line in lines.lines() {
        let request: Value = serde_json::from_str(line)?;
        for one in request["resourceMetrics"].as_array().into_iter().flatten() {
            let metrics = one["scopeMetrics"][0]["metrics"].as_array().into_iter().flatten();
            let metrics = metrics.map(|metric| {
                (metric["name"].as_str().unwrap_or_default().to_owned(), metric.clone())
            });
            pushes.push(Push { resource: one["resource"].clone(), metrics: metrics.collect() });
        }
    }
    Ok(pushes)
}

impl Push {
    fn is_of(&self, key: &str, expected: &str) -> anyhow::Result<()> {
        let attributes = self.resource["attributes"].as_array().into_iter().flatten();
        let mut found = attributes.filter(|attribute| attribute["key"] == key);
        let found = found.next().map(|found| &found["value"]["stringValue"]);
        ensure!(found.is_some_and(|found| found == expected), "{key}: {:?}", self.resource);
        Ok(())
    }

    /// Prometheus' names and kinds of them.
    fn kinds(&self) -> BTreeSet<String> {
        let of = |(name, metric): (&String, &Value)| {
            let unit = match metric["unit"].as_str() {
                Some("By") => "_bytes",
                Some("s") => "_seconds",
                _ => "",
            };
            let kinds = [("sum", "counter"), ("gauge", "gauge"), ("histogram", "histogram")];
            let kind = kinds.iter().find(|(kind, _)| metric.get(kind).is_some());
            format!("{name}{unit} {}", kind.map_or("", |(_, kind)| kind))
        };
        self.metrics.iter().map(of).collect()
    }

    fn points(&self) -> impl Iterator<Item = &Value> {
        self.metrics.values().flat_map(|metric| {
            let kinds = ["sum", "gauge", "histogram"].into_iter();
            kinds.flat_map(|kind| metric[kind]["dataPoints"].as_array().into_iter().flatten())
        })
    }

    fn sum(&self, name: &str) -> anyhow::Result<f64> {
        let metric = self.metrics.get(name).with_context(|| format!("there is no {name}"))?;
        let points = ["sum", "gauge"].iter().flat_map(|kind| metric[kind]["dataPoints"].as_array());
        Ok(points.flatten().filter_map(|point| point["asDouble"].as_f64()).sum())
    }

    fn counts_since(&self, began: &str) -> anyhow::Result<()> {
        for metric in self.metrics.values() {
            let Some(counts) = metric.get("sum").or_else(|| metric.get("histogram")) else {
                continue;
            };
            ensure!(counts["aggregationTemporality"] == 2, "not cumulative: {metric}");
            ensure!(metric.get("sum").is_none_or(|sum| sum["isMonotonic"] == true), "{metric}");
            for point in counts["dataPoints"].as_array().into_iter().flatten() {
                let read = point["timeUnixNano"].as_str().unwrap_or_default();
                ensure!(point[START] == began && began < read, "since another time: {metric}");
            }
        }
        Ok(())
    }
}

/// Of OpenMetrics text, as [`Push::kinds`].
fn kinds(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect()
}

struct Agent {
    running: Running,
    admin: String,
    log: PathBuf,
}

impl Agent {
    fn start(folder: &Path, prepare: impl FnOnce(&mut Command)) -> anyhow::Result<Self> {
        let (config, cgroups) = (folder.join("kubeconfig"), folder.join("cgroup"));
        fs::write(&config, KUBECONFIG)?;
        fs::create_dir_all(cgroups.join("kubepods"))?;
        fs::write(cgroups.join("cgroup.controllers"), "")?;
        let (admin, log) = (free_address()?, folder.join("agent.log"));
        let mut agent = Command::new(binary());
        agent.args(["agent", "--node-name", "the-node", "--capture", "off"]);
        agent.arg("--admin").arg(&admin).arg("--cgroup-root").arg(cgroups);
        agent.arg("--out").arg(folder.join("spans.jsonl"));
        agent.env("KUBECONFIG", config).env("OTEL_METRIC_EXPORT_INTERVAL", "300");
        agent.env("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=the-cluster");
        agent.stdin(Stdio::null()).stderr(fs::File::create(&log)?);
        prepare(&mut agent);
        Ok(Self { running: Running(agent.spawn()?), admin, log })
    }

    /// Asks again until there is an answer, which takes less than 20 s.
    fn until<T>(
        &self,
        what: &str,
        ask: impl Fn() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        for _ in 0..1000 {
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("waited until {what}; the agent said: {}", fs::read_to_string(&self.log)?)
    }

    /// What `/metrics` shows.
    fn metrics(&self) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(&self.admin)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    fn stop(mut self) -> anyhow::Result<()> {
        let status = self.running.end()?;
        ensure!(status.success(), "{status}: {}", fs::read_to_string(&self.log)?);
        Ok(())
    }
}
