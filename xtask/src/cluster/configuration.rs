//! What the node's programs are told by files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::host::Rights;
use super::images::PAUSE;
use super::place::Place;
use crate::setup::ContainerRuntime;

/// For the kubelet and what is not ours.
pub(super) const ENOUGH: &str = "100Mi";

pub(super) fn write(place: &Place, runtime: &ContainerRuntime, rights: Rights) -> Result<()> {
    let directory = place.configuration();
    let network = directory.join("network");
    fs::create_dir_all(&network).with_context(|| format!("making {}", network.display()))?;
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    };
    // JSON is YAML, too.
    of_kubelet(place, ENOUGH)?;
    write(&directory.join("proxy.yaml"), &proxy(place).to_string())?;
    write(&network.join("10-pods.conflist"), &pods(place).to_string())?;
    let runc = match rights {
        Rights::All => runtime.programs.join("runc"),
        Rights::NoSysResource => {
            let wrapper = directory.join("runc");
            write(&wrapper, &without_sys_resource(&runtime.programs.join("runc")))?;
            fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("making {} executable", wrapper.display()))?;
            wrapper
        }
    };
    write(&directory.join("containerd.toml"), &containerd(place, runtime, rights, &runc))
}

/// So much memory of the machine must be free: with less the kubelet evicts pods.
pub(super) fn of_kubelet(place: &Place, free: &str) -> Result<()> {
    let path = place.configuration().join("kubelet.yaml");
    fs::write(&path, kubelet(place, free).to_string())
        .with_context(|| format!("writing {}", path.display()))
}

/// `cgroupfs`: on a machine with cgroup v1, and without systemd, there is no other way, and it works
/// on the others as well. No badness for the out-of-memory killer below zero: it takes a right.
fn kubelet(place: &Place, free: &str) -> Value {
    let keys = place.keys();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "oomScoreAdj": 0,
        "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{}", place.containerd_socket().display()),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": keys.join("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": keys.join("node.crt"),
        "tlsPrivateKeyFile": keys.join("node.key"),
        "resolvConf": "",
        "makeIPTablesUtilChains": false,
        // The machine's disk is not ours: what is nearly full stays nearly full.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": { "nodefs.available": "1%", "memory.available": ENOUGH },
        // A hard limit is taken off what pods may ask for, and must be less than there is.
        "evictionSoft": { "memory.available": free },
        "evictionSoftGracePeriod": { "memory.available": "1s" },
        "evictionPressureTransitionPeriod": "1s",
        "podLogsDir": place.run().join("pod-logs"),
        "volumePluginDir": place.run().join("volume-plugins"),
        "nodeStatusUpdateFrequency": "5s",
        "serializeImagePulls": false,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    })
}

/// Limits of connection tracking are the machine's, not a network namespace's.
fn proxy(place: &Place) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": { "kubeconfig": place.kubeconfig("proxy") },
        "clusterCIDR": "10.244.0.0/16",
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    })
}

/// A route to each pod and no bridge: what goes from pod to pod over a bridge passes by the
/// translation of service addresses, unless a module of the kernel is loaded that not every machine
/// has.
fn pods(place: &Place) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": place.run().join("addresses"),
                "ranges": [[{ "subnet": "10.244.0.0/24" }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    })
}

fn containerd(place: &Place, runtime: &ContainerRuntime, rights: Rights, runc: &Path) -> String {
    let run = place.run();
    let text = |path: PathBuf| format!("{:?}", path.display().to_string());
    format!(
        r#"version = 2
root = {root}
state = {state}
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = {socket}
[plugins."io.containerd.internal.v1.opt"]
  path = {opt}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = {restrict}
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {plugins}
    conf_dir = {network}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = {runc}
        Root = {runc_root}
"#,
        root = text(run.join("containerd-root")),
        state = text(run.join("containerd")),
        socket = text(place.containerd_socket()),
        opt = text(run.join("containerd-opt")),
        restrict = rights == Rights::NoSysResource,
        plugins = text(runtime.plugins.clone()),
        network = text(place.configuration().join("network")),
        runc = text(runc.to_owned()),
        runc_root = text(run.join("runc")),
    )
}

/// runc for a machine whose root lacks CAP_SYS_RESOURCE: what it cannot give, privileged containers
/// are not to ask for. It stands in the container's own description, or in that of a process in it.
fn without_sys_resource(runc: &Path) -> String {
    format!(
        r#"#!/bin/sh
last=
for argument; do
  case $last in
    --bundle | -b) file=$argument/config.json ;;
    --process | -p) file=$argument ;;
    *) file= ;;
  esac
  if [ -f "$file" ]; then
    sed -i 's/,"CAP_SYS_RESOURCE"//g; s/"CAP_SYS_RESOURCE",//g; s/"CAP_SYS_RESOURCE"//g' "$file"
  fi
  last=$argument
done
exec '{}' "$@"
"#,
        runc.display()
    )
}
