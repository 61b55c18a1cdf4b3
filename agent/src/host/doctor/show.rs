//! The report as a table for people, or as one JSON object for programs.

use std::io::{self, Write as _};

use comfy_table::{Cell, ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::{Report, Verdict};

pub(super) fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut stdout, report)?;
        return writeln!(stdout);
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["", "what", "found"]);
    if terminal_size::terminal_size_of(&stdout).is_none() {
        table.set_width(120);
    }
    for check in &report.checks {
        let found = match &check.remedy {
            Some(remedy) => format!("{}\n\u{2192} {remedy}", check.found),
            None => check.found.clone(),
        };
        table.add_row([Cell::new(sign(check.verdict)), Cell::new(&check.name), Cell::new(found)]);
    }
    writeln!(stdout, "{table}")?;
    let verdict = if report.run_works { "works" } else { "does not work" };
    writeln!(stdout, "`lynceus run` {verdict} here (lynceus {})", report.version)
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Limited => "limited",
        Verdict::Failed => "FAILED",
        Verdict::Information => "",
    }
}
