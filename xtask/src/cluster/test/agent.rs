//! The agent as a DaemonSet: pods of a namespace that is labelled are traced, others are not.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::collected::Collected;
use super::daemon;
use super::pod::delete;
use super::restart;
use super::told::{collected, collected_of, told_as, until_whole};
use super::traced::{PLAIN, TRACED, container, job, namespace, pod_of, prepared, run};
use super::{Test, until};
use crate::cluster::running::Cluster;

/// In this order.
pub(super) const TESTS: [Test; 5] = [
    ("a_job_is_a_trace", a_job_is_a_trace),
    ("nothing_is_told_of_other_namespaces", nothing_is_told_of_other_namespaces),
    ("requests_to_a_service_are_traces", requests_to_a_service_are_traces),
    ("a_shell_in_a_container_is_a_trace", a_shell_in_a_container_is_a_trace),
    ("a_label_counts_while_pods_run", a_label_counts_while_pods_run),
];

/// What `cargo xtask test` runs.
pub(super) const CORE: [&str; 3] =
    ["a_job_is_a_trace", "nothing_is_told_of_other_namespaces", restart::CORE];

pub(super) const LATER: &str = "later";
const PODS_OF_WEB: [&str; 6] = [
    "get",
    "pods",
    "--namespace=traced",
    "--selector=app=web",
    "--output=name",
    "--ignore-not-found",
];

/// An init container of milliseconds, a container with children, and the same in a namespace that nobody
/// labelled.
fn a_job_is_a_trace(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let mut quick = container("init", "");
    quick["command"] = json!(["true"]);
    let script = "sleep 0.1; for each in 1 2; do env true; done; exit 3";
    let spec = json!({ "initContainers": [quick], "containers": [container("main", script)] });
    for namespace in [PLAIN, TRACED] {
        run(cluster, &job(namespace, "one", &spec))?;
    }
    let pod = pod_of(cluster, TRACED, "job-name=one")?;
    let tree = format!(
        "pod {pod}\n  container init\n    true\n  container main\n    sh\n      sleep\n      \
         true\n      true\n"
    );
    let spans = told_as(cluster, &pod, &tree)?;
    let (main, shell) = (spans.one("container main")?, spans.one("sh")?);
    for (key, value) in [
        ("lynceus.container.exit_code", "3"),
        ("error.type", "3"),
        ("k8s.container.name", "main"),
        ("k8s.job.name", "one"),
        ("k8s.pod.label.job-name", "one"),
        ("k8s.node.name", "node1"),
        ("service.name", "one"),
        ("service.namespace", TRACED),
    ] {
        ensure!(main.get(key) == value, "{key} is {:?} of {main:?}", main.get(key));
    }
    ensure!(shell.get("process.exit.code") == "3", "{shell:?}");
    ensure!(shell.get("container.id").len() == 64, "{shell:?}");
    ensure!(spans.one("true").is_err() && spans.one("container init")?.end > 0, "{spans:?}");
    Ok(())
}

fn nothing_is_told_of_other_namespaces(cluster: &Cluster) -> Result<()> {
    let path = "--output=jsonpath={.status.failed}";
    let ask = ["get", "job", "one", "--namespace", PLAIN, path];
    until("the Job that is not traced ended", || cluster.kubectl(&ask), |failed| failed == "1")?;
    let told = Collected::read(cluster)?.of(PLAIN);
    ensure!(told.0.is_empty(), "{}", told.tree());
    // Nor of what is in no pod at all. Spans of other tests are made by hand or by `lynceus run`.
    let by_agent = Collected::read(cluster)?.with("telemetry.sdk.name", "lynceus");
    let of_host = by_agent.with("k8s.pod.uid", "").with("host.name", "");
    ensure!(of_host.0.is_empty(), "{}", of_host.tree());
    ensure!(Collected::read(cluster)?.of("kube-system").0.is_empty(), "of kube-system");
    Ok(())
}

/// A container that serves and one that asks it over localhost, in a pod that never ends.
fn requests_to_a_service_are_traces(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let serve = "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www";
    let ask = "until wget -q -O - http://localhost:8080/; do sleep 0.1; done; sleep 3600";
    let labels = json!({ "app": "web" });
    let manifest = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web", "namespace": TRACED },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [container("web", serve), container("client", ask)],
                },
            },
        },
    });
    delete(cluster, &format!("--namespace={TRACED}"), "deployment/web")?;
    until("no pod of it is left", || cluster.kubectl(&PODS_OF_WEB), str::is_empty)?;
    cluster.apply(&manifest.to_string())?;
    let pod = pod_of(cluster, TRACED, "app=web")?;
    collected_of(cluster, "GET", &pod, "k8s.container.name", "web")?;
    let spans = until_whole(cluster, &pod)?;
    let served = spans.with("k8s.container.name", "web");
    let served = served.one("GET")?;
    let asked = spans.above(served)?;
    let program = spans.above(asked)?;
    ensure!(program.name == "wget" && program.parent.is_empty(), "{}", spans.tree());
    ensure!(served.get("http.response.status_code") == "200", "{served:?}");
    ensure!(asked.get("k8s.container.name") == "client", "{asked:?}");
    ensure!(served.get("service.name") == "web" && served.get("k8s.deployment.name") == "web");
    ensure!(spans.one(&format!("pod {pod}")).is_err(), "a service has a pod's span");
    Ok(())
}

fn a_shell_in_a_container_is_a_trace(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let pod = pod_of(cluster, TRACED, "app=web")?;
    let command = ["sh", "-c", "sleep 0.01; env uname; true"];
    let exec = ["exec", "--namespace", TRACED, &pod, "--container=web", "--"];
    cluster.kubectl(&[&exec[..], &command].concat())?;
    let spans = collected(cluster, "sh", &pod)?;
    let spans = spans.with("k8s.container.name", "web");
    let (name, shell) = (spans.one("uname")?, spans.one("sh")?);
    ensure!(name.parent == shell.id && shell.parent.is_empty(), "{}", spans.tree());
    let all = spans.in_trace(&shell.trace);
    ensure!(all.tree() == "sh\n  sleep\n  uname\n", "{}", all.tree());
    delete(cluster, &format!("--namespace={TRACED}"), "deployment/web")
}

/// Of a process that ran before, and of what comes after; and nothing more when it is taken back.
fn a_label_counts_while_pods_run(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    namespace(cluster, LATER, &json!({}))?;
    let script =
        "env true; until [ -e /tmp/go ]; do sleep 0.1; done; env uname; sleep 3600; exit 0";
    run(cluster, &job(LATER, "waits", &json!({ "containers": [container("main", script)] })))?;
    let pod = pod_of(cluster, LATER, "job-name=waits")?;
    let of_pod = format!("pod/{pod}");
    let wait = ["wait", "--namespace", LATER, "--for=condition=Ready", "--timeout=180s", &of_pod];
    cluster.kubectl(&wait)?;
    let label = |value: &str| {
        let said = format!("{}={value}", daemon::TRACE);
        cluster.kubectl(&["label", "--overwrite", "namespace", LATER, &said])
    };
    label("enabled")?;
    // The shell sleeps again and again: one that is told shows that the label counts.
    collected(cluster, "sleep", &pod)?;
    cluster.kubectl(&["exec", "--namespace", LATER, &pod, "--", "touch", "/tmp/go"])?;
    let spans = collected(cluster, "uname", &pod)?;
    ensure!(spans.one("true").is_err(), "what was before is told: {}", spans.tree());
    let sleep = spans.0.iter().find(|span| span.name == "sleep").context("no sleep")?;
    ensure!(sleep.trace == spans.one("uname")?.trace, "{}", spans.tree());
    label("disabled")?;
    // All that is above what was told comes then, and the label counts at once.
    let spans = collected(cluster, &format!("pod {pod}"), &pod)?;
    spans.is_whole()?;
    spans.lies_within()?;
    let slept = "      sleep\n";
    let shell = format!("    sh\n{slept}      uname\n{slept}");
    let tree = format!("pod {pod}\n  container main\n{shell}    touch\n");
    ensure!(spans.in_trace(&sleep.trace).folded_after_taking_up() == tree, "{}", spans.tree());
    let shell = spans.above(spans.one("uname")?)?;
    for (span, key) in [
        (shell, "lynceus.process.unfinished"),
        (spans.one("container main")?, "lynceus.container.unfinished"),
        (spans.one(&format!("pod {pod}"))?, "lynceus.pod.unfinished"),
    ] {
        ensure!(span.get(key) == "still running when tracing ended", "{span:?}");
    }
    let before = spans.0.len();
    cluster.kubectl(&["exec", "--namespace", LATER, &pod, "--", "env", "true"])?;
    cluster.kubectl(&["delete", "job", "--namespace", LATER, "waits"])?;
    delete(cluster, "--wait=true", &format!("namespace/{LATER}"))?;
    let after = Collected::read(cluster)?.with("k8s.pod.name", &pod);
    ensure!(after.0.len() == before, "told: {}", after.tree());
    Ok(())
}
