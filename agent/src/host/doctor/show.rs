//! The report as a table for people, or as one JSON object for programs. Who reads no further than they
//! like (`| head`) is no error.

use std::io::{self, ErrorKind, Write as _};

use comfy_table::{Cell, ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::{Check, Report, Verdict};

/// In columns. Longer lines are hard to read, and do not fit into a report of a bug.
const WIDEST: u16 = 100;

pub(super) fn json(report: &Report) -> io::Result<()> {
    written(serde_json::to_string_pretty(report)? + "\n")
}

pub(super) fn table(report: &Report) -> io::Result<()> {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    let width = terminal.map_or(WIDEST, |(width, _)| width.0.min(WIDEST));
    written(drawn(report, width))
}

fn written(text: String) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn drawn(report: &Report, width: u16) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["", "what", "found"]);
    for check in &report.checks {
        table.add_row([Cell::new(sign(check)), Cell::new(&check.name), Cell::new(found(check))]);
    }
    let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let works = |works: bool| if works { "works" } else { "does not work" };
    let run = works(report.run_works);
    lines.push(format!("`lynceus run` {run} here (lynceus {})", report.version));
    if let Some(agent_works) = report.agent_works {
        lines.push(format!("`lynceus agent` {} here", works(agent_works)));
    }
    lines.join("\n") + "\n"
}

/// What the kernel said is for who has to look into it.
fn found(check: &Check) -> String {
    let is_wrong = matches!(check.verdict, Verdict::Limited | Verdict::Failed);
    let detail = check.detail.as_ref().filter(|_| is_wrong).map(|detail| format!("\n{detail}"));
    let remedy = check.remedy.as_ref().map(|remedy| format!("\n\u{2192} {remedy}"));
    [check.found.as_str(), &detail.unwrap_or_default(), &remedy.unwrap_or_default()].concat()
}

fn sign(check: &Check) -> &'static str {
    match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Limited => "limited",
        Verdict::Failed => "FAILED",
        Verdict::Information => "",
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::{super::place::Place, *};

    #[test]
    fn a_line_is_no_wider_than_it_may_be() {
        let long = "a reason of many words ".repeat(20);
        let checks = [Verdict::Limited, Verdict::Ok].map(|verdict| {
            Check::new("request probes: tracepoint", verdict, &long).remedy(&long).detail("log")
        });
        let text = drawn(&Report::new(checks.to_vec(), Place::PodOfAgent), 60);
        let widest = text.lines().map(|line| line.width()).max();
        assert_eq!(widest, Some(60), "{text}");
        assert_eq!(text.matches("log").count(), 1, "of what is wrong alone: {text}");
        assert!(text.ends_with("`lynceus agent` works here\n"), "{text}");
    }
}
