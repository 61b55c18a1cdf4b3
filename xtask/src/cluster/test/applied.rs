//! What `deploy/` renders, given to the API server to judge: nothing is made.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::Test;
use super::daemon::NAMESPACE;
use super::traced::namespace;
use crate::cluster::running::Cluster;
use crate::{command, paths, setup};

pub(super) const TESTS: [Test; 2] = [
    ("the_api_server_takes_what_the_chart_renders", the_api_server_takes_what_the_chart_renders),
    ("the_api_server_takes_what_kustomize_renders", the_api_server_takes_what_kustomize_renders),
];

/// Where the chart is not installed: what is applied to what is there is joined with it.
const REHEARSAL: &str = "rehearsal";

/// The values of each, and how many objects they make.
const RENDERED: [(&str, usize); 11] = [
    ("", 7),
    ("privileged=true", 7),
    ("admin.port=0", 7),
    ("networkPolicy.enabled=true", 8),
    (
        "networkPolicy.enabled=true,networkPolicy.ingress[0].podSelector.matchLabels.a=b,\
         networkPolicy.egress[0].ports[0].port=4317",
        8,
    ),
    ("seccompProfile.type=Unconfined,appArmorProfile.type=Unconfined,seLinuxOptions.type=spc_t", 7),
    (
        "otlp.endpoint=,env[0].name=OTEL_TRACES_SAMPLER,env[0].value=always_off,\
         envFrom[0].secretRef.name=headers,resourceAttributes.a=b,limits.ringBytes=16777216",
        7,
    ),
    (
        "maxUnavailable=2,priorityClassName=system-node-critical,tolerations=null,\
         resources.limits.cpu=1,image.pullSecrets[0].name=key,podLabels.a=b,podAnnotations.a=b",
        7,
    ),
    ("serviceAccount.create=false,serviceAccount.name=other,rbac.create=false", 2),
    ("fullnameOverride=other", 7),
    ("pin.enabled=false", 5),
];

fn the_api_server_takes_what_the_chart_renders(cluster: &Cluster) -> Result<()> {
    namespace(cluster, REHEARSAL, &json!({}))?;
    for (set, count) in RENDERED {
        let taken = judged(cluster, &rendered(set)?).with_context(|| format!("with {set:?}"))?;
        ensure!(taken.lines().count() == count, "with {set:?}: {taken}");
    }
    // The Prometheus operator's kind is not known here: that is all there is to say of it. The second is
    // what the chart's own schema leaves to the API server: that it does look.
    for (set, said) in [
        ("podMonitor.enabled=true", "no matches for kind \"PodMonitor\""),
        (
            "affinity.nodeAffinity.a=b",
            "unknown field \"spec.template.spec.affinity.nodeAffinity.a\"",
        ),
    ] {
        let refused = judged(cluster, &rendered(set)?).err();
        let refused = refused.with_context(|| format!("{set} is taken"))?;
        ensure!(format!("{refused:#}").contains(said), "{refused:#}");
    }
    Ok(())
}

/// The namespace is in it, and is not there for the others in a rehearsal: it is made before.
fn the_api_server_takes_what_kustomize_renders(cluster: &Cluster) -> Result<()> {
    namespace(cluster, NAMESPACE, &json!({}))?;
    let mut kustomize = Command::new(setup::charts()?.kustomize);
    let base = paths::repository().join("deploy/kustomize/base");
    let taken = judged(cluster, &command::output(kustomize.arg("build").arg(base))?)?;
    ensure!(taken.lines().count() == 8, "{taken}");
    Ok(())
}

fn rendered(set: &str) -> Result<String> {
    let mut helm = Command::new(setup::charts()?.helm);
    helm.args(["template", REHEARSAL]).arg(paths::repository().join("deploy/helm/lynceus"));
    helm.args(["--namespace", REHEARSAL, "--set", set]);
    command::output(&mut helm)
}

/// A line for each object that would be made.
fn judged(cluster: &Cluster, manifests: &str) -> Result<String> {
    cluster.apply_as(&["--dry-run=server", "--validate=strict"], manifests)
}
