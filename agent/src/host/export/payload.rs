//! What can be exported, as OTLP has it: the messages, and the service that takes them.

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    metrics::v1::metric::Data,
};
use prost::Message;

pub trait Payload {
    type Request: Message + Clone + 'static;
    type Response: Message + Default + 'static;
    /// What there is to count in a request.
    const ITEMS: &'static str;
    /// Of OTLP/gRPC.
    const METHOD: &'static str;

    fn count(request: &Self::Request) -> u64;

    /// How many the peer did not take, as it says (partial success).
    fn rejected(response: Self::Response) -> i64;
}

#[derive(Debug, Clone, Copy)]
pub enum Spans {}

impl Payload for Spans {
    type Request = ExportTraceServiceRequest;
    type Response = ExportTraceServiceResponse;
    const ITEMS: &'static str = "spans";
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    fn count(request: &Self::Request) -> u64 {
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.map(|scope| scope.spans.len() as u64).sum()
    }

    fn rejected(response: Self::Response) -> i64 {
        response.partial_success.map_or(0, |partial| partial.rejected_spans)
    }
}

#[derive(Debug, Clone, Copy)]
pub enum Metrics {}

impl Payload for Metrics {
    type Request = ExportMetricsServiceRequest;
    type Response = ExportMetricsServiceResponse;
    const ITEMS: &'static str = "metrics";
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

    /// In points.
    fn count(request: &Self::Request) -> u64 {
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| &scope.metrics);
        let points = metrics.filter_map(|metric| metric.data.as_ref()).map(|data| match data {
            Data::Gauge(gauge) => gauge.data_points.len(),
            Data::Sum(sum) => sum.data_points.len(),
            Data::Histogram(histogram) => histogram.data_points.len(),
            Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
            Data::Summary(summary) => summary.data_points.len(),
        });
        points.map(|points| points as u64).sum()
    }

    fn rejected(response: Self::Response) -> i64 {
        response.partial_success.map_or(0, |partial| partial.rejected_data_points)
    }
}
