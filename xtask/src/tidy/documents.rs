//! Rules between documents and code: links lead somewhere, every loss is explained.

use std::path::Path;

use super::Text;

/// Where an operator finds what a loss means.
const EXPLAINED_IN: [&str; 2] = ["README.md", "ARCHITECTURE.md"];
const LOSSES: [&str; 2] = ["agent/src/loss.rs", "agent/src/protocol/http2/limit.rs"];

/// Relative links of a Markdown file.
pub(super) fn check(root: &Path, file: &Text, problems: &mut Vec<String>) {
    if !file.has_extension("md") {
        return;
    }
    let directory = root.join(&file.path);
    let directory = directory.parent().unwrap_or(root);
    let mut in_code = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in links(line) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !path.is_empty() && !directory.join(path).exists() {
                problems.push(format!("{}:{number}: a link to nothing: {target}", file.path));
            }
        }
    }
}

/// The targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, opening)| {
        let rest = line.get(at + opening.len()..)?;
        rest.split([')', ' ']).next()
    })
}

/// Every reason for a loss, by the name that its metric has, is in a document.
pub(super) fn check_losses(files: &[Text], problems: &mut Vec<String>) {
    for losses in files.iter().filter(|file| LOSSES.contains(&file.path.as_str())) {
        for (number, line) in losses.lines() {
            let Some(name) = metric_name(line) else { continue };
            let explained = files
                .iter()
                .filter(|file| EXPLAINED_IN.contains(&file.path.as_str()))
                .any(|file| file.content.contains(&format!("`{name}`")));
            if !explained {
                let places = EXPLAINED_IN.join(" or ");
                let path = &losses.path;
                problems.push(format!("{path}:{number}: the loss `{name}` is not in {places}"));
            }
        }
    }
}

/// `Self::RingFull => "ring_full",` is `ring_full`, and `("holes", self.holes),` is `holes`.
fn metric_name(line: &str) -> Option<&str> {
    let line = line.trim();
    let of_records = || line.strip_prefix("Self::")?.split_once(" => \"").map(|(_, name)| name);
    let of_frames = || line.contains("\", self.").then(|| line.strip_prefix("(\""))?;
    of_records().or_else(of_frames)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_link_must_lead_somewhere() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("docs")).unwrap();
        std::fs::write(root.path().join("docs/a.md"), "").unwrap();
        let check = |content: &str, expected: usize| {
            let file = Text { path: "docs/b.md".into(), content: content.into() };
            let mut found = Vec::new();
            check(root.path(), &file, &mut found);
            assert_eq!(found.len(), expected, "{content}: {found:?}");
        };
        check("[a](a.md) and [b](a.md#part) and [c](#here) and [d](https://x.example/y)", 0);
        check("[a](../docs/a.md \"title\")", 0);
        check("[a](a.md), [b](gone.md)", 1);
        check("```\n[b](gone.md)\n```\n", 0);
    }

    #[test]
    fn a_loss_is_explained_to_the_operator() {
        let text = |path: &str, content: &str| Text { path: path.into(), content: content.into() };
        let code = "Self::A => \"ring_full\",\nSelf::B => \"missed\",\n";
        let check = |document: &str, expected: usize| {
            let mut found = Vec::new();
            let counts = text(LOSSES[1], "(\"holes\", self.holes),\n");
            let files = [text(LOSSES[0], code), counts, text("README.md", document)];
            check_losses(&files, &mut found);
            assert_eq!(found.len(), expected, "{found:?}");
        };
        check("| `ring_full` | ... |\n| `missed`, `holes` | ... |", 0);
        check("| `ring_full` | ... |\n| `holes` | ... |", 1);
        check("ring_full", 3);
    }
}
