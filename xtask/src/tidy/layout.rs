//! The names in the top directory.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Seven names that one has to know, and the files that a Rust project carries.
const NAMES: [&str; 15] = [
    "Cargo.toml",
    "agent",
    "agent-ebpf",
    "xtask",
    "deploy",
    "tests",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "LICENSE",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
    "target",
];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("listing {}", root.display()))? {
        let name = entry.with_context(|| format!("listing {}", root.display()))?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && !NAMES.contains(&name.as_ref()) {
            problems.push(format!("{name}: not one of the names in the top directory"));
        }
    }
    problems.sort();
    Ok(problems)
}
