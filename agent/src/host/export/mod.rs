//! OTLP to a Collector: gRPC or HTTP, with a few retries and an account of every span.

mod grpc;
mod http;

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use self::{grpc::Grpc, http::Http};
use super::{cli::Protocol, clocks::Deadline, endpoint::Endpoint, say};

/// Waits before a request is tried again; the last is followed by giving up.
const BACKOFF: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(800), Duration::from_secs(2)];

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{endpoint} cannot be reached")]
    Unreachable { endpoint: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{endpoint} is overloaded or away: {answer}")]
    Retryable { endpoint: String, answer: String },
    #[error("{endpoint} refused the spans: {answer}")]
    Refused { endpoint: String, answer: String },
    #[error("setting up the client for {endpoint}")]
    Client { endpoint: String, source: Box<dyn std::error::Error + Send + Sync> },
}

/// What the peer said to one request.
pub(crate) struct Accepted {
    /// Spans that it did not take, as it says (partial success).
    rejected: u64,
}

enum Client {
    Grpc(Box<Grpc>),
    Http(Http),
}

/// `given == sent + lost`.
pub struct Exporter {
    client: Client,
    /// The last request failed for good: the next ones are tried once.
    down: bool,
    pub sent: u64,
    pub lost: u64,
    pub error: Option<ExportError>,
}

impl Exporter {
    pub fn new(endpoint: &Endpoint) -> Result<Self, ExportError> {
        let client = match endpoint.protocol {
            Protocol::Grpc => Client::Grpc(Box::new(Grpc::new(endpoint)?)),
            Protocol::HttpProtobuf => Client::Http(Http::new(endpoint)),
        };
        Ok(Self { client, down: false, sent: 0, lost: 0, error: None })
    }

    /// Sends one request, again if the failure may pass, for as long as `deadline` allows.
    pub fn send(&mut self, request: &ExportTraceServiceRequest, deadline: Deadline) {
        let spans = count(request);
        let mut backoff = BACKOFF.iter();
        loop {
            let answer = match &mut self.client {
                Client::Grpc(grpc) => grpc.send(request, deadline),
                Client::Http(http) => http.send(request, deadline),
            };
            let error = match answer {
                Ok(Accepted { rejected }) => {
                    let rejected = rejected.min(spans);
                    self.down = false;
                    self.sent += spans - rejected;
                    self.lost += rejected;
                    return;
                }
                Err(error) => error,
            };
            let may_pass =
                matches!(error, ExportError::Unreachable { .. } | ExportError::Retryable { .. });
            let wait = backoff.next().filter(|wait| **wait < deadline.left());
            match wait {
                Some(wait) if may_pass && !self.down => std::thread::sleep(*wait),
                _ => return self.give_up(spans, error),
            }
        }
    }

    fn give_up(&mut self, spans: u64, error: ExportError) {
        if !self.down {
            say::line(format_args!("exporting spans: {}", say::chain(&error)));
        }
        self.down = true;
        self.lost += spans;
        self.error = Some(error);
    }
}

fn count(request: &ExportTraceServiceRequest) -> u64 {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}
