//! Clients and servers of gRPC, built from Go modules at the versions that go.sum pins.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::fingerprint::fingerprint;
use crate::missing::Missing;
use crate::{cache, command, paths, say};

const LIMIT: Duration = Duration::from_secs(1200);

/// What the tests call a program, and its package.
const PROGRAMS: [(&str, &str); 5] = [
    ("ghz", "github.com/bojand/ghz/cmd/ghz"),
    ("grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl"),
    ("grpc-interop-client", "google.golang.org/grpc/interop/client"),
    ("grpc-interop-server", "google.golang.org/grpc/interop/server"),
    ("grpc-reflection-server", "google.golang.org/grpc/examples/features/reflection/server"),
];

/// The folder with all of them, built if it is missing.
pub(super) fn ensure() -> Result<PathBuf> {
    let ours = paths::repository().join("tests/programs");
    let name = format!("tools/go-programs-{}", fingerprint(&ours, &["go.mod", "go.sum"], "")?);
    let directory = cache::root()?.join(name);
    if directory.is_dir() {
        return Ok(directory);
    }
    let _lock = cache::lock("go-programs")?;
    if directory.is_dir() {
        return Ok(directory);
    }
    if paths::program("go").is_none() {
        bail!(Missing::new("Go 1.25 or newer"));
    }
    let names = PROGRAMS.map(|(name, _)| name).join(", ");
    say::note(&format!("missing programs of Go that the tests trace: {names}"));
    say::step(&format!("building {} Go programs", PROGRAMS.len()), || {
        cache::install(&directory, |half| build(&ours, half))
    })?;
    Ok(directory)
}

fn build(ours: &Path, half: &Path) -> Result<()> {
    for (name, package) in PROGRAMS {
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o"]);
        go.arg(half.join(name)).arg(package).current_dir(ours);
        go.env("CGO_ENABLED", "0").env_remove("GOFLAGS");
        command::checked(&mut go, &format!("go-{name}"), LIMIT)?;
    }
    Ok(())
}
