//! `lynceus doctor` in the agent's pod: it says what the agent has, and what it lacks.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::daemon::{self, NAMESPACE};
use super::{Test, until};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] =
    [("doctor_says_whether_the_agent_works", doctor_says_whether_the_agent_works)];

const BINDING: &str = "clusterrolebinding/lynceus-agent";
/// What the agent needs beside `lynceus run`.
const OF_AGENT: [&str; 4] =
    ["control groups of pods", "API server: pods", "API server: namespaces", "name of the node"];

fn doctor_says_whether_the_agent_works(cluster: &Cluster) -> Result<()> {
    daemon::ensure(cluster)?;
    let report = report(cluster)?;
    for name in OF_AGENT.into_iter().chain(["PID namespace", "process probes", "request probes"]) {
        ensure!(verdict(&report, name)? == "ok", "{name}: {report:#}");
    }
    ensure!(report["agent_works"] == true, "{report:#}");
    // A machine may protect a process of its own from everybody.
    let others = found(&report, "/proc of others")?;
    ensure!(others.contains(" processes ") && !others.contains("CAP_"), "{others}");
    let pods = found(&report, "control groups of pods")?;
    ensure!(pods.contains("/host/sys/fs/cgroup") && pods.contains("kubepods"), "{pods}");
    ensure!(found(&report, "name of the node")?.starts_with("node1,"), "{report:#}");
    bind(cluster, "nobody")?;
    let refused = says_so_without_rights(cluster);
    bind(cluster, "lynceus-agent")?;
    refused?;
    until(
        "it may ask again",
        || Ok(verdict(&self::report(cluster)?, "API server: namespaces")?.to_owned()),
        |verdict| verdict == "ok",
    )?;
    Ok(())
}

/// The role to this account.
fn bind(cluster: &Cluster, account: &str) -> Result<()> {
    let change = json!([{ "op": "replace", "path": "/subjects/0/name", "value": account }]);
    let patch = ["patch", BINDING, "--type=json", "--patch", &change.to_string()];
    cluster.kubectl(&patch).map(drop)
}

/// The API server takes a moment to notice. The account may ask for its rights without any.
fn says_so_without_rights(cluster: &Cluster) -> Result<()> {
    until(
        "the right to ask for pods is missed",
        || Ok(found(&report(cluster)?, "API server: pods")?.to_owned()),
        |found| found == "may not list and watch them",
    )?;
    let report = report(cluster)?;
    ensure!(report["agent_works"] == false && report["run_works"] == true, "{report:#}");
    Ok(())
}

/// Its exit status says what the report does: kubectl fails where it is not 0, and tells no more.
fn report(cluster: &Cluster) -> Result<Value> {
    let pod = daemon::pod(cluster)?;
    let mut kubectl = cluster.kubectl_command()?;
    kubectl.args(["exec", "--namespace", NAMESPACE, &pod, "--"]);
    let doctor = kubectl.args(["/usr/local/bin/lynceus", "doctor", "--json"]).output();
    let doctor = doctor.context("starting kubectl")?;
    let said = String::from_utf8_lossy(&doctor.stderr);
    let report: Value = serde_json::from_slice(&doctor.stdout)
        .with_context(|| format!("reading what doctor printed; it said {said}"))?;
    let works = report["run_works"] == true && report["agent_works"] == true;
    ensure!(doctor.status.success() == works, "{}: {report:#}", doctor.status);
    Ok(report)
}

fn verdict<'a>(report: &'a Value, name: &str) -> Result<&'a str> {
    row(report, name, "verdict")
}

fn found<'a>(report: &'a Value, name: &str) -> Result<&'a str> {
    row(report, name, "found")
}

fn row<'a>(report: &'a Value, name: &str, key: &str) -> Result<&'a str> {
    let rows = report["checks"].as_array().context("a report without checks")?;
    let row = rows.iter().find(|row| row["name"] == name);
    row.and_then(|row| row[key].as_str()).with_context(|| format!("no {name} in {report:#}"))
}
