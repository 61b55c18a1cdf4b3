//! Whole renders as a person sees them, and what must hold for any spans at all.

use std::ops::Range;

use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::id::SpanId;
use crate::propagation::Upstream;
use crate::span::{Attribute, SpanKind, Status, UnixNanos};

const MS: u64 = 1_000_000;

/// `parent` 0 is none.
pub(super) fn process(id: u64, parent: u64, command: &str, time: Range<u64>) -> Span {
    let argv: Vec<String> = command.split(' ').map(|word| word.replace('_', " ")).collect();
    Span {
        trace_id: TraceId::new([0x4b; 16]).unwrap(),
        span_id: SpanId::new(id.to_be_bytes()).unwrap(),
        parent: SpanId::new(parent.to_be_bytes()),
        parent_is_remote: false,
        upstream: Upstream::Open,
        trace_state: "".into(),
        name: argv[0].clone(),
        kind: SpanKind::Internal,
        start: UnixNanos(time.start),
        end: UnixNanos(time.end),
        attributes: vec![Attribute::new(key::PROCESS_COMMAND_ARGS, argv)],
        events: Vec::new(),
        dropped_events: 0,
        status: Status::Unset,
        records: 1,
        resource: None,
    }
}

pub(super) fn with(mut span: Span, key: &'static str, value: i64) -> Span {
    span.attributes.push(Attribute::new(key, value));
    span
}

/// xorshift64*: the same spans for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

/// Ids that repeat, parents that are missing or in circles, ends before starts, hostile names.
pub(super) fn random_spans(seed: u64, count: u64) -> Vec<Span> {
    const HOSTILE: [&str; 8] = [
        "sh -c x",
        "\u{1b}[2J\u{7}",
        "a\u{202e}b \r\n\0",
        "日本語 👨‍👩‍👧",
        "",
        "e\u{301}\u{9b}31m",
        "cc -c a.c",
        "لا \u{1f3fb}",
    ];
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let span = |_| {
        let (id, parent) = (1 + dice.below(count), dice.below(count + 10));
        let (start, end) = (dice.below(1 << 31), dice.below(1 << 31));
        let name = HOSTILE[usize::try_from(dice.below(8)).unwrap()];
        let mut span = process(id, parent, name, 0..0);
        (span.start, span.end) = (UnixNanos(start), UnixNanos(end));
        match dice.below(12) {
            0 => with(span, key::PROCESS_EXIT_CODE, i64::try_from(dice.below(3)).unwrap()),
            1 => with(span, key::SIGNAL, i64::try_from(dice.below(80)).unwrap()),
            2 => with(span, key::FORKS, 3),
            3 => with(span, key::UNFINISHED, 1),
            4 => {
                span.attributes.clear();
                (span.start, span.end) = (UnixNanos(0), UnixNanos(u64::MAX));
                span
            }
            _ => span,
        }
    };
    (0..count).map(span).collect()
}

fn fall(spans: &[Span], limit: usize) -> Waterfall {
    let mut fall = Waterfall::new(limit);
    spans.iter().for_each(|span| fall.push(span));
    fall
}

pub(super) fn plain(width: usize, fold: Fold) -> Look {
    Look { width, colour: Colour::Plain, fold }
}

pub(super) fn check(spans: &[Span], look: &Look, expected: &str) {
    let text = fall(spans, 20_000).render(look);
    assert_eq!(text, expected.trim_start_matches('\n'), "\n{text}");
}

fn script() -> Vec<Span> {
    let t = |from: u64, to: u64| from * MS..to * MS;
    vec![
        process(2, 1, "/bin/true", t(10, 12)),
        process(3, 1, "/bin/true", t(14, 16)),
        process(4, 1, "/bin/true", t(18, 20)),
        with(process(5, 1, "sh -c exit_7", t(22, 61)), key::PROCESS_EXIT_CODE, 7),
        with(process(7, 6, "ls /", t(400, 900)), key::FORKS, 2),
        with(process(8, 6, "sleep 9", t(700, 1840)), key::UNFINISHED, 1),
        process(6, 1, "/usr/bin/python3 -c import_subprocess", t(70, 1800)),
        process(1, 0, "/bin/bash -c for_i_in_1_2_3;_do_/bin/true;_done", t(0, 1840)),
    ]
}

#[test]
fn a_script_with_repeats_and_a_failure() {
    check(
        &script(),
        &plain(100, Fold::Folded),
        r"
trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b · 1.84 s · 8 processes · 2 forks · 1 failed
                                  ┊0                   ┊1 s
● bash -c 'for i in 1 2 3; do /…  ──────────────────────────────────────━    1.84 s
├● true ×3                        ▁                    ┊                   Σ 6.0 ms  max 2.0 ms
├● sh -c 'exit 7'                 ━╸                   ┊                      39 ms  ✗ exit 7
└● python3 -c 'import subproces…  ┊━━━━━━━╾──────────━━━━━━━━━━━━━━━━━━━╸    1.73 s
  ├● ls /                         ┊       ━━━━━━━━━━━╸ ┊                     500 ms  2 forks
  └─ sleep 9                      ┊             ╶────────────────────────    1.14 s  … still running
● ━ critical path: what the run waited for   ▁▄█ how many at once   --full shows all
",
    );
}

#[test]
fn all_of_it_in_full() {
    check(
        &script(),
        &plain(100, Fold::Full),
        r"
trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b · 1.84 s · 8 processes · 2 forks · 1 failed
                                   ┊0                   ┊1 s
● bash -c 'for i in 1 2 3; do /b…  ───────────────────────────────────────━  1.84 s
├● true                            ╸                    ┊                    2.0 ms
├● true                            ╸                    ┊                    2.0 ms
├● true                            ╸                    ┊                    2.0 ms
├● sh -c 'exit 7'                  ━╸                   ┊                     39 ms  ✗ exit 7
└● python3 -c 'import subprocess'  ┊╺━━━━━━╾──────────╼━━━━━━━━━━━━━━━━━━━╸  1.73 s
  ├● ls /                          ┊       ╺━━━━━━━━━━━ ┊                    500 ms  2 forks
  └─ sleep 9                       ┊              ─────────────────────────  1.14 s  … still running
● ━ critical path: what the run waited for
",
    );
}

#[test]
fn narrow_has_no_bars() {
    check(
        &script(),
        &plain(50, Fold::Folded),
        r"
trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b
1.84 s · 8 processes · 2 forks · 1 failed
● bash -c 'for i in 1 …    1.84 s
├● true ×3               Σ 6.0 ms  max 2.0 ms
├● sh -c 'exit 7'           39 ms  ✗ exit 7
└● python3 -c 'import …    1.73 s
  ├● ls /                  500 ms  2 forks
  └─ sleep 9               1.14 s  … still running
● critical path   --full shows all
",
    );
}

/// `make`, four at a time: each recipe is a shell, a compiler driver and what that runs.
pub(super) fn build(recipes: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    for n in 0..recipes {
        let (id, from) = (10 + 4 * n, 20 + n / 4 * 40 + n % 4 * 3);
        let t = |a: u64, b: u64| (from + a) * MS..(from + b) * MS;
        let file = format!("gcc -O2 -c src/file{n}.c");
        spans.push(process(id + 2, id + 1, &format!("cc1 -quiet file{n}.c"), t(3, 28)));
        spans.push(process(id + 3, id + 1, "as -o x.o", t(28, 31)));
        let gcc = process(id + 1, id, &file, t(2, 33));
        let code = i64::from(n == recipes / 2);
        spans.push(with(gcc, key::PROCESS_EXIT_CODE, code));
        let shell = process(id, 1, &format!("sh -c {}", file.replace(' ', "_")), t(0, 35));
        spans.push(with(shell, key::PROCESS_EXIT_CODE, code));
    }
    let end = (80 + recipes / 4 * 40) * MS;
    spans.push(process(2, 1, "ar rcs libx.a", end - 40 * MS..end - 10 * MS));
    spans.push(process(1, 0, "make -j4", 0..end));
    spans
}

#[test]
fn a_build_is_a_screen() {
    check(
        &build(143),
        &plain(110, Fold::Folded),
        r"
trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b · 1.48 s · 574 processes · 2 failed
                                    ┊0               ┊500 ms           ┊1 s
● make -j4                          ━─╾╼──────╼─╾────╼─╾────╼─╾──────╾──────╾╼─────╾╼─╾╼    1.48 s
├● sh -c 'gcc -O2 -c … ×142         ▂█▇▇██▇▇█▇▇██▇▇█▇▇██▇▇█▇▇▆▇▇██▇▇██▇██▇▇██▇██▇▇█▇▇█▆▂  Σ 4.97 s  max 35 ms
│ └● gcc -O2 -c … ×142              ▁█▇▆██▆▇█▇▆██▆▇█▇▆█▇▆▇█▆▆▆▇▆▇█▆▆█▇▆▇█▆▆█▇▆▇█▆▆█▇▆▇▆▂  Σ 4.40 s  max 31 ms
│   ├● cc1 -quiet … ×142            ▁█▇▅▇█▅▆█▆▅▇█▅▆█▆▅▇█▅▆█▆▅▅█▅▆█▆▅█▇▅▆█▆▅█▇▅▆█▆▅█▇▅▇▇▁  Σ 3.55 s  max 25 ms
│   └● as -o x.o ×142               ┊▂▁▂▂▁▂▂▂▁▂▂▁▂▂▂▁▂▂▁▂▂▁▁▂▂▁▂▂▁▁▂▂▁▂▂▁▁▂▂▁▂▂▁▂▂▂▁▂▂▁▁  Σ 426 ms  max 3.0 ms
├● sh -c 'gcc -O2 -c src/file71.c'  ┊                ┊      ╶─╴        ┊                     35 ms  ✗ exit 1
│ └● gcc -O2 -c src/file71.c        ┊                ┊      ╶─╴        ┊                     31 ms  ✗ exit 1
│   ├● cc1 -quiet file71.c          ┊                ┊       ━         ┊                     25 ms
│   └● as -o x.o                    ┊                ┊       ╺         ┊                    3.0 ms
└● ar rcs libx.a                    ┊                ┊                 ┊              ╺━     30 ms
● ━ critical path: what the run waited for   ▁▄█ how many at once   --full shows all
",
    );
}

#[test]
fn different_siblings_are_summed_up() {
    let mut spans = vec![process(1, 0, "configure", 0..1_000 * MS)];
    spans.extend((0..400).map(|n| {
        let name = format!("probe{n}");
        with(process(2 + n, 1, &name, n * 2 * MS..(n * 2 + 2) * MS), key::FORKS, 0)
    }));
    let text = fall(&spans, 20_000).render(&plain(90, Fold::Folded));
    assert!(text.lines().count() <= 60, "{text}");
    assert!(text.contains("… 354 more: probe"), "{text}");
    assert!(text.contains("Σ 708 ms"), "{text}");
}

#[test]
fn colour_is_in_ansi_only() {
    let ansi = Look { width: 100, colour: Colour::Ansi, fold: Fold::Folded };
    let text = fall(&script(), 100).render(&ansi);
    assert!(text.contains("\u{1b}[31m✗ exit 7\u{1b}[0m"), "{text}");
    assert!(text.contains("\u{1b}[33m… still running\u{1b}[0m"), "{text}");
    let stripped: String = text
        .split("\u{1b}[")
        .enumerate()
        .map(|(n, part)| if n == 0 { part } else { part.split_once('m').unwrap().1 })
        .collect();
    assert_eq!(stripped, fall(&script(), 100).render(&plain(100, Fold::Folded)));
}

#[test]
fn any_spans_at_all_fit_and_are_counted() {
    for seed in 0..16 {
        let spans = random_spans(seed, 1 + seed * 20);
        let failed = spans.iter().filter(|span| Node::of(span).own.failed > 0).count();
        for limit in [0, 20, 100, 20_000] {
            let fall = fall(&spans, limit);
            assert_eq!(fall.kept.total.spans, spans.len() as u64);
            assert_eq!(fall.kept.total.failed, failed as u64);
            let kept = fall.kept.forest();
            assert!(kept.nodes.len() <= limit.max(16), "{}", kept.nodes.len());
            let mut counted = node::Tally::default();
            kept.nodes.iter().for_each(|node| counted.add(node.all()));
            assert_eq!(counted, fall.kept.total, "seed {seed} limit {limit}");
            for width in [0, 1, 7, 40, 59, 60, 133] {
                for fold in [Fold::Folded, Fold::Full] {
                    fits(&fall.render(&plain(width, fold)), width, fold);
                }
            }
        }
    }
}

fn fits(text: &str, width: usize, fold: Fold) {
    for line in text.lines() {
        assert!(line.width() <= width, "{} > {width}: {line}", line.width());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    match fold {
        Fold::Folded => assert!(text.lines().count() <= 60, "{text}"),
        Fold::Full => {}
    }
}

#[test]
fn what_is_shown_counts_every_span() {
    for seed in 0..30 {
        let spans = random_spans(seed, 500);
        let base = fall(&spans, 20_000).kept.forest();
        let shown = summary(&base, &critical::path(&base));
        let mut counted = node::Tally::default();
        shown.forest.nodes.iter().for_each(|node| counted.add(node.all()));
        assert_eq!(counted.spans, 500);
    }
}

#[test]
fn a_chain_as_deep_as_the_trace() {
    let deep = |id: u64| process(id, id - 1, &format!("sh{}", id % 3), id..400_000 - id);
    let spans: Vec<Span> = (1..=20_000).map(deep).collect();
    for limit in [100, 100_000] {
        let fall = fall(&spans, limit);
        fits(&fall.render(&plain(80, Fold::Folded)), 80, Fold::Folded);
        fits(&fall.render(&plain(80, Fold::Full)), 80, Fold::Full);
    }
}

#[test]
fn past_the_limit_a_build_still_looks_like_one() {
    let fall = fall(&build(5_000), 400);
    let text = fall.render(&plain(110, Fold::Folded));
    assert!(text.contains("20002 processes · 2 failed"), "{text}");
    assert!(text.contains("cc1 -quiet …"), "{text}");
    assert!(text.lines().count() <= 60, "{text}");
}

#[test]
fn a_child_finds_the_group_its_parent_went_into() {
    let mut spans: Vec<Span> = (2..1_000).map(|id| process(id, 1, "sh", id..id + 1)).collect();
    spans.push(process(5_000, 990, "late", 2_000..2_001));
    spans.push(process(1, 0, "root", 0..3_000));
    let forest = fall(&spans, 64).kept.forest();
    assert_eq!(forest.roots.len(), 1);
    // A parent comes right before its child, so that some move just as the child arrives.
    let mut spans = Vec::new();
    for id in (2..6_000).step_by(4) {
        spans.push(process(id, 1, "sh", id..id + 3));
        spans.push(process(id + 1, 1, "sh", id..id + 3));
        spans.push(process(id + 2, id + 1, "true", id + 1..id + 2));
    }
    spans.push(process(1, 0, "root", 0..30_000));
    for limit in 1_000..1_003 {
        assert_eq!(fall(&spans, limit).kept.forest().roots.len(), 1, "{limit}");
    }
}

#[test]
fn nothing_renders_as_nothing() {
    assert_eq!(fall(&[], 10).render(&plain(80, Fold::Folded)), "");
}
