//! OTLP/HTTP with protobuf bodies.

use std::{io::Write as _, marker::PhantomData};

use flate2::{Compression as Level, write::GzEncoder};
use prost::Message as _;
use ureq::Agent;

use super::{
    Accepted, ExportError, Payload,
    tls::{self, TlsError},
};
use crate::host::{
    clocks::Deadline,
    endpoint::{Compression, Endpoint},
};

pub(super) struct Http<P> {
    agent: Agent,
    endpoint: Endpoint,
    payload: PhantomData<P>,
}

impl<P: Payload> Http<P> {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, ExportError> {
        let failed = |error: TlsError| ExportError::Client {
            endpoint: endpoint.url.clone(),
            source: error.into(),
        };
        let config = Agent::config_builder()
            .tls_config(tls::http(&endpoint.tls).map_err(failed)?)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("OTel-OTLP-Exporter-Lynceus/", env!("CARGO_PKG_VERSION")));
        let (agent, endpoint) = (config.build().into(), endpoint.clone());
        Ok(Self { agent, endpoint, payload: PhantomData })
    }

    pub(super) fn send(
        &self,
        request: &P::Request,
        deadline: Deadline,
    ) -> Result<Accepted, ExportError> {
        let endpoint = || self.endpoint.url.clone();
        let unreachable = |source| ExportError::Unreachable { endpoint: endpoint(), source };
        let mut call = self
            .agent
            .post(&self.endpoint.url)
            .config()
            .timeout_global(Some(self.endpoint.timeout.min(deadline.left())))
            .build()
            .content_type("application/x-protobuf");
        for (name, value) in &self.endpoint.headers {
            call = call.header(name, value);
        }
        let mut body = request.encode_to_vec();
        if self.endpoint.compression == Compression::Gzip {
            let mut gzip = GzEncoder::new(Vec::new(), Level::fast());
            let packed = gzip.write_all(&body).and_then(|()| gzip.finish());
            body = packed.map_err(|error| unreachable(error.into()))?;
            call = call.header("content-encoding", "gzip");
        }
        let mut answer = call.send(&body).map_err(|error| unreachable(error.into()))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(1 << 20).read_to_vec();
        match status.as_u16() {
            200..=299 => {
                let read = body.ok().and_then(|body| P::Response::decode(body.as_slice()).ok());
                Ok(Accepted::read::<P>(read.unwrap_or_default()))
            }
            // OTLP specification, "OTLP/HTTP Response", "Retryable Response Codes".
            429 | 502 | 503 | 504 => {
                Err(ExportError::Retryable { endpoint: endpoint(), answer: status.to_string() })
            }
            _ => Err(ExportError::Refused { endpoint: endpoint(), answer: status.to_string() }),
        }
    }
}
