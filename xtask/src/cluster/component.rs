//! The programs that make a cluster, and how each is called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::place::Place;
use super::{NODE_ADDRESS, NODE_NAME};

/// In the order in which they are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    /// A process that does nothing but keep the node's namespaces.
    Node,
    Etcd,
    Containerd,
    Collector,
    Apiserver,
    ControllerManager,
    Scheduler,
    Proxy,
    Kubelet,
}

impl Component {
    pub(crate) const ALL: [Self; 9] = [
        Self::Node,
        Self::Etcd,
        Self::Containerd,
        Self::Collector,
        Self::Apiserver,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Proxy,
        Self::Kubelet,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Etcd => "etcd",
            Self::Containerd => "containerd",
            Self::Collector => "collector",
            Self::Apiserver => "apiserver",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
            Self::Proxy => "proxy",
            Self::Kubelet => "kubelet",
        }
    }
}

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) kubernetes: PathBuf,
    pub(super) runtime: PathBuf,
    pub(super) collector: PathBuf,
    pub(super) collector_configuration: PathBuf,
}

/// The program and its arguments; none for the node itself, which `node.rs` starts.
pub(super) fn command_line(
    component: Component,
    programs: &Programs,
    place: &Place,
) -> Option<Vec<OsString>> {
    let kubernetes = |name: &str, arguments: Vec<OsString>| {
        let mut line = vec![programs.kubernetes.join(name).into()];
        line.extend(arguments);
        line
    };
    let keys = place.keys();
    let line = match component {
        Component::Node => return None,
        Component::Etcd => kubernetes("etcd", etcd(place)),
        Component::Containerd => vec![
            programs.runtime.join("containerd").into(),
            "--config".into(),
            place.configuration().join("containerd.toml").into(),
        ],
        Component::Collector => vec![
            programs.collector.clone().into(),
            "--config".into(),
            programs.collector_configuration.clone().into(),
        ],
        Component::Apiserver => kubernetes("kube-apiserver", apiserver(&keys)),
        Component::ControllerManager => {
            let mut arguments = with_kubeconfig(place, "controller-manager");
            arguments.extend([
                with("--service-account-private-key-file", &keys.join("accounts.key")),
                with("--root-ca-file", &keys.join("ca.crt")),
                with("--cluster-signing-cert-file", &keys.join("ca.crt")),
                with("--cluster-signing-key-file", &keys.join("ca.key")),
                with("--flex-volume-plugin-dir", &place.run().join("volume-plugins")),
            ]);
            arguments.extend(words(&[
                "--use-service-account-credentials=true",
                "--controllers=*,-nodeipam,-route,-cloud-node-lifecycle",
            ]));
            kubernetes("kube-controller-manager", arguments)
        }
        Component::Scheduler => kubernetes("kube-scheduler", with_kubeconfig(place, "scheduler")),
        Component::Proxy => kubernetes(
            "kube-proxy",
            vec![
                with("--config", &place.configuration().join("proxy.yaml")),
                format!("--hostname-override={NODE_NAME}").into(),
            ],
        ),
        Component::Kubelet => kubernetes("kubelet", kubelet(place)),
    };
    Some(line)
}

/// `--unsafe-no-fsync`: what is in it is thrown away at the end.
fn etcd(place: &Place) -> Vec<OsString> {
    let mut arguments = vec![with("--data-dir", &place.run().join("etcd"))];
    arguments.extend(words(&[
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]));
    arguments
}

/// `--requestheader-...` is for servers behind this one, of which there are none; without it the other
/// components complain of its absence without end.
fn apiserver(keys: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        ("--client-ca-file", "ca.crt"),
        ("--requestheader-client-ca-file", "ca.crt"),
        ("--tls-cert-file", "serving.crt"),
        ("--tls-private-key-file", "serving.key"),
        ("--service-account-key-file", "accounts.pub"),
        ("--service-account-signing-key-file", "accounts.key"),
        ("--kubelet-client-certificate", "apiserver-to-kubelet.crt"),
        ("--kubelet-client-key", "apiserver-to-kubelet.key"),
    ]
    .map(|(option, file)| with(option, &keys.join(file)))
    .into();
    arguments.push(format!("--advertise-address={NODE_ADDRESS}").into());
    arguments.extend(words(&[
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        "--secure-port=6443",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--endpoint-reconciler-type=lease",
        "--kubelet-preferred-address-types=InternalIP",
        "--requestheader-allowed-names=nobody",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--profiling=false",
    ]));
    arguments
}

/// What controller manager and scheduler have in common. The serving certificate lets us ask for
/// their health.
fn with_kubeconfig(place: &Place, user: &str) -> Vec<OsString> {
    let kubeconfig = place.kubeconfig(user);
    let options = ["--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig"];
    let mut arguments: Vec<OsString> = options.map(|option| with(option, &kubeconfig)).into();
    arguments.push(with("--tls-cert-file", &place.keys().join("serving.crt")));
    arguments.push(with("--tls-private-key-file", &place.keys().join("serving.key")));
    arguments.push("--leader-elect=false".into());
    arguments
}

fn kubelet(place: &Place) -> Vec<OsString> {
    vec![
        with("--config", &place.configuration().join("kubelet.yaml")),
        with("--kubeconfig", &place.kubeconfig("node")),
        with("--root-dir", &place.run().join("kubelet")),
        format!("--hostname-override={NODE_NAME}").into(),
        format!("--node-ip={NODE_ADDRESS}").into(),
        "--v=2".into(),
    ]
}

/// `option=path`
fn with(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push("=");
    argument.push(path);
    argument
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
