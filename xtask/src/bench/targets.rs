//! What it may cost, and whether a figure keeps to that. Nothing fails by it: another machine is another figure.

use super::Capture;

/// A figure that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// Of requests a second, as a part of those without an agent.
    AtLeast(f64),
    /// Milliseconds of CPU.
    AtMost(f64),
}

/// With an agent that is there for others.
pub(super) const UNTRACKED: Target = Target::AtLeast(0.99);
/// With a span for each, on processors that the load fills.
pub(super) const TRACKED: Target = Target::AtLeast(0.85);
/// Of lynceus itself, for 10 000 spans.
pub(super) const OWN_CPU: Target = Target::AtMost(60.0);

/// With the default budget.
pub(super) fn limited(capture: Capture) -> Target {
    Target::AtLeast(match capture {
        Capture::Fentry => 0.97,
        Capture::Auto | Capture::Kprobe | Capture::Tracepoint => 0.95,
    })
}

impl Target {
    /// What stands behind `figure`.
    pub(super) fn verdict(self, figure: f64) -> String {
        let (is_met, wanted) = match self {
            Self::AtLeast(least) => (figure >= least, format!("{least:.2} or more")),
            Self::AtMost(most) => (figure <= most, format!("{most:.0} or less")),
        };
        format!("  ({} {wanted})", if is_met { "as wanted:" } else { "MISSED:" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_keeps_to_its_target_or_misses_it() {
        assert_eq!(UNTRACKED.verdict(0.99), "  (as wanted: 0.99 or more)");
        assert_eq!(limited(Capture::Fentry).verdict(0.96), "  (MISSED: 0.97 or more)");
        assert_eq!(limited(Capture::Auto).verdict(0.96), "  (as wanted: 0.95 or more)");
        assert_eq!(OWN_CPU.verdict(78.0), "  (MISSED: 60 or less)");
    }
}
