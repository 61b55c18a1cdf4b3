//! Whose certificates count on the way to a Collector: those that the endpoint names, else the public
//! authorities'.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tonic::transport::{self, ClientTlsConfig, Identity};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::host::endpoint::Tls;

#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("reading {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has no {what} in the form of PEM", path.display())]
    Pem { path: PathBuf, what: &'static str },
}

pub(super) fn grpc(tls: &Tls) -> Result<ClientTlsConfig, TlsError> {
    let mut config = ClientTlsConfig::new();
    config = match &tls.authority {
        None => config.with_enabled_roots(),
        Some(path) => {
            let pem = read(path)?;
            certificates(path, &pem)?;
            config.ca_certificate(transport::Certificate::from_pem(pem))
        }
    };
    if let Some(client) = &tls.client {
        let (chain, key) = (read(&client.certificate)?, read(&client.key)?);
        certificates(&client.certificate, &chain)?;
        private_key(&client.key, &key)?;
        config = config.identity(Identity::from_pem(chain, key));
    }
    Ok(config)
}

pub(super) fn http(tls: &Tls) -> Result<TlsConfig, TlsError> {
    let mut config = TlsConfig::builder();
    if let Some(path) = &tls.authority {
        config = config.root_certs(RootCerts::new_with_certs(&certificates(path, &read(path)?)?));
    }
    if let Some(client) = &tls.client {
        let chain = certificates(&client.certificate, &read(&client.certificate)?)?;
        let key = private_key(&client.key, &read(&client.key)?)?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<Certificate<'static>>, TlsError> {
    let items = parse_pem(pem).filter_map(Result::ok);
    let found: Vec<_> = items
        .filter_map(|item| if let PemItem::Certificate(found) = item { Some(found) } else { None })
        .collect();
    let none = || TlsError::Pem { path: path.to_owned(), what: "certificate" };
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKey<'static>, TlsError> {
    let none = |_| TlsError::Pem { path: path.to_owned(), what: "private key" };
    PrivateKey::from_pem(pem).map_err(none)
}
