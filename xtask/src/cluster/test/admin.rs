//! The admin port of the agent, asked as a Prometheus asks it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::told::collected;
use super::traced::{PLAIN, TRACED, container, job, pod_of, prepared, run};
use super::{Test, daemon, until};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 2] = [
    ("metrics_account_for_every_record", metrics_account_for_every_record),
    ("which_pods_are_traced_is_said", which_pods_are_traced_is_said),
];

/// The numbers of one scrape.
#[derive(Debug)]
pub(super) struct Metrics(String);

impl Metrics {
    pub(super) fn read(cluster: &Cluster) -> Result<Self> {
        daemon::admin(cluster, "metrics").map(Self)
    }

    /// The sum over all labels.
    pub(super) fn sum(&self, name: &str) -> Result<f64> {
        self.of(name, "")
    }

    /// The sum over those with this label.
    pub(super) fn of(&self, name: &str, label: &str) -> Result<f64> {
        let lines = self.0.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']) && rest.contains(label))
        });
        let values = lines.map(|line| {
            let value = line.rsplit(' ').next().unwrap_or_default();
            value.parse::<f64>().with_context(|| format!("{line:?} has no number"))
        });
        let values: Vec<f64> = values.collect::<Result<_>>()?;
        ensure!(!values.is_empty(), "there is no {name} in {}", self.0);
        Ok(values.iter().sum())
    }

    /// Every record that was received is accounted for.
    pub(super) fn balance(&self) -> Result<()> {
        let rest = self.sum("lynceus_records_exported_total")?
            + self.sum("lynceus_records_held")?
            + self.sum("lynceus_records_lost_total")?;
        let received = self.sum("lynceus_records_received_total")?;
        ensure!((received - rest).abs() < 0.5, "{received} were received and {rest} accounted for");
        Ok(())
    }
}

/// A Job; gives its pod.
fn ran(cluster: &Cluster, namespace: &str, name: &str) -> Result<String> {
    let pod = json!({ "containers": [container("main", "ls /; true")] });
    run(cluster, &job(namespace, name, &pod))?;
    pod_of(cluster, namespace, &format!("job-name={name}"))
}

fn metrics_account_for_every_record(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let pod = ran(cluster, TRACED, "metrics")?;
    collected(cluster, &format!("pod {pod}"), &pod)?;
    // They are delivered in a thread of their own, and an answer stands for half a second.
    let accounted = || -> Result<String> {
        let metrics = Metrics::read(cluster)?;
        let made = metrics.sum("lynceus_spans_total")?;
        let came = metrics.sum("lynceus_spans_delivered_total")?;
        let lost = metrics.sum("lynceus_spans_lost_total")?;
        let is_told = metrics.sum("lynceus_spans_waiting")? == 0.0 && came > 0.0;
        Ok(if is_told && made == came + lost { "whole".to_owned() } else { metrics.0 })
    };
    until("every span is accounted for", accounted, |answer| answer == "whole")?;
    let metrics = Metrics::read(cluster)?;
    metrics.balance()?;
    let sum = |name: &str| metrics.sum(name);
    for name in [
        "lynceus_spans_total",
        "lynceus_spans_delivered_total",
        "lynceus_export_latency_seconds_count",
        "lynceus_ring_peak_bytes",
        "lynceus_bpf_memory_bytes",
        "lynceus_pods",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        ensure!(sum(name)? > 0.0, "{name} is nothing: {}", metrics.0);
    }
    Ok(())
}

fn which_pods_are_traced_is_said(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let traced = ran(cluster, TRACED, "said")?;
    let plain = ran(cluster, PLAIN, "said")?;
    let pods = || -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&daemon::admin(cluster, "debug/pods")?)?)
    };
    until(
        "the pods are there",
        || Ok(serde_json::to_string(&pods()?)?),
        |text| text.contains(&traced) && text.contains(&plain),
    )?;
    let pods = pods()?;
    let check = |name: &str, is_traced: bool, by: &str| -> Result<()> {
        let pod =
            pods.iter().find(|pod| pod["name"].as_str().is_some_and(|it| it.starts_with(name)));
        let pod = pod.with_context(|| format!("no {name} in {pods:?}"))?;
        ensure!(pod["traced"] == is_traced && pod["by"] == by, "{pod}");
        Ok(())
    };
    check(&traced, true, "label of the namespace")?;
    check(&plain, false, "default")?;
    check("lynceus-agent-", false, "annotation of the pod")?;
    ensure!(daemon::admin(cluster, "readyz")? == "tracing\n", "it is not ready");
    Ok(())
}
