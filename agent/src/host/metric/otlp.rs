//! Metrics as an OTLP request: what counts is cumulative, since the agent began.
//!
//! Names are those of `/metrics` without unit and `_total`, with their underscores: where a back end makes
//! Prometheus' names of them they are the same again, so documents, dashboards and alerts have one name.
//! Dots would need a second list of names, for underscores stand within words too (`over_budget`); and with
//! a dot `process_cpu` would be in a namespace where the semantic conventions name other things.

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram as OtlpHistogram, HistogramDataPoint,
        Metric as OtlpMetric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
        number_data_point::Value as Number,
    },
};

use super::{Histogram, Labelled, Metric, Unit, Values};
use crate::{
    otlp,
    span::{Attribute, Resource, UnixNanos, Value},
};

/// Since when counters count, and when they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    began: UnixNanos,
    /// `began <= read`.
    read: UnixNanos,
}

impl Times {
    /// Where the clock was set back since, no time has passed.
    pub fn new(began: UnixNanos, read: UnixNanos) -> Self {
        Self { began, read: read.max(began) }
    }
}

/// One request with all of them. What has no value is left out.
pub fn request(
    resource: &Resource,
    metrics: Vec<Metric>,
    times: Times,
) -> ExportMetricsServiceRequest {
    let metrics = metrics.into_iter().filter(|metric| !metric.values.is_empty());
    let scope_metrics = ScopeMetrics {
        scope: Some(otlp::scope()),
        metrics: metrics.map(|metric| encoded(metric, times)).collect(),
        schema_url: String::new(),
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(otlp::encoded_resource(resource)),
        scope_metrics: vec![scope_metrics],
        schema_url: opentelemetry_semantic_conventions::SCHEMA_URL.to_owned(),
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

fn encoded(metric: Metric, times: Times) -> OtlpMetric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match metric.values {
        Values::Counter(values) => Data::Sum(Sum {
            data_points: points(values, times.began, times.read),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        // A gauge has no beginning.
        Values::Gauge(values) => {
            Data::Gauge(Gauge { data_points: points(values, UnixNanos(0), times.read) })
        }
        Values::Histogram(values) => Data::Histogram(OtlpHistogram {
            data_points: vec![histogram(&values, times)],
            aggregation_temporality: cumulative,
        }),
    };
    OtlpMetric {
        name: metric.name.to_owned(),
        description: metric.help.to_owned(),
        unit: ucum(metric.unit),
        data: Some(data),
        ..OtlpMetric::default()
    }
}

/// In the Unified Code for Units of Measure, where what is counted stands in braces.
fn ucum(unit: Unit) -> String {
    match unit {
        Unit::None => String::new(),
        Unit::Count(what) => format!("{{{what}}}"),
        Unit::Bytes => "By".to_owned(),
        Unit::Seconds => "s".to_owned(),
    }
}

fn points(values: Labelled<f64>, start: UnixNanos, read: UnixNanos) -> Vec<NumberDataPoint> {
    let point = |(labels, value)| NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start.0,
        time_unix_nano: read.0,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    values.into_iter().map(point).collect()
}

fn attributes(labels: Vec<(&'static str, String)>) -> Vec<KeyValue> {
    let labels = labels.into_iter();
    let labels = labels.map(|(key, value)| Attribute { key: key.into(), value: Value::Str(value) });
    otlp::attributes(labels.collect())
}

/// The last bound is infinite on both sides; OTLP does not spell it.
fn histogram(histogram: &Histogram, times: Times) -> HistogramDataPoint {
    let bounds = histogram.buckets.iter().map(|(bound, _)| *bound);
    let counts = histogram.buckets.iter().map(|(_, count)| *count);
    HistogramDataPoint {
        start_time_unix_nano: times.began.0,
        time_unix_nano: times.read.0,
        count: counts.clone().sum(),
        sum: Some(histogram.sum),
        bucket_counts: counts.collect(),
        explicit_bounds: bounds.filter(|bound| bound.is_finite()).collect(),
        ..HistogramDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: UnixNanos = UnixNanos(5);
    const READ: UnixNanos = UnixNanos(9);

    fn one(metric: Metric, times: Times) -> Option<OtlpMetric> {
        let request = request(&Resource::default(), vec![metric], times);
        let scopes = request.resource_metrics.into_iter().flat_map(|one| one.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).next()
    }

    fn read_at(times: Times) -> u64 {
        let metric = one(Metric::gauge("a", "A", 1), times).unwrap();
        let Some(Data::Gauge(gauge)) = metric.data else { panic!("no gauge") };
        gauge.data_points[0].time_unix_nano
    }

    #[test]
    fn counters_are_cumulative_sums_since_the_agent_began() {
        let labels = |reason: &str| vec![("reason", reason.to_owned())];
        let metric = Metric::counters("a_lost", "What is lost", vec![(labels("x"), 3)]);
        let metric = one(metric.of(Unit::Count("span")), Times::new(BEGAN, READ)).unwrap();
        assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("a_lost", "{span}"));
        assert_eq!(metric.description, "What is lost");
        let Some(Data::Sum(sum)) = metric.data else { panic!("no sum") };
        assert!(sum.is_monotonic);
        assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Cumulative);
        let point = &sum.data_points[0];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
        assert_eq!(point.value, Some(Number::AsDouble(3.0)));
        let reason = Attribute { key: "reason".into(), value: "x".into() };
        assert_eq!(point.attributes, otlp::attributes(vec![reason]));
    }

    #[test]
    fn gauges_have_no_beginning() {
        let metric = Metric::gauge("b", "B", 7).of(Unit::Bytes);
        let metric = one(metric, Times::new(BEGAN, READ)).unwrap();
        assert_eq!(metric.unit, "By");
        let Some(Data::Gauge(gauge)) = metric.data else { panic!("no gauge") };
        let point = &gauge.data_points[0];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (0, 9));
        assert_eq!(point.value, Some(Number::AsDouble(7.0)));
    }

    #[test]
    fn a_histogram_has_a_count_more_than_bounds() {
        let buckets = vec![(0.5, 2), (1.0, 0), (f64::INFINITY, 1)];
        let metric = Metric {
            name: "c",
            help: "C",
            unit: Unit::Seconds,
            values: Values::Histogram(Histogram { buckets, sum: 9.25 }),
        };
        let metric = one(metric, Times::new(BEGAN, READ)).unwrap();
        assert_eq!(metric.unit, "s");
        let Some(Data::Histogram(histogram)) = metric.data else { panic!("no histogram") };
        assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum), (3, Some(9.25)));
        assert_eq!(point.bucket_counts, [2, 0, 1]);
        assert_eq!(point.explicit_bounds, [0.5, 1.0]);
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
    }

    #[test]
    fn what_has_no_value_is_left_out() {
        let none = Metric::counters("d", "D", Vec::new());
        assert_eq!(one(none, Times::new(BEGAN, READ)), None);
    }

    #[test]
    fn nothing_is_read_before_the_agent_began() {
        assert_eq!(read_at(Times::new(READ, BEGAN)), READ.0);
        assert_eq!(read_at(Times::new(BEGAN, READ)), READ.0);
    }
}
