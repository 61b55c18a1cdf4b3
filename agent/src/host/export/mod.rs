//! OTLP to a Collector: gRPC or HTTP, with a few retries and an account of all that was given.

mod grpc;
mod http;
mod payload;
mod tls;

use std::time::Duration;

pub use self::payload::{Metrics, Payload, Spans};
use self::{grpc::Grpc, http::Http};
use super::{
    cli::Protocol,
    clocks::Deadline,
    endpoint::Endpoint,
    say::{self, Seldom},
};

/// Waits before a request is tried again; the last is followed by giving up.
const BACKOFF: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(800), Duration::from_secs(2)];

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{endpoint} cannot be reached")]
    Unreachable { endpoint: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{endpoint} is overloaded or away: {answer}")]
    Retryable { endpoint: String, answer: String },
    #[error("{endpoint} refused them: {answer}")]
    Refused { endpoint: String, answer: String },
    #[error("setting up the client for {endpoint}")]
    Client { endpoint: String, source: Box<dyn std::error::Error + Send + Sync> },
}

/// What the peer said to one request.
pub(crate) struct Accepted {
    /// Items that it did not take.
    rejected: u64,
}

impl Accepted {
    fn read<P: Payload>(response: P::Response) -> Self {
        Self { rejected: u64::try_from(P::rejected(response)).unwrap_or_default() }
    }
}

enum Client<P: Payload> {
    Grpc(Box<Grpc<P>>),
    Http(Http<P>),
}

/// `given == sent + lost`, in items.
pub struct Exporter<P: Payload> {
    client: Client<P>,
    /// The last request failed for good: the next ones are tried once.
    down: bool,
    /// And that was said: once, and once a minute at most, for it may come and go.
    is_told: bool,
    seldom: Seldom,
    pub sent: u64,
    pub lost: u64,
    pub error: Option<ExportError>,
}

impl<P: Payload> Exporter<P> {
    pub fn new(endpoint: &Endpoint) -> Result<Self, ExportError> {
        let client = match endpoint.protocol {
            Protocol::Grpc => Client::Grpc(Box::new(Grpc::new(endpoint)?)),
            Protocol::HttpProtobuf => Client::Http(Http::new(endpoint)?),
        };
        let seldom = Seldom::default();
        Ok(Self { client, down: false, is_told: false, seldom, sent: 0, lost: 0, error: None })
    }

    /// Sends one request, again if the failure may pass, for as long as `deadline` allows.
    pub fn send(&mut self, request: &P::Request, deadline: Deadline) {
        let items = P::count(request);
        let mut backoff = BACKOFF.iter();
        loop {
            let answer = match &mut self.client {
                Client::Grpc(grpc) => grpc.send(request, deadline),
                Client::Http(http) => http.send(request, deadline),
            };
            let error = match answer {
                Ok(Accepted { rejected }) => {
                    let rejected = rejected.min(items);
                    self.down = false;
                    self.is_told = false;
                    self.sent += items - rejected;
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
                _ => return self.give_up(items, error),
            }
        }
    }

    fn give_up(&mut self, items: u64, error: ExportError) {
        if !self.is_told {
            let text = format!("exporting {}: {}", P::ITEMS, say::chain(&error));
            self.is_told = self.seldom.line(text);
        }
        self.down = true;
        self.lost += items;
        self.error = Some(error);
    }
}
