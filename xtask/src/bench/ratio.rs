//! Ratios of paired samples, and their spread.

/// The middle of the ratios, and the range of the middle eight tenths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Ratio {
    /// Pairs `times[n]` with `base[n]`.
    pub(super) fn of(times: &[f64], base: &[f64]) -> Self {
        let mut ratios: Vec<f64> =
            times.iter().zip(base).map(|(time, base)| time / base.max(1.0)).collect();
        ratios.sort_by(f64::total_cmp);
        Self { median: at(&ratios, 0.5), low: at(&ratios, 0.1), high: at(&ratios, 0.9) }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:8.3}  ({:.3} to {:.3})", self.median, self.low, self.high)
    }
}

/// The mean of the middle half: what is met by chance (a clock tick, another program) is outside.
pub(super) fn middle_mean(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    mean(sorted.get(sorted.len() / 4..sorted.len() - sorted.len() / 4).unwrap_or_default())
}

#[expect(clippy::cast_precision_loss, reason = "there are few samples")]
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The middle value.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    at(&sorted, 0.5)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= part <= 1")]
#[expect(clippy::cast_precision_loss, reason = "there are few samples")]
fn at(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let ratio = Ratio::of(&[20.0, 30.0, 90.0], &[10.0, 10.0, 30.0]);
        assert_eq!(ratio.median.to_string(), "3");
        assert_eq!(ratio.low.to_string(), "2");
        assert_eq!(median(&[3.0, 1.0, 2.0]).to_string(), "2");
        assert_eq!(middle_mean(&[1000.0, 3.0, 5.0, 0.0]).to_string(), "4");
    }
}
