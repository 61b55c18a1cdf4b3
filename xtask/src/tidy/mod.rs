//! `cargo xtask tidy`: what we agreed on about this repository's files, checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::{paths, say};

mod documents;
mod layout;
mod source;

/// Checks the repository's own rules, which no other tool knows.
///
/// Every source starts by saying what it is for; none is longer than 400 lines; `unsafe` is only
/// where it is expected; every crate takes the workspace's lints; nothing is left to be done later
/// or skipped; the top directory has the agreed names only; every loss is documented; links in
/// documents lead somewhere. The lists of exceptions, each with its reason, are in
/// xtask/src/tidy/. A second; needs nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask tidy")]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<ExitCode> {
    let problems = problems(paths::repository())?;
    for problem in &problems {
        say::result(problem);
    }
    say::result(&format!("{} problems", problems.len()));
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything in the repository that breaks a rule, one line each: `path:line: what`.
pub(crate) fn problems(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let mut problems = layout::check(root)?;
    for file in &files {
        source::check(file, &mut problems);
        documents::check(root, file, &mut problems);
    }
    documents::check_losses(&files, &mut problems);
    Ok(problems)
}

/// A text file of the repository, its path relative to the root.
#[derive(Debug)]
struct Text {
    path: String,
    content: String,
}

impl Text {
    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.content.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// What is built or found there is not ours.
const NOT_OURS: [&str; 5] =
    [".git", "target", "agent/fuzz/target", "agent/fuzz/corpus", "agent/fuzz/artifacts"];
const EXTENSIONS: [&str; 6] = ["rs", "md", "toml", "yaml", "yml", "sh"];

fn collect(root: &Path, directory: &Path, files: &mut Vec<Text>) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?;
    for entry in entries {
        let path: PathBuf =
            entry.with_context(|| format!("listing {}", directory.display()))?.path();
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if NOT_OURS.contains(&relative.as_str()) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|own| EXTENSIONS.iter().any(|each| own == *each)) {
            let content =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            files.push(Text { path: relative, content });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_repository_without_problems_has_none() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        write("Cargo.toml", "[workspace]\n");
        write("agent/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n");
        write("agent/src/loss.rs", "//! Losses.\nSelf::RingFull => \"ring_full\",\n");
        write("README.md", "[code](agent/src/loss.rs#L1)\n\n| `ring_full` | no room |\n");
        write("target/debug/anything.rs", "\t \n");
        assert_eq!(problems(root.path()).unwrap(), Vec::<String>::new());

        write("notes.txt", "");
        write("agent/src/bad.rs", "fn f() { \n");
        let found = problems(root.path()).unwrap();
        assert_eq!(found.len(), 3, "{found:#?}");
    }
}
