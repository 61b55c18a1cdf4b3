//! Every value of the chart, with what it changes; and values that the schema refuses.

use anyhow::{Context as _, Result};
use serde_json::Value;

use self::At::{Agent, Annotation, Argument, Config, Labels, Object, Pod, Variable};
use super::Objects;
use crate::image;

/// Where in what was rendered.
#[derive(Debug)]
pub(super) enum At {
    /// A kind, and a pointer of RFC 6901.
    Object(&'static str, &'static str),
    /// Of the agent's configuration, by name.
    Config(&'static str),
    /// In the DaemonSet's template.
    Annotation(&'static str),
    Labels(&'static str),
    Pod(&'static str),
    Agent(&'static str),
    /// The argument that begins so.
    Argument(&'static str),
    /// A variable's value.
    Variable(&'static str),
}

impl At {
    /// Null where there is nothing.
    pub(super) fn find(&self, objects: &Objects) -> Result<Value> {
        let daemon_set = objects.get("DaemonSet").context("there is no DaemonSet")?;
        let template = &daemon_set["spec"]["template"];
        let agent = &template["spec"]["containers"][0];
        let of = |list: &'static str| agent[list].as_array().into_iter().flatten();
        let found = match self {
            Object(kind, pointer) => objects.get(*kind).and_then(|object| object.pointer(pointer)),
            Config(name) => return config(objects).map(|config| config[*name].clone()),
            Annotation(name) => template["metadata"]["annotations"].get(*name),
            Labels(name) => template["metadata"]["labels"].get(*name),
            Pod(pointer) => template["spec"].pointer(pointer),
            Agent(pointer) => agent.pointer(pointer),
            Argument(start) => of("args").find(|argument| {
                argument.as_str().is_some_and(|argument| argument.starts_with(start))
            }),
            Variable(name) => {
                of("env").find(|each| each["name"] == *name).map(|each| &each["value"])
            }
        };
        Ok(found.cloned().unwrap_or_default())
    }
}

/// As the agent will read it.
pub(super) fn config(objects: &Objects) -> Result<Value> {
    let map = objects.get("ConfigMap").context("there is no ConfigMap")?;
    let text = map["data"]["agent.yaml"].as_str().context("a ConfigMap without agent.yaml")?;
    serde_saphyr::from_str(text).context("reading agent.yaml")
}

/// What is set, where its effect is, and what is there then.
#[rustfmt::skip]
pub(super) const SWITCHES: &[(&str, At, &str)] = &[
    // Nothing.
    ("", Agent("/image"), image::NAME),
    ("", Object("DaemonSet", "/metadata/labels/app.kubernetes.io~1version"), env!("CARGO_PKG_VERSION")),
    ("", Object("ClusterRole", "/rules"), r#"[{"apiGroups":[""],"resources":["pods","namespaces"],"verbs":["get","list","watch"]}]"#),
    ("", Agent("/securityContext/allowPrivilegeEscalation"), "false"),

    ("fullnameOverride=other", Object("DaemonSet", "/metadata/name"), "other-agent"),
    ("image.repository=r.example:5000/l", Agent("/image"), "r.example:5000/l:latest"),
    ("image.tag=v1", Agent("/image"), "localhost/lynceus:v1"),
    (
        "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        Agent("/image"),
        "localhost/lynceus@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ),
    ("image.pullPolicy=Always", Agent("/imagePullPolicy"), "Always"),
    ("image.pullSecrets[0].name=key", Pod("/imagePullSecrets"), r#"[{"name":"key"}]"#),

    ("otlp.endpoint=https://c:4318", Variable("OTEL_EXPORTER_OTLP_ENDPOINT"), "https://c:4318"),
    ("otlp.endpoint=", Variable("OTEL_EXPORTER_OTLP_ENDPOINT"), "null"),
    ("otlp.protocol=http/protobuf", Variable("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf"),
    ("", Variable("OTEL_EXPORTER_OTLP_CERTIFICATE"), "null"),
    ("otlp.tls.secret=ours", Variable("OTEL_EXPORTER_OTLP_CERTIFICATE"), "/etc/lynceus-tls/ca.crt"),
    ("otlp.tls.secret=ours", Variable("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "null"),
    ("otlp.tls.secret=ours", Pod("/volumes/3/secret/secretName"), "ours"),
    ("otlp.tls.secret=ours", Agent("/volumeMounts/3/mountPath"), "/etc/lynceus-tls"),
    ("otlp.tls.secret=ours,otlp.tls.client=true", Variable("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "/etc/lynceus-tls/tls.crt"),
    ("otlp.tls.secret=ours,otlp.tls.client=true", Variable("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "/etc/lynceus-tls/tls.key"),
    ("", Config("otlpMetrics"), "null"),
    ("otlp.metricsEndpoint=http://m:4318", Config("otlpMetrics"), "http://m:4318"),
    ("default=enabled", Config("default"), "enabled"),
    ("detail=steps", Config("detail"), "steps"),
    ("envAttributes={CI_JOB_ID}", Config("envAttributes"), r#"["CI_JOB_ID"]"#),
    ("labelAttributes={example.com/team}", Config("labelAttributes"), r#"["example.com/team"]"#),
    ("annotationAttributes={owner}", Config("annotationAttributes"), r#"["owner"]"#),
    ("keepInstrumented=true", Config("keepInstrumented"), "true"),
    (r"resourceAttributes.k8s\.cluster\.name=a", Variable("OTEL_RESOURCE_ATTRIBUTES"), "k8s.cluster.name=a"),
    ("resourceAttributes.a=1 2,resourceAttributes.b=c", Variable("OTEL_RESOURCE_ATTRIBUTES"), "a=1 2,b=c"),
    ("limits.ringBytes=16777216", Config("ringBytes"), "16777216"),
    ("limits.maxProcesses=4194304", Config("maxProcesses"), "4194304"),
    ("limits.requestsPerSecond=0", Config("requestsPerSecond"), "0"),
    ("limits.spansPerPod=7", Config("spansPerPod"), "7"),
    ("limits.spansPerSecond=5", Config("spansPerSecond"), "5"),
    ("capture=off", Config("capture"), "off"),
    ("extraArgs={--out=/x}", Argument("--out"), "--out=/x"),
    ("env[0].name=OTEL_TRACES_SAMPLER,env[0].value=always_off", Variable("OTEL_TRACES_SAMPLER"), "always_off"),
    ("envFrom[0].secretRef.name=headers", Agent("/envFrom"), r#"[{"secretRef":{"name":"headers"}}]"#),

    ("pin.enabled=false", Argument("--pin"), "null"),
    ("pin.hostPath=/other", Pod("/volumes/2/hostPath/path"), "/other"),
    ("hostCgroups=/other", Pod("/volumes/1/hostPath/path"), "/other"),
    ("privileged=true", Agent("/securityContext"), r#"{"privileged":true,"readOnlyRootFilesystem":true,"runAsUser":0}"#),
    ("capabilities={BPF}", Agent("/securityContext/capabilities"), r#"{"add":["BPF"],"drop":["ALL"]}"#),
    ("seccompProfile.type=Unconfined", Agent("/securityContext/seccompProfile/type"), "Unconfined"),
    ("seccompProfile=null", Agent("/securityContext/seccompProfile"), "null"),
    ("appArmorProfile.type=Unconfined", Agent("/securityContext/appArmorProfile/type"), "Unconfined"),
    ("seLinuxOptions.type=spc_t", Agent("/securityContext/seLinuxOptions/type"), "spc_t"),
    ("resources.requests.cpu=1", Agent("/resources/requests/cpu"), "1"),
    ("resources.limits.memory=1Gi", Agent("/resources/limits/memory"), "1Gi"),
    ("priorityClassName=system-node-critical", Pod("/priorityClassName"), "system-node-critical"),
    ("tolerations=null", Pod("/tolerations"), "null"),
    ("nodeSelector.disk=ssd", Pod("/nodeSelector/disk"), "ssd"),
    (r"nodeSelector.kubernetes\.io/arch=arm64", Pod("/nodeSelector/kubernetes.io~1arch"), "arm64"),
    (r"nodeSelector.kubernetes\.io/arch=null", Pod("/nodeSelector"), r#"{"kubernetes.io/os":"linux"}"#),
    ("affinity.nodeAffinity.a=b", Pod("/affinity"), r#"{"nodeAffinity":{"a":"b"}}"#),
    ("maxUnavailable=2", Object("DaemonSet", "/spec/updateStrategy/rollingUpdate"), r#"{"maxUnavailable":2}"#),
    ("", Argument("--pin"), "--pin=/host/sys/fs/bpf/lynceus-agent"),
    ("", Argument("--daemon-set"), "--daemon-set=lynceus-agent"),
    ("pin.enabled=false", Argument("--daemon-set"), "null"),
    ("podAnnotations.a=b", Annotation("a"), "b"),
    (r"podAnnotations.lynceus\.dev/trace=enabled", Annotation("lynceus.dev/trace"), "disabled"),
    ("podLabels.a=b", Labels("a"), "b"),

    ("serviceAccount.create=false", Object("ServiceAccount", ""), "null"),
    ("serviceAccount.create=false,serviceAccount.name=other", Pod("/serviceAccountName"), "other"),
    ("serviceAccount.name=other", Object("ServiceAccount", "/metadata/name"), "other"),
    ("serviceAccount.name=other", Object("ClusterRoleBinding", "/subjects/0/name"), "other"),
    ("serviceAccount.annotations.a=b", Object("ServiceAccount", "/metadata/annotations"), r#"{"a":"b"}"#),
    ("rbac.create=false", Object("ClusterRoleBinding", ""), "null"),
    ("admin.port=9000", Config("admin"), "[::]:9000"),
    ("admin.port=9000", Agent("/ports/0/containerPort"), "9000"),
    ("admin.port=0", Agent("/livenessProbe"), "null"),
    ("admin.port=0", Config("admin"), "null"),
    ("podMonitor.enabled=true,podMonitor.labels.a=b", Object("PodMonitor", "/metadata/labels/a"), "b"),
    ("podMonitor.enabled=true,podMonitor.interval=9s", Object("PodMonitor", "/spec/podMetricsEndpoints/0/interval"), "9s"),
    ("networkPolicy.enabled=true", Object("NetworkPolicy", "/spec/ingress"), "null"),
    (
        "networkPolicy.enabled=true,networkPolicy.ingress[0].podSelector.matchLabels.a=b",
        Object("NetworkPolicy", "/spec/ingress"),
        r#"[{"from":[{"podSelector":{"matchLabels":{"a":"b"}}}],"ports":[{"port":"admin"}]}]"#,
    ),
    ("networkPolicy.enabled=true", Object("NetworkPolicy", "/spec/policyTypes"), r#"["Ingress"]"#),
    (
        "networkPolicy.enabled=true,networkPolicy.egress[0].ports[0].port=4317",
        Object("NetworkPolicy", "/spec/egress"),
        r#"[{"ports":[{"port":4317}]}]"#,
    ),
];

/// What is set, and how the refusal names it, which quotes the command line too.
pub(super) const REFUSED: [(&str, &str); 16] = [
    ("otlp.endpont=http://c:4317", "'endpont' not allowed"),
    ("keepinstrumented=true", "'keepinstrumented' not allowed"),
    ("networkPolicy.enable=true", "'enable' not allowed"),
    ("tolerations[0].efect=NoExecute", "'efect' not allowed"),
    ("default=on", "/default"),
    ("detail=everything", "/detail"),
    ("otlp.endpoint=c:4317", "/otlp/endpoint"),
    ("otlp.protocol=http/json", "/otlp/protocol"),
    ("otlp.metricsEndpoint=m:4317", "/otlp/metricsEndpoint"),
    ("limits.ringBytes=12288", "/limits/ringBytes"),
    ("limits.maxProcesses=15", "/limits/maxProcesses"),
    ("image.tag=10", "/image/tag"),
    ("privileged=yes", "/privileged"),
    ("capabilities={CAP_BPF}", "/capabilities"),
    ("maxUnavailable=0", "/maxUnavailable"),
    ("labelAttributes={team=blue}", "/labelAttributes"),
];
