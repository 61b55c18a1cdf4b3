//! A Collector whose certificate no public authority signed, and that asks for one of ours.

use std::{fs, path::Path, process::Command};

use agent_tests::lynceus::run_with;
use anyhow::ensure;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{compare, peer::Peer};

pub(crate) fn by_grpc() -> anyhow::Result<()> {
    arrives("grpc", |peer| &peer.grpc)
}

pub(crate) fn by_http() -> anyhow::Result<()> {
    arrives("http/protobuf", |peer| &peer.http)
}

fn arrives(protocol: &str, address: fn(&Peer) -> &String) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let peer = Peer::start_with_certificates(folder.path(), certificates(folder.path())?)?;
    let url = format!("https://{}", address(&peer));
    let file = |name: &str| folder.path().join(name);
    let sends = |prepare: &dyn Fn(&mut Command)| {
        run_with(&["--wait"], &["true"], |lynceus| {
            lynceus.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
            lynceus.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
            prepare(lynceus);
        })
    };
    let trusts = |lynceus: &mut Command| {
        lynceus.env("OTEL_EXPORTER_OTLP_CERTIFICATE", file("ca.crt"));
    };
    for untrusted in [sends(&|_| {})?, sends(&trusts)?] {
        ensure!(untrusted.stderr.contains("OTLP 0 sent and 1 lost"), "{}", untrusted.stderr);
    }
    let run = sends(&|lynceus| {
        trusts(lynceus);
        lynceus.env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("us.crt"));
        lynceus.env("OTEL_EXPORTER_OTLP_CLIENT_KEY", file("us.key"));
    })?;
    let theirs = peer.stop()?;
    ensure!(run.stderr.contains("OTLP 1 sent"), "{}", run.stderr);
    compare(&run, &theirs)
}

/// Of an authority, the Collector and us.
fn certificates(folder: &Path) -> anyhow::Result<&Path> {
    let key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "an authority of this test");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(folder.join("ca.crt"), authority.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(authority, key);
    for name in ["peer", "us"] {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])?;
        let certificate = certificate.signed_by(&key, &issuer)?;
        fs::write(folder.join(format!("{name}.crt")), certificate.pem())?;
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(folder)
}
