//! Clients and servers of gRPC, built from Go modules at the versions that go.sum pins.

use std::path::PathBuf;

use anyhow::Result;

use super::go;

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
    go::programs("go-programs", "tests/programs", &PROGRAMS, "the tests trace them")
}
