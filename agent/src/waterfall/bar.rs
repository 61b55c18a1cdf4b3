//! Time to scale: strokes half a cell long, the heavy ones where the run waited for this row.
//!
//! The box-drawing characters have each pair of no, light and heavy half, so that a bar is drawn
//! to half a cell and the critical path can be followed without colour.

use std::time::Duration;

use super::critical::Window;
use super::duration::tick;
use super::paint::{Ink, Line, cells};
use crate::span::UnixNanos;

const HEIGHTS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const GRID: &str = "┊";
/// Cells from one tick to the next, at least.
const TICK_CELLS: u128 = 11;

#[derive(Debug)]
pub(super) struct Scale {
    from: UnixNanos,
    length_ns: u128,
    cells: usize,
    ticks: Vec<(usize, String)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stroke {
    #[default]
    None,
    Light,
    Heavy,
}

/// What one row shows of time.
#[derive(Debug)]
pub(super) enum Shape {
    /// One span.
    Line(Window),
    /// Several: when each ran, and for how long within its window.
    Crowd(Vec<(Window, Duration)>),
}

impl Scale {
    pub(super) fn new(whole: Window, cells: usize) -> Self {
        let length_ns = u128::from(whole.to.0.saturating_sub(whole.from.0)).max(1);
        let mut scale = Self { from: whole.from, length_ns, cells, ticks: Vec::new() };
        let step = scale.step();
        for time in (0..).map(|n: u64| n.saturating_mul(step)) {
            let at = scale.floor(UnixNanos(whole.from.0.saturating_add(time))) / 2;
            let text = format!("{GRID}{}", tick(Duration::from_nanos(time)));
            if u128::from(time) > length_ns || at + self::cells(&text) > cells {
                break;
            }
            scale.ticks.push((at, text));
        }
        scale
    }

    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    pub(super) fn axis(&self) -> Line {
        let mut line = Line::default();
        for (at, text) in &self.ticks {
            line.pad(*at);
            line.push(Ink::Faint, text);
        }
        line
    }

    /// The row's bar; `waited` is when it was on the critical path, `None` where it was not.
    pub(super) fn draw(&self, shape: &Shape, waited: Option<&[Window]>, ink: Ink) -> Line {
        let mut halves = vec![Stroke::None; self.cells.saturating_mul(2)];
        match shape {
            Shape::Line(window) => self.stroke(&mut halves, *window, Stroke::Light),
            Shape::Crowd(_) => {}
        }
        for window in waited.into_iter().flatten() {
            let place = self.waited(*window, shape);
            halves.get_mut(place).into_iter().flatten().for_each(|half| *half = Stroke::Heavy);
        }
        if let (Shape::Line(window), Some(_)) = (shape, waited) {
            let seen = halves.iter().filter(|half| **half != Stroke::None).count();
            if seen <= 1 {
                self.stroke(&mut halves, *window, Stroke::Heavy);
            }
        }
        let heights = match shape {
            Shape::Line(_) => Vec::new(),
            Shape::Crowd(crowd) => self.heights(crowd),
        };
        let mut line = Line::default();
        let mut ticks = self.ticks.iter().map(|(at, _)| *at).peekable();
        for (cell, pair) in halves.chunks(2).enumerate() {
            let pair = [pair.first(), pair.last()].map(|half| half.copied().unwrap_or_default());
            let is_tick = ticks.next_if_eq(&cell).is_some();
            let critical = if ink == Ink::Bar { Ink::Critical } else { ink };
            let ink = if pair.contains(&Stroke::Heavy) { critical } else { ink };
            match heights.get(cell).and_then(|height| HEIGHTS.get(height.checked_sub(1)?)) {
                Some(height) => line.push(ink, height),
                None => match glyph(pair, shape) {
                    Some(glyph) => line.push(ink, glyph),
                    None if is_tick => line.push(Ink::Faint, GRID),
                    None => line.push(Ink::Text, " "),
                },
            }
        }
        line
    }

    /// Rounded to the nearest: a gap too short to see must not look like one. But where the row
    /// itself begins or ends, this does so with it.
    fn waited(&self, window: Window, shape: &Shape) -> std::ops::Range<usize> {
        let (from, to) = (self.nearest(window.from), self.nearest(window.to));
        match shape {
            Shape::Line(line) if from < to => {
                let starts = line.from == window.from;
                let ends = line.to == window.to;
                let from = if starts { self.floor(window.from) } else { from };
                from..if ends { self.ceil(window.to) } else { to }
            }
            Shape::Line(_) | Shape::Crowd(_) => from..to,
        }
    }

    /// 0 for a cell in which nothing ran, else 1 to 8, the highest where the most ran.
    fn heights(&self, crowd: &[(Window, Duration)]) -> Vec<usize> {
        let cell_ns = self.length_ns as f64 / self.cells.max(1) as f64;
        let mut ran = vec![0.0_f64; self.cells];
        for (window, busy) in crowd {
            let first = self.floor(window.from) / 2;
            let last = (self.ceil(window.to).max(1) - 1) / 2;
            let offset = |time: UnixNanos| time.0.saturating_sub(self.from.0) as f64 / cell_ns;
            let (from, to) = (offset(window.from), offset(window.to));
            // At a time of its window, so many of it ran.
            let share = busy.as_nanos() as f64 / cell_ns / (to - from).max(f64::MIN_POSITIVE);
            for cell in first..=last.max(first) {
                let covered = to.min(cell as f64 + 1.0) - from.max(cell as f64);
                if let Some(sum) = ran.get_mut(cell) {
                    // Something of each is seen, however short it was.
                    *sum += (covered * share).max(f64::MIN_POSITIVE);
                }
            }
        }
        // One at a time and always is half a cell high, so that a crowd is seen to be one.
        let most = ran.iter().copied().fold(2.0, f64::max);
        let height = |sum: f64| {
            let level = (0_u8..8).take_while(|level| sum > most * f64::from(*level) / 8.0).count();
            level.min(HEIGHTS.len())
        };
        ran.into_iter().map(height).collect()
    }

    fn stroke(&self, halves: &mut [Stroke], window: Window, stroke: Stroke) {
        let from = self.floor(window.from).min(halves.len().saturating_sub(1));
        let to = self.ceil(window.to).max(from + 1);
        halves.get_mut(from..to).into_iter().flatten().for_each(|half| *half = stroke);
    }

    /// A round time, so that ticks are as close as they may be.
    fn step(&self) -> u64 {
        let least = self.length_ns * TICK_CELLS / self.cells.max(1) as u128;
        let decades = (0..18).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
        let minutes = [10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 21_600, 43_200];
        const SECOND: u64 = 1_000_000_000;
        let steps = decades.take_while(|step| *step < 10 * SECOND);
        let mut steps = steps.chain(minutes.map(|seconds| seconds * SECOND));
        let day = 86_400 * SECOND;
        let days = u64::try_from(least / u128::from(day) + 1).unwrap_or(u64::MAX);
        steps.find(|step| u128::from(*step) >= least).unwrap_or_else(|| days.saturating_mul(day))
    }

    fn floor(&self, time: UnixNanos) -> usize {
        self.half(time, 0)
    }

    fn nearest(&self, time: UnixNanos) -> usize {
        self.half(time, self.length_ns / 2)
    }

    fn ceil(&self, time: UnixNanos) -> usize {
        self.half(time, self.length_ns - 1)
    }

    /// Of the halves of the bar's cells, at most their number.
    fn half(&self, time: UnixNanos, carry: u128) -> usize {
        let halves = self.cells.saturating_mul(2);
        let offset = u128::from(time.0.saturating_sub(self.from.0));
        let half = (offset * halves as u128 + carry) / self.length_ns;
        usize::try_from(half).unwrap_or(halves).min(halves)
    }
}

fn glyph(pair: [Stroke; 2], shape: &Shape) -> Option<&'static str> {
    match (shape, pair) {
        // Between the members of a crowd there is nothing.
        (Shape::Crowd(_), _) | (Shape::Line(_), [Stroke::None, Stroke::None]) => None,
        (Shape::Line(_), [Stroke::None, Stroke::Light]) => Some("╶"),
        (Shape::Line(_), [Stroke::None, Stroke::Heavy]) => Some("╺"),
        (Shape::Line(_), [Stroke::Light, Stroke::None]) => Some("╴"),
        (Shape::Line(_), [Stroke::Light, Stroke::Light]) => Some("─"),
        (Shape::Line(_), [Stroke::Light, Stroke::Heavy]) => Some("╼"),
        (Shape::Line(_), [Stroke::Heavy, Stroke::None]) => Some("╸"),
        (Shape::Line(_), [Stroke::Heavy, Stroke::Light]) => Some("╾"),
        (Shape::Line(_), [Stroke::Heavy, Stroke::Heavy]) => Some("━"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Colour;
    use super::*;

    fn window(from: u64, to: u64) -> Window {
        Window { from: UnixNanos(from), to: UnixNanos(to) }
    }

    fn check(shape: Shape, waited: Option<&[Window]>, expected: &str) {
        let mut scale = Scale::new(window(100, 200), 10);
        scale.ticks.clear();
        let mut text = String::new();
        scale.draw(&shape, waited, Ink::Bar).write(10, Colour::Plain, &mut text);
        assert_eq!(text.trim_end_matches('\n'), expected);
    }

    #[test]
    fn a_bar_is_to_scale_by_half_cells() {
        check(Shape::Line(window(100, 200)), None, "──────────");
        check(Shape::Line(window(105, 195)), None, "╶────────╴");
        check(Shape::Line(window(100, 100)), None, "╴");
        check(Shape::Line(window(200, 200)), None, "         ╶");
        check(Shape::Line(window(0, u64::MAX)), None, "──────────");
        check(
            Shape::Line(window(100, 200)),
            Some(&[window(155, 200), window(100, 120), window(130, 131)]),
            "━━───╼━━━━",
        );
        check(Shape::Line(window(151, 152)), Some(&[]), "     ╸");
    }

    #[test]
    fn a_crowd_is_as_high_as_many_ran() {
        let one = (window(100, 150), Duration::from_nanos(50));
        check(Shape::Crowd(vec![one]), None, "▄▄▄▄▄");
        let four = vec![one, one, one, (window(100, 120), Duration::from_nanos(20))];
        check(Shape::Crowd(four), None, "██▆▆▆");
        check(Shape::Crowd(vec![(window(100, 200), Duration::ZERO)]), None, "▁▁▁▁▁▁▁▁▁▁");
    }

    #[test]
    fn ticks_are_round_and_apart() {
        for (length, cells, expected) in [
            (1_840_000_000, 60, "┊0              ┊500 ms         ┊1 s            ┊1.5 s"),
            (0, 20, "┊0"),
            (3_600_000_000_000, 50, "┊0              ┊20 m            ┊40 m"),
            (u64::MAX, 40, "┊0         ┊58714 d   ┊117428 d"),
        ] {
            let mut text = String::new();
            let axis = Scale::new(window(0, length), cells).axis();
            axis.write(cells, Colour::Plain, &mut text);
            assert_eq!(text.trim_end_matches('\n'), expected);
        }
    }
}
