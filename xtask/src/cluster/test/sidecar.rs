//! A sidecar: an init container that goes on, beside a container that calls it over localhost.

use anyhow::{Result, ensure};
use serde_json::json;

use super::Test;
use super::told::told_as;
use super::traced::{TRACED, asked_when_known, container, job, pod_of, prepared, program, run};
use crate::cluster::running::Cluster;

pub(super) const TESTS: [Test; 1] =
    [("a_call_to_a_sidecar_is_joined", a_call_to_a_sidecar_is_joined)];

fn a_call_to_a_sidecar_is_joined(cluster: &Cluster) -> Result<()> {
    prepared(cluster)?;
    let mut sidecar = program("sidecar", &["httpd", "-f", "-p", "8080", "-h", "/etc"]);
    sidecar["restartPolicy"] = json!("Always");
    // Main starts when it listens. The kubelet connects and says nothing: no exchange.
    sidecar["startupProbe"] = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 1 });
    let main = container("main", &asked_when_known("http://localhost:8080/hosts"));
    let spec = json!({ "initContainers": [sidecar], "containers": [main] });
    run(cluster, &job(TRACED, "with-sidecar", &spec))?;
    let pod = pod_of(cluster, TRACED, "job-name=with-sidecar")?;
    let tree = format!(
        "pod {pod}\n  container sidecar\n    httpd\n  container main\n    sh\n      sleep\n      \
         wget\n        GET\n          GET\n"
    );
    let spans = told_as(cluster, &pod, &tree)?;
    let served = spans.with("k8s.container.name", "sidecar");
    let served = served.one("GET")?;
    let asked = spans.above(served)?;
    ensure!(asked.get("k8s.container.name") == "main", "{asked:?}");
    ensure!(served.get("http.response.status_code") == "200", "{served:?}");
    let (sidecar, main) = (spans.one("container sidecar")?, spans.one("container main")?);
    ensure!(sidecar.end > main.end && sidecar.start < main.start, "{sidecar:?} {main:?}");
    ensure!(sidecar.start <= served.start && served.end <= sidecar.end, "{sidecar:?} {served:?}");
    ensure!(main.get("lynceus.container.exit_code") == "0", "{main:?}");
    ensure!(sidecar.get("lynceus.container.exit_code") == "137", "{sidecar:?}");
    ensure!(spans.one(&format!("pod {pod}"))?.get("k8s.pod.status.phase") == "Succeeded");
    Ok(())
}
