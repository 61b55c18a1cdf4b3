//! Metrics as OpenMetrics text, which Prometheus reads.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::{self, Registry},
};

use super::{Metric, Unit, Values};

/// Of the answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
struct Shown(Vec<Metric>);

/// The text, with the line that ends it.
pub fn text(metrics: Vec<Metric>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Shown(metrics)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.iter().try_for_each(|metric| written(metric, &mut encoder))
    }
}

fn written(metric: &Metric, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let unit = match metric.unit {
        Unit::None | Unit::Count(_) => None,
        Unit::Bytes => Some(registry::Unit::Bytes),
        Unit::Seconds => Some(registry::Unit::Seconds),
    };
    let kind = match &metric.values {
        Values::Counter(_) => MetricType::Counter,
        Values::Gauge(_) => MetricType::Gauge,
        Values::Histogram(_) => MetricType::Histogram,
    };
    let mut family = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
    match &metric.values {
        Values::Counter(values) => values.iter().try_for_each(|(labels, value)| {
            labelled(&mut family, labels, |one| {
                one.encode_counter::<NoLabelSet, f64, f64>(value, None)
            })
        }),
        Values::Gauge(values) => values.iter().try_for_each(|(labels, value)| {
            labelled(&mut family, labels, |one| one.encode_gauge(value))
        }),
        Values::Histogram(histogram) => {
            let count = histogram.buckets.iter().map(|(_, count)| count).sum();
            family.encode_histogram::<NoLabelSet>(histogram.sum, count, &histogram.buckets, None)
        }
    }
}

/// Where there are no labels there are no braces either.
fn labelled(
    family: &mut MetricEncoder<'_>,
    labels: &Vec<(&'static str, String)>,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> Result<(), fmt::Error>,
) -> Result<(), fmt::Error> {
    if labels.is_empty() { encode(family) } else { encode(&mut family.encode_family(labels)?) }
}

#[cfg(test)]
mod tests {
    use super::{super::Histogram, *};

    #[test]
    fn metrics_are_written_as_openmetrics() {
        let labels = |reason: &str| vec![("reason", reason.to_owned())];
        let buckets = vec![(0.5, 2), (f64::INFINITY, 1)];
        let metrics = vec![
            Metric::counters("a_lost", "What is lost", vec![(labels("x"), 3), (labels("\"\n"), 0)]),
            Metric::gauge("b", "What is held", 7).of(Unit::Bytes),
            Metric {
                name: "c",
                help: "How long it took",
                unit: Unit::Seconds,
                values: Values::Histogram(Histogram { buckets, sum: 9.25 }),
            },
        ];
        let expected = "\
            # HELP a_lost What is lost\n\
            # TYPE a_lost counter\n\
            a_lost_total{reason=\"x\"} 3.0\n\
            a_lost_total{reason=\"\\\"\\n\"} 0.0\n\
            # HELP b_bytes What is held\n\
            # TYPE b_bytes gauge\n\
            # UNIT b_bytes bytes\n\
            b_bytes 7.0\n\
            # HELP c_seconds How long it took\n\
            # TYPE c_seconds histogram\n\
            # UNIT c_seconds seconds\n\
            c_seconds_sum 9.25\n\
            c_seconds_count 3\n\
            c_seconds_bucket{le=\"0.5\"} 2\n\
            c_seconds_bucket{le=\"+Inf\"} 3\n\
            # EOF\n";
        assert_eq!(text(metrics).unwrap(), expected);
    }
}
