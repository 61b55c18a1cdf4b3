//! Helm and Kustomize, built from Go modules at the versions that go.sum pins.

use std::path::PathBuf;

use anyhow::Result;

use super::go;

const PROGRAMS: [(&str, &str); 2] =
    [("helm", "helm.sh/helm/v3/cmd/helm"), ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5")];

/// What renders what is in `deploy/`.
#[derive(Debug)]
pub(crate) struct Charts {
    pub(crate) helm: PathBuf,
    pub(crate) kustomize: PathBuf,
}

/// Both, built if they are missing.
pub(crate) fn charts() -> Result<Charts> {
    let why = "the tests render deploy/ with them";
    let directory = go::programs("charts", "xtask/charts", &PROGRAMS, why)?;
    let [helm, kustomize] = PROGRAMS.map(|(name, _)| directory.join(name));
    Ok(Charts { helm, kustomize })
}
