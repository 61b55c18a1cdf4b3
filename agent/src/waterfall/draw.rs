//! Puts rows, bars and figures into columns of the width there is.

use super::bar::{Scale, Shape};
use super::critical::Window;
use super::duration::human;
use super::paint::{Ink, Line, cells};
use super::rows::{Row, plural};
use super::{Fold, Look};
use crate::id::TraceId;

/// Narrower than this a bar says nothing that the durations do not.
const LEAST_WIDTH_WITH_BARS: usize = 60;
const LEAST_BAR: usize = 10;
const LEAST_LABEL: usize = 20;
const LEAST_NOTE: usize = 20;
const GAP: usize = 2;

pub(super) struct Header {
    pub(super) trace: TraceId,
    pub(super) whole: Window,
    pub(super) processes: u64,
    /// Spans of another kind.
    pub(super) others: u64,
    pub(super) failed: u64,
    pub(super) forks: u64,
}

/// What became of spans that have no row of their own.
pub(super) enum Left {
    Nothing,
    /// `--full` would show them.
    Folded,
    /// No row was kept for them: there were more spans than this.
    Limited(usize),
}

struct Columns {
    label: usize,
    /// `None` where there is no room for it.
    bar: Option<usize>,
    time: usize,
    note: usize,
}

pub(super) fn draw(header: &Header, rows: Vec<Row>, left: &Left, look: &Look) -> String {
    let columns = Columns::fit(&rows, look.width);
    let scale = columns.bar.map(|cells| Scale::new(header.whole, cells));
    let legend = legend(&rows, scale.as_ref(), left, look.fold);
    let mut out = String::new();
    let mut write = |line: Line| line.write(look.width, look.colour, &mut out);
    header.lines(look.width).into_iter().for_each(&mut write);
    if let Some(scale) = &scale {
        let mut axis = Line::default();
        axis.pad(columns.label + GAP);
        axis.append(scale.axis());
        write(axis);
    }
    for row in rows {
        write(columns.line(row, scale.as_ref()));
    }
    write(legend);
    out
}

impl Columns {
    fn fit(rows: &[Row], width: usize) -> Self {
        let most = |cells: fn(&Row) -> usize| rows.iter().map(cells).max().unwrap_or_default();
        let time = most(|row| cells(&row.time));
        let note = match most(|row| row.note.width()) {
            0 => 0,
            most => (most + GAP).min((width / 4).max(LEAST_NOTE).min(width / 2)),
        };
        let wanted = most(|row| row.label.width() + row.count.width());
        let rest = width.saturating_sub(time + note + GAP);
        if width >= LEAST_WIDTH_WITH_BARS {
            let label = wanted.min((rest * 9 / 20).max(LEAST_LABEL));
            let bar = rest.saturating_sub(label + GAP);
            if bar >= LEAST_BAR {
                return Self { label, bar: Some(bar), time, note };
            }
        }
        Self { label: wanted.min(rest), bar: None, time, note }
    }

    fn line(&self, row: Row, scale: Option<&Scale>) -> Line {
        let mut line = row.label;
        line.cut(self.label.saturating_sub(row.count.width()));
        line.append(row.count);
        // What looks like an answer may be the end of any command.
        line.cut(self.label);
        line.pad(self.label + GAP);
        if let Some(scale) = scale {
            line.append(scale.draw(&row.shape, row.waited.as_deref(), row.ink));
            line.pad(self.label + GAP + scale.cells() + GAP);
        }
        let blanks = self.time.saturating_sub(cells(&row.time));
        line.push(Ink::Text, &" ".repeat(blanks));
        line.push(if row.waited.is_some() { Ink::Strong } else { Ink::Text }, &row.time);
        if self.note > GAP && row.note.width() > 0 {
            let mut note = row.note;
            note.cut(self.note - GAP);
            line.push(Ink::Text, &" ".repeat(GAP));
            line.append(note);
        }
        line
    }
}

impl Header {
    /// One line, or two where one is too long.
    fn lines(&self, width: usize) -> Vec<Line> {
        let length_ns = self.whole.to.0.saturating_sub(self.whole.from.0);
        let mut figures = vec![(Ink::Strong, human(std::time::Duration::from_nanos(length_ns)))];
        match (self.processes, self.others) {
            (0, others) => figures.push((Ink::Text, plural(others, "span", "spans"))),
            (processes, others) => {
                figures.push((Ink::Text, plural(processes, "process", "processes")));
                if others > 0 {
                    figures.push((Ink::Text, plural(others, "other span", "other spans")));
                }
            }
        }
        if self.forks > 0 {
            figures.push((Ink::Text, plural(self.forks, "fork", "forks")));
        }
        if self.failed > 0 {
            figures.push((Ink::Failed, format!("{} failed", self.failed)));
        }
        let mut trace = Line::default();
        trace.push(Ink::Faint, &format!("trace {}", self.trace));
        let mut rest = Line::default();
        for (place, (ink, text)) in figures.into_iter().enumerate() {
            if place > 0 {
                rest.push(Ink::Faint, " · ");
            }
            rest.push(ink, &text);
        }
        if trace.width() + 3 + rest.width() > width {
            return vec![trace, rest];
        }
        trace.push(Ink::Faint, " · ");
        trace.append(rest);
        vec![trace]
    }
}

fn legend(rows: &[Row], scale: Option<&Scale>, left: &Left, fold: Fold) -> Line {
    let mut line = Line::default();
    if rows.iter().any(|row| row.waited.is_some()) {
        let (glyphs, meaning) = match scale {
            Some(_) => ("● ━", " critical path: what the run waited for"),
            None => ("●", " critical path"),
        };
        line.push(Ink::Critical, glyphs);
        line.push(Ink::Faint, meaning);
    }
    if scale.is_some() && rows.iter().any(|row| matches!(row.shape, Shape::Crowd(_))) {
        line.push(Ink::Text, "   ");
        line.push(Ink::Bar, "▁▄█");
        line.push(Ink::Faint, " how many at once");
    }
    let hint = match (left, fold) {
        (Left::Nothing, _) | (Left::Folded, Fold::Full) => String::new(),
        (Left::Folded | Left::Limited(_), Fold::Folded) => "   --full shows all".to_owned(),
        (Left::Limited(limit), Fold::Full) => format!("   beyond {limit}, only counted"),
    };
    line.push(Ink::Faint, &hint);
    line
}
