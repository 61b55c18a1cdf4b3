//! Clients and servers of gRPC, built from Go modules at the versions that go.sum pins.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::fingerprint::fingerprint;
use super::go;
use crate::{cache, paths, say};

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
    go::must_be_there()?;
    let names = PROGRAMS.map(|(name, _)| name).join(", ");
    say::note(&format!("missing programs of Go that the tests trace: {names}"));
    say::step(&format!("building {} Go programs", PROGRAMS.len()), || {
        cache::install(&directory, |half| build(&ours, half))
    })?;
    Ok(directory)
}

fn build(ours: &Path, half: &Path) -> Result<()> {
    for (name, package) in PROGRAMS {
        go::build(ours, package, go::PLAIN, &half.join(name))?;
    }
    Ok(())
}
