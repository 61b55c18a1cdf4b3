//! Keep a span or not: from its trace id and what its parent decided, so that everybody who asks
//! gets the same answer. OpenTelemetry specification, "Built-in samplers" and `OTEL_TRACES_SAMPLER`.

use crate::{id::TraceId, propagation::Upstream, span::Span};

/// Trace ids carry 56 random bits.
const RANDOM_BITS: u32 = 56;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    rule: Rule,
    parent: Parent,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    On,
    Off,
    /// Keeps trace ids whose randomness is at least this.
    From(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parent {
    Decides,
    Ignored,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    #[error(
        "sampler {0:?} is not one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio"
    )]
    Name(String),
    #[error("sampler argument {0:?} is not a number from 0 to 1")]
    Ratio(String),
}

impl Default for Sampler {
    /// The specification's default: `parentbased_always_on`.
    fn default() -> Self {
        Self { rule: Rule::On, parent: Parent::Decides }
    }
}

impl Sampler {
    /// By the values of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, SamplerError> {
        let (parent, rule) = match name.strip_prefix("parentbased_") {
            Some(rule) => (Parent::Decides, rule),
            None => (Parent::Ignored, name),
        };
        let rule = match rule {
            "always_on" => Rule::On,
            "always_off" => Rule::Off,
            "traceidratio" => ratio(argument.unwrap_or("1"))?,
            _ => return Err(SamplerError::Name(name.to_owned())),
        };
        Ok(Self { rule, parent })
    }

    pub fn keep(&self, span: &Span) -> bool {
        match (self.parent, span.upstream) {
            (Parent::Decides, Upstream::Sampled) => true,
            (Parent::Decides, Upstream::NotSampled) => false,
            (Parent::Decides, Upstream::Open) | (Parent::Ignored, _) => self.by_id(span.trace_id),
        }
    }

    fn by_id(&self, trace_id: TraceId) -> bool {
        match self.rule {
            Rule::On => true,
            Rule::Off => false,
            Rule::From(threshold) => trace_id.randomness() >= threshold,
        }
    }
}

fn ratio(argument: &str) -> Result<Rule, SamplerError> {
    let wrong = || SamplerError::Ratio(argument.to_owned());
    let ratio: f64 = argument.trim().parse().ok().ok_or_else(wrong)?;
    if !(0.0..=1.0).contains(&ratio) {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, reason = "0 <= ratio <= 1: fits 57 bits")]
    #[expect(clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "as above")]
    let threshold = ((1.0 - ratio) * (1_u64 << RANDOM_BITS) as f64) as u64;
    Ok(Rule::From(threshold))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(randomness: u64) -> TraceId {
        let mut bytes = [1; 16];
        bytes[9..].copy_from_slice(&randomness.to_be_bytes()[1..]);
        TraceId::new(bytes).unwrap()
    }

    #[test]
    fn the_values_of_the_specification_are_known() {
        let check = |name, argument, kept_low, kept_high| {
            let sampler = Sampler::parse(name, argument).unwrap();
            let high = id((1 << RANDOM_BITS) - 1);
            assert_eq!((sampler.by_id(id(0)), sampler.by_id(high)), (kept_low, kept_high));
        };
        check("always_on", None, true, true);
        check("always_off", None, false, false);
        check("traceidratio", None, true, true);
        check("traceidratio", Some("0.5"), false, true);
        check("traceidratio", Some("0"), false, false);
        check("traceidratio", Some("1.0"), true, true);
        check("parentbased_traceidratio", Some("0.5"), false, true);
        check("parentbased_always_off", None, false, false);
        assert!(matches!(Sampler::parse("xray", None), Err(SamplerError::Name(_))));
        assert!(matches!(Sampler::parse("traceidratio", Some("2")), Err(SamplerError::Ratio(_))));
        assert!(matches!(Sampler::parse("traceidratio", Some("NaN")), Err(SamplerError::Ratio(_))));
    }

    #[test]
    fn half_of_derived_ids_are_kept_at_one_half() {
        let sampler = Sampler::parse("traceidratio", Some("0.5")).unwrap();
        let derived = |n: u32| TraceId::derive("test", &[&n.to_be_bytes()]);
        let kept = (0..10_000).filter(|n| sampler.by_id(derived(*n))).count();
        assert!((4_700..5_300).contains(&kept), "{kept}");
    }
}
