//! The admin port of the agent, asked as a Prometheus asks it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::agent::{PLAIN, TRACED, collected, container, job, pod_of, prepared, run};
use super::{Test, daemon, until};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 2] = [
    ("metrics_account_for_every_record", metrics_account_for_every_record),
    ("which_pods_are_traced_is_said", which_pods_are_traced_is_said),
];

/// The numbers of one scrape.
struct Metrics(String);

impl Metrics {
    fn read(cluster: &Cluster) -> Result<Self> {
        daemon::admin(cluster, "metrics").map(Self)
    }

    /// The sum over all labels.
    fn sum(&self, name: &str) -> Result<f64> {
        let mut lines = self.0.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        let values = lines.by_ref().map(|line| {
            let value = line.rsplit(' ').next().unwrap_or_default();
            value.parse::<f64>().with_context(|| format!("{line:?} has no number"))
        });
        let values: Vec<f64> = values.collect::<Result<_>>()?;
        ensure!(!values.is_empty(), "there is no {name} in {}", self.0);
        Ok(values.iter().sum())
    }
}

/// A Job of the traced namespace; gives its pod.
fn ran(cluster: &Cluster, name: &str) -> Result<String> {
    let pod = json!({ "containers": [container("main", "ls /; true")] });
    run(cluster, &job(TRACED, name, &pod))?;
    pod_of(cluster, TRACED, &format!("job-name={name}"))
}

fn metrics_account_for_every_record(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let pod = ran(cluster, "metrics")?;
    collected(cluster, &format!("pod {pod}"), &pod)?;
    let metrics = Metrics::read(cluster)?;
    let sum = |name: &str| metrics.sum(name);
    let rest = sum("lynceus_records_exported_total")?
        + sum("lynceus_records_held")?
        + sum("lynceus_records_lost_total")?;
    let received = sum("lynceus_records_received_total")?;
    ensure!((received - rest).abs() < 0.5, "{received} were received and {rest} accounted for");
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
    let made = sum("lynceus_spans_total")?;
    let came = sum("lynceus_spans_delivered_total")? + sum("lynceus_spans_waiting")?;
    let lost = sum("lynceus_spans_lost_total")?;
    ensure!((made - came - lost).abs() < 0.5, "{made} spans were made; {came} came, {lost} lost");
    Ok(())
}

fn which_pods_are_traced_is_said(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let ran = ran(cluster, "said")?;
    let pods = || -> Result<Vec<Value>> {
        Ok(serde_json::from_str(&daemon::admin(cluster, "debug/pods")?)?)
    };
    until(
        "the job's pod is there",
        || Ok(serde_json::to_string(&pods()?)?),
        |text| text.contains(&ran),
    )?;
    let pods = pods()?;
    let mut its = pods.iter().filter(|pod| pod["namespace"] == TRACED);
    ensure!(its.all(|pod| pod["traced"] == true && pod["by"] == "label of the namespace"));
    let others = pods.iter().filter(|pod| pod["namespace"] == PLAIN);
    let mut agents = pods.iter().filter(|pod| pod["namespace"] == daemon::NAMESPACE);
    ensure!(others.into_iter().all(|pod| pod["traced"] == false), "{pods:?}");
    ensure!(
        agents.all(|pod| pod["traced"] == false && pod["by"] == "annotation of the pod"),
        "{pods:?}"
    );
    ensure!(daemon::admin(cluster, "readyz")? == "tracing\n", "it is not ready");
    Ok(())
}
