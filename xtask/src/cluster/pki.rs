//! Keys, certificates and kubeconfigs of a cluster, made anew for each: they live no longer than its
//! directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::json;

use super::place::Place;
use super::{NODE_ADDRESS, NODE_NAME};

/// The first address of the services' range, which is the API server's own service.
const SERVICE_ADDRESS: &str = "10.96.0.1";

/// Whom a certificate is for.
struct Subject {
    file: &'static str,
    common_name: &'static str,
    /// A group, in the API server's eyes.
    organization: Option<&'static str>,
    names: &'static [&'static str],
}

const SUBJECTS: [Subject; 7] = [
    Subject {
        file: "serving",
        common_name: "kube-apiserver",
        organization: None,
        names: &[
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "localhost",
            "127.0.0.1",
            SERVICE_ADDRESS,
            NODE_ADDRESS,
        ],
    },
    Subject {
        file: "node",
        common_name: "system:node:node1",
        organization: Some("system:nodes"),
        names: &[NODE_NAME, "127.0.0.1", NODE_ADDRESS],
    },
    client("admin", "admin", Some("system:masters")),
    client("apiserver-to-kubelet", "kube-apiserver-kubelet-client", Some("system:masters")),
    client("controller-manager", "system:kube-controller-manager", None),
    client("scheduler", "system:kube-scheduler", None),
    client("proxy", "system:kube-proxy", None),
];

/// Those of them that talk to the API server.
const USERS: [&str; 5] = ["admin", "controller-manager", "scheduler", "proxy", "node"];

const fn client(
    file: &'static str,
    common_name: &'static str,
    organization: Option<&'static str>,
) -> Subject {
    Subject { file, common_name, organization, names: &[] }
}

/// Writes all of them.
pub(super) fn write(place: &Place) -> Result<()> {
    let keys = place.keys();
    let key = KeyPair::generate().context("making the authority's key")?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "lynceus test cluster");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).context("signing the authority's certificate")?;
    write_private(&keys.join("ca.crt"), &certificate.pem())?;
    write_private(&keys.join("ca.key"), &key.serialize_pem())?;
    let issuer = Issuer::new(authority, key);
    for subject in &SUBJECTS {
        sign(subject, &issuer, &keys)
            .with_context(|| format!("making the certificate of {}", subject.file))?;
    }
    let accounts = KeyPair::generate().context("making the key of service accounts")?;
    write_private(&keys.join("accounts.key"), &accounts.serialize_pem())?;
    write_private(&keys.join("accounts.pub"), &accounts.public_key_pem())?;
    for user in USERS {
        write_private(&place.kubeconfig(user), &kubeconfig(user, &keys))?;
    }
    Ok(())
}

fn sign(subject: &Subject, issuer: &Issuer<'_, KeyPair>, keys: &Path) -> Result<()> {
    let names = subject.names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut wanted = CertificateParams::new(names)?;
    // The library's own name is there by default.
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted.distinguished_name.push(DnType::CommonName, subject.common_name);
    if let Some(organization) = subject.organization {
        wanted.distinguished_name.push(DnType::OrganizationName, organization);
    }
    wanted.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = wanted.signed_by(&key, issuer)?;
    let file = |extension: &str| keys.join(format!("{}.{extension}", subject.file));
    write_private(&file("crt"), &certificate.pem())?;
    write_private(&file("key"), &key.serialize_pem())
}

/// JSON is YAML, too.
fn kubeconfig(user: &str, keys: &Path) -> String {
    let file = |name: String| keys.join(name);
    let server = "https://127.0.0.1:6443";
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "cluster",
            "cluster": { "server": server, "certificate-authority": file("ca.crt".into()) },
        }],
        "users": [{
            "name": user,
            "user": {
                "client-certificate": file(format!("{user}.crt")),
                "client-key": file(format!("{user}.key")),
            },
        }],
        "contexts": [{ "name": user, "context": { "cluster": "cluster", "user": user } }],
        "current-context": user,
    })
    .to_string()
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let write = || {
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
    };
    write().with_context(|| format!("writing {}", path.display()))
}
