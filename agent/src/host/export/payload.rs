//! What can be exported, as OTLP has it: the messages, and the service that takes them.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
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
