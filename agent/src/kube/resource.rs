//! A container -> what its spans are of, by the OpenTelemetry rules for Kubernetes
//! (docs/non-normative/k8s-attributes.md of the semantic conventions).

use std::collections::BTreeMap;

use opentelemetry_semantic_conventions::attribute as key;

use super::object::{ContainerStatus, Instance, Pod};
use crate::span::{Attribute, Resource, Value};

/// Annotations of pods that are attributes.
const ANNOTATION: &str = "resource.opentelemetry.io/";
const INSTANCE: &str = "app.kubernetes.io/instance";
const NAME: &str = "app.kubernetes.io/name";
const VERSION: &str = "app.kubernetes.io/version";

/// What the agent's configuration wants said of all pods.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Attributes with their values, which yield to what the pod says.
    pub given: Vec<(String, String)>,
    /// Names of labels and annotations that are attributes where a pod has them.
    pub labels: Vec<String>,
    pub annotations: Vec<String>,
}

/// Of a pod's own span, or of what is in one of its containers.
pub(super) fn resource(
    pod: &Pod,
    container: Option<(&ContainerStatus, &Instance<'_>)>,
    wanted: &Wanted,
) -> Resource {
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            all.insert(key.to_owned(), value.into());
        }
    };
    for (key, value) in &wanted.given {
        put(key, value);
    }
    put("os.type", "linux");
    put("telemetry.sdk.name", "lynceus");
    put("telemetry.sdk.language", "rust");
    put("telemetry.sdk.version", env!("CARGO_PKG_VERSION"));
    put(key::K8S_NAMESPACE_NAME, &pod.meta.namespace);
    put(key::K8S_POD_NAME, &pod.meta.name);
    put(key::K8S_POD_UID, &pod.meta.uid.0);
    put(key::K8S_NODE_NAME, &pod.spec.node_name);
    let owners = owners(pod);
    for (key, name) in &owners {
        put(key, name);
    }
    let label = |name: &str| pod.meta.labels.get(name).map(String::as_str);
    let container_name = container.map(|(status, _)| status.name.as_str());
    let by_owner = owners.iter().find(|(key, _)| *key != key::K8S_REPLICASET_NAME);
    let by_owner = by_owner.or_else(|| owners.first()).map(|(_, name)| name.as_str());
    let named = label(INSTANCE).or_else(|| label(NAME)).or(by_owner);
    put(key::SERVICE_NAME, named.unwrap_or(&pod.meta.name));
    put(key::SERVICE_NAMESPACE, &pod.meta.namespace);
    if let Some(version) = label(VERSION) {
        put(key::SERVICE_VERSION, version);
    }
    if let Some(container_name) = container_name {
        let instance = [&pod.meta.namespace, &pod.meta.name, container_name].join(".");
        put(key::SERVICE_INSTANCE_ID, &instance);
        put(key::K8S_CONTAINER_NAME, container_name);
    }
    if let Some((status, instance)) = container {
        put(key::CONTAINER_ID, &instance.id.0);
        let (image, tag) = image(&status.image);
        put(key::CONTAINER_IMAGE_NAME, image);
        all.insert(key::K8S_CONTAINER_RESTART_COUNT.to_owned(), instance.restarts.into());
        if let Some(tag) = tag {
            let tags = vec![tag.to_owned()];
            all.insert(key::CONTAINER_IMAGE_TAGS.to_owned(), tags.into());
            if label(VERSION).is_none() {
                all.insert(key::SERVICE_VERSION.to_owned(), tag.into());
            }
        }
    }
    for (prefix, names, values) in [
        (key::K8S_POD_LABEL, &wanted.labels, &pod.meta.labels),
        (key::K8S_POD_ANNOTATION, &wanted.annotations, &pod.meta.annotations),
    ] {
        for (name, value) in names.iter().filter_map(|name| values.get_key_value(name)) {
            all.insert(format!("{prefix}.{name}"), value.as_str().into());
        }
    }
    for (name, value) in &pod.meta.annotations {
        if let Some(name) = name.strip_prefix(ANNOTATION).filter(|name| !name.is_empty()) {
            all.insert(name.to_owned(), value.as_str().into());
        }
    }
    let attributes = all.into_iter().map(|(key, value)| Attribute { key: key.into(), value });
    Resource { attributes: attributes.collect() }
}

/// What controls the pod, and what controls that where its name tells.
fn owners(pod: &Pod) -> Vec<(&'static str, String)> {
    let Some(owner) = &pod.meta.owner else { return Vec::new() };
    let name = owner.name.clone();
    match owner.kind.as_str() {
        "ReplicaSet" => {
            let hash = pod.meta.labels.get("pod-template-hash");
            let deployment = hash.and_then(|hash| name.strip_suffix(&format!("-{hash}")));
            let deployment = deployment.map(|name| (key::K8S_DEPLOYMENT_NAME, name.to_owned()));
            deployment.into_iter().chain([(key::K8S_REPLICASET_NAME, name)]).collect()
        }
        "StatefulSet" => vec![(key::K8S_STATEFULSET_NAME, name)],
        "DaemonSet" => vec![(key::K8S_DAEMONSET_NAME, name)],
        "Job" => {
            // A CronJob's Jobs are named by their minute (pkg/controller/cronjob/utils.go).
            let cron = name.rsplit_once('-').filter(|(_, minute)| {
                minute.len() == 8 && minute.bytes().all(|byte| byte.is_ascii_digit())
            });
            let cron = cron.map(|(cron, _)| (key::K8S_CRONJOB_NAME, cron.to_owned()));
            cron.into_iter().chain([(key::K8S_JOB_NAME, name)]).collect()
        }
        _ => Vec::new(),
    }
}

/// Name and tag of an image, without its digest.
fn image(image: &str) -> (&str, Option<&str>) {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A colon before a slash is that of a registry's port.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        Some(_) | None => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{name::Uid, object::Owner},
        *,
    };

    fn pod(owner: Option<(&str, &str)>, labels: &[(&str, &str)]) -> Pod {
        let mut pod = Pod::default();
        pod.meta.name = "web-7d4-x".to_owned();
        pod.meta.namespace = "shop".to_owned();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pod.meta.labels = labels.iter().map(owned).collect();
        pod.meta.owner = owner.map(|(kind, name)| Owner {
            kind: kind.to_owned(),
            name: name.to_owned(),
            uid: Uid::default(),
        });
        pod
    }

    fn said(pod: &Pod, key: &str) -> Option<String> {
        said_if(pod, &Wanted::default(), key)
    }

    fn said_if(pod: &Pod, wanted: &Wanted, key: &str) -> Option<String> {
        let found = resource(pod, None, wanted).attributes;
        let found = found.into_iter().find(|attribute| attribute.key == key)?;
        if let Value::Str(text) = found.value { Some(text) } else { None }
    }

    #[test]
    fn a_service_is_named_by_the_first_that_is_there() {
        let check = |pod: &Pod, expected: &str| {
            assert_eq!(said(pod, "service.name").as_deref(), Some(expected));
        };
        check(&pod(None, &[]), "web-7d4-x");
        check(&pod(Some(("ReplicaSet", "web-7d4")), &[("pod-template-hash", "7d4")]), "web");
        check(&pod(Some(("ReplicaSet", "web-7d4")), &[]), "web-7d4");
        check(&pod(Some(("Job", "nightly-29394720")), &[]), "nightly");
        check(&pod(Some(("Job", "once")), &[]), "once");
        let mut labelled = pod(Some(("Job", "once")), &[(NAME, "n"), (INSTANCE, "i")]);
        check(&labelled, "i");
        labelled.meta.annotations =
            [("resource.opentelemetry.io/service.name".to_owned(), "a".to_owned())].into();
        check(&labelled, "a");
        assert_eq!(said(&labelled, "k8s.job.name").as_deref(), Some("once"));
        assert_eq!(said(&labelled, "service.namespace").as_deref(), Some("shop"));
    }

    /// `key=value` of a container's resource, without what is the same of all.
    fn of_container(owner: (&str, &str), labels: &[(&str, &str)]) -> Vec<String> {
        let mut pod = pod(Some(owner), labels);
        pod.meta.uid = Uid("2b6c6f6e".to_owned());
        pod.spec.node_name = "node1".to_owned();
        let status = ContainerStatus {
            name: "main".to_owned(),
            container_id: Some(format!("containerd://{}", "ab".repeat(32))),
            image: "registry:5000/shop/web:1.27".to_owned(),
            restart_count: 2,
            ..ContainerStatus::default()
        };
        let instance = status.instances().next().unwrap();
        let wanted = Wanted {
            given: vec![("k8s.cluster.name".to_owned(), "prod".to_owned())],
            ..Wanted::default()
        };
        let found = resource(&pod, Some((&status, &instance)), &wanted).attributes;
        let found = found.iter().map(|one| format!("{}={}", one.key, one.value));
        found.filter(|line| !line.starts_with("telemetry.")).collect()
    }

    #[test]
    fn a_container_of_a_service_is_described_in_full() {
        let id = format!("container.id={}", "ab".repeat(32));
        let check = |owner, labels: &[(&str, &str)], owners: &[&str], service, version| {
            let (service, version) =
                (format!("service.name={service}"), format!("service.version={version}"));
            let mut expected = vec![
                &*id,
                "container.image.name=registry:5000/shop/web",
                "container.image.tags=1.27",
                "k8s.cluster.name=prod",
                "k8s.container.name=main",
                "k8s.container.restart_count=2",
                "k8s.namespace.name=shop",
                "k8s.node.name=node1",
                "k8s.pod.name=web-7d4-x",
                "k8s.pod.uid=2b6c6f6e",
                "os.type=linux",
                "service.instance.id=shop.web-7d4-x.main",
                "service.namespace=shop",
                &*service,
                &*version,
            ];
            expected.extend(owners);
            expected.sort_unstable();
            assert_eq!(of_container(owner, labels), expected);
        };
        let deployment = ["k8s.deployment.name=web", "k8s.replicaset.name=web-7d4"];
        let of_deployment = ("ReplicaSet", "web-7d4");
        check(of_deployment, &[("pod-template-hash", "7d4")], &deployment, "web", "1.27");
        let labelled = [("pod-template-hash", "7d4"), (NAME, "shop"), (VERSION, "3")];
        check(of_deployment, &labelled, &deployment, "shop", "3");
        check(("StatefulSet", "db"), &[], &["k8s.statefulset.name=db"], "db", "1.27");
        check(("DaemonSet", "logs"), &[], &["k8s.daemonset.name=logs"], "logs", "1.27");
    }

    #[test]
    fn labels_and_annotations_are_said_where_they_are_asked_for() {
        let mut labelled = pod(None, &[("team", "blue"), ("example.com/tier", "")]);
        let owner = ("example.com/owner".to_owned(), "o@example.com".to_owned());
        labelled.meta.annotations = [owner, ("secret".to_owned(), "s".to_owned())].into();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wanted = Wanted {
            given: Vec::new(),
            labels: names(&["team", "example.com/tier", "absent"]),
            annotations: names(&["example.com/owner"]),
        };
        let check = |key: &str, expected: Option<&str>| {
            assert_eq!(said_if(&labelled, &wanted, key).as_deref(), expected, "{key}");
            assert_eq!(said(&labelled, key), None, "{key} without being asked for");
        };
        check("k8s.pod.label.team", Some("blue"));
        check("k8s.pod.label.example.com/tier", Some(""));
        check("k8s.pod.label.absent", None);
        check("k8s.pod.annotation.example.com/owner", Some("o@example.com"));
        check("k8s.pod.annotation.secret", None);
    }

    #[test]
    fn images_have_names_and_tags() {
        assert_eq!(
            image("docker.io/library/nginx:1.27"),
            ("docker.io/library/nginx", Some("1.27"))
        );
        assert_eq!(image("host:5000/x"), ("host:5000/x", None));
        assert_eq!(image("x:1@sha256:ab"), ("x", Some("1")));
    }
}
