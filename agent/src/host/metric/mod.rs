//! What the agent tells of itself, in numbers: see `text` and `otlp` for how it is written.

pub mod otlp;
pub mod text;

/// A number, or several that differ in their labels. Named as OpenMetrics wants it, without the unit and
/// the suffix that come behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub unit: Unit,
    pub values: Values,
}

/// (labels, number).
pub type Labelled<T> = Vec<(Vec<(&'static str, String)>, T)>;

#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// It only grows.
    Counter(Labelled<f64>),
    Gauge(Labelled<f64>),
    Histogram(Histogram),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    None,
    /// So many of these, in the singular.
    Count(&'static str),
    Bytes,
    Seconds,
}

/// How many values were at most each bound, and greater than the bound before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// The last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    pub sum: f64,
}

impl Values {
    fn is_empty(&self) -> bool {
        match self {
            Self::Counter(values) | Self::Gauge(values) => values.is_empty(),
            Self::Histogram(_) => false,
        }
    }
}

impl Metric {
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::counters(name, help, vec![(Vec::new(), value)])
    }

    pub fn counters(name: &'static str, help: &'static str, values: Labelled<u64>) -> Self {
        let values = values.into_iter().map(|(labels, value)| (labels, number(value))).collect();
        Self { name, help, unit: Unit::None, values: Values::Counter(values) }
    }

    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::gauges(name, help, vec![(Vec::new(), value)])
    }

    pub fn gauges(name: &'static str, help: &'static str, values: Labelled<u64>) -> Self {
        let values = values.into_iter().map(|(labels, value)| (labels, number(value))).collect();
        Self { name, help, unit: Unit::None, values: Values::Gauge(values) }
    }

    pub fn of(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }
}

/// Metrics are floating-point numbers: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "what is beyond 2^53 is near enough")]
pub fn number(value: u64) -> f64 {
    value as f64
}
