//! Rules about single files: what they start with, how long they are, what they must not contain.

use super::Text;

const MAX_LINES: usize = 400;

/// A file that a rule does not hold for, and why.
type Exception = (&'static str, &'static str);

const LONGER: [Exception; 0] = [];

const WITH_UNSAFE: [Exception; 24] = [
    ("agent-ebpf/src/admit.rs", "asks the kernel about the current task"),
    ("agent-ebpf/src/buffer.rs", "reads where the buffers of the current process lie"),
    ("agent-ebpf/src/connection.rs", "map values are raw pointers"),
    ("agent-ebpf/src/cgroup.rs", "map values are raw pointers"),
    ("agent-ebpf/src/copies.rs", "map values are raw pointers"),
    ("agent-ebpf/src/take_up.rs", "an iterator's context is a raw pointer"),
    ("agent-ebpf/src/kernel.rs", "callbacks of helpers take raw pointers"),
    ("agent-ebpf/src/kprobe.rs", "map values are raw pointers"),
    ("agent-ebpf/src/place.rs", "map values are raw pointers"),
    ("agent-ebpf/src/unix.rs", "reads the name of a socket"),
    ("agent-ebpf/src/message.rs", "map values are raw pointers"),
    ("agent-ebpf/src/emit.rs", "writes records into the ring's memory"),
    ("agent-ebpf/src/data.rs", "map values are shared"),
    ("agent-ebpf/src/frames.rs", "map values are raw pointers"),
    ("agent-ebpf/src/main.rs", "the licence symbol has a section of its own"),
    ("agent-ebpf/src/maps.rs", "map values are raw pointers"),
    ("agent-ebpf/src/preempt.rs", "calls kernel functions"),
    ("agent-ebpf/src/process.rs", "calls helpers that aya has no safe form of"),
    ("agent-ebpf/src/read.rs", "reads memory of the kernel and of processes"),
    ("agent/src/host/object.rs", "bpf(2) has no safe form"),
    ("agent/src/host/memory.rs", "gives freed memory back to the system"),
    ("agent/src/host/run/command.rs", "switches the user between fork and exec"),
    ("tests/kernel/peer.rs", "does with system calls what no everyday program does"),
    ("tests/kernel/uring.rs", "gives buffers to the kernel"),
];

/// Files, or what their paths start with.
const NOT_ASCII: [Exception; 2] = [
    ("agent/src/redact/", "marks in test cases, and text in other scripts"),
    ("agent/src/waterfall/", "draws with a terminal's line characters, and measures other scripts"),
];

/// Typography that prose in comments and messages may use anywhere.
const TYPOGRAPHY: [char; 3] = ['\u{a7}', '\u{2013}', '\u{2026}'];

/// Crates that are no member of the workspace cannot take its lints.
const OWN_LINTS: [Exception; 1] =
    [("agent/fuzz/Cargo.toml", "a workspace of its own, for the fuzzing engine's flags")];

/// Work left for later, and tests that do not run or pass by failing. In two parts, so that this
/// file does not find itself.
const FORBIDDEN: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[ig", "nore"),
    concat!("should", "_panic"),
];

pub(super) fn check(file: &Text, problems: &mut Vec<String>) {
    let path = file.path.as_str();
    let mut report = |line: usize, what: &str| problems.push(format!("{path}:{line}: {what}"));
    for (number, line) in file.lines() {
        if line.ends_with([' ', '\t']) {
            report(number, "white space at the end of the line");
        }
        for word in FORBIDDEN {
            if has_word(line, word) {
                report(number, &format!("`{word}`: do it now, or say in words what is absent"));
            }
        }
    }
    if file.has_extension("rs") {
        rust(file, &mut report);
    }
    let manifest = path == "Cargo.toml" || path.ends_with("/Cargo.toml");
    if manifest
        && file.content.contains("[package]")
        && !file.content.contains("[lints]\nworkspace = true")
        && !excepted(&OWN_LINTS, path)
    {
        report(1, "does not take the workspace's lints: [lints] workspace = true");
    }
}

fn rust(file: &Text, report: &mut impl FnMut(usize, &str)) {
    let path = file.path.as_str();
    if !file.content.starts_with("//!") && !file.content.starts_with("#!") {
        report(1, "does not start with a sentence of `//!` that says what the file is for");
    }
    let lines = file.content.lines().count();
    if lines > MAX_LINES && !excepted(&LONGER, path) {
        report(lines, "longer than 400 lines: find the second idea and move it out");
    }
    for (number, line) in file.lines() {
        if line.contains('\t') {
            report(number, "a tab");
        }
        let foreign = |c: char| !c.is_ascii() && !TYPOGRAPHY.contains(&c);
        if let Some(found) = line.chars().find(|c| foreign(*c))
            && !NOT_ASCII.iter().any(|(start, _)| path.starts_with(start))
        {
            report(number, &format!("a character outside ASCII, {}", found.escape_unicode()));
        }
        if uses_unsafe(line) && !excepted(&WITH_UNSAFE, path) {
            report(number, "`unsafe` in a file that is not on the list");
        }
    }
}

fn excepted(exceptions: &[Exception], path: &str) -> bool {
    exceptions.iter().any(|(file, _)| *file == path)
}

/// Whether the keyword is in the line's code. Text in quotes is taken for code, comments are not.
fn uses_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let keyword = concat!("un", "safe");
    ["{", " ", "("].iter().any(|next| {
        code.match_indices(keyword).any(|(at, _)| {
            let rest = code.get(at + keyword.len()..).unwrap_or_default();
            word_starts(code, at) && (rest.starts_with(next) || rest.is_empty())
        })
    })
}

/// Whether `word` stands in the line, not as part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let last_is_letter = word.ends_with(|c: char| c.is_ascii_alphanumeric());
    line.match_indices(word).any(|(at, _)| {
        let next = line.get(at + word.len()..).and_then(|rest| rest.chars().next());
        let goes_on = next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        word_starts(line, at) && !(last_is_letter && goes_on)
    })
}

fn word_starts(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|start| start.chars().next_back());
    !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(path: &str, content: &str, expected: &[&str]) {
        let file = Text { path: path.into(), content: content.into() };
        let mut found = Vec::new();
        check(&file, &mut found);
        assert_eq!(found.len(), expected.len(), "{path}: {found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} does not say {expected:?}");
        }
    }

    #[test]
    fn a_source_says_what_it_is_for_and_is_plain_text() {
        check_file("a.rs", "//! Good.\n", &[]);
        check_file("a.rs", "use std::fs;\n", &["a.rs:1: does not start"]);
        check_file("a.rs", "//! A.\n\tx\n", &["a.rs:2: a tab"]);
        check_file("a.rs", "//! A.\nlet x = 1; \n", &["a.rs:2: white space"]);
        check_file("a.rs", "//! A \u{2192} B.\n", &["outside ASCII"]);
        check_file("a.rs", "//! See \u{a7} 4 \u{2026}\n", &[]);
        check_file("agent/src/waterfall/rows.rs", "//! \u{2514} A.\n", &[]);
    }

    #[test]
    fn a_source_has_one_idea() {
        let content = |lines: usize| format!("//! A.\n{}", "x\n".repeat(lines - 1));
        check_file("a.rs", &content(400), &[]);
        check_file("a.rs", &content(401), &["longer than 400 lines"]);
    }

    #[test]
    fn the_keyword_is_found_in_code_and_not_in_names_or_comments() {
        let with = |code: &str| format!("//! A.\n{}\n", code.replace('U', concat!("un", "safe")));
        for code in ["let x = U { y };", "pub U fn x() {}", "#[U(no_mangle)]", "U impl S for T {}"]
        {
            check_file("a.rs", &with(code), &["not on the list"]);
            check_file("agent/src/host/memory.rs", &with(code), &[]);
        }
        for code in ["// U { y }", "#![forbid(U_code)]", "let not_U = 1;"] {
            check_file("a.rs", &with(code), &[]);
        }
    }

    #[test]
    fn nothing_is_left_for_later() {
        for word in FORBIDDEN {
            check_file("a.rs", &format!("//! A.\n// {word}: later\n"), &[word]);
        }
        check_file("a.sh", &format!("mktemp {}{}\n", FORBIDDEN[2], FORBIDDEN[2]), &[]);
    }

    #[test]
    fn a_crate_takes_the_lints_of_the_workspace() {
        check_file("x/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n", &[]);
        check_file("x/Cargo.toml", "[package]\n", &["[lints]"]);
        check_file("agent/fuzz/Cargo.toml", "[package]\n", &[]);
        check_file("Cargo.toml", "[workspace]\n", &[]);
    }
}
