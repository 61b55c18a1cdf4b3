//! OTLP/gRPC.

use std::{error::Error, marker::PhantomData};

use tokio::runtime::{Builder, Runtime};
use tonic::{
    Code, Request, Status,
    client::Grpc as Client,
    codec::CompressionEncoding,
    codegen::http::uri::PathAndQuery,
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::Channel,
};
use tonic_prost::ProstCodec;

use super::{Accepted, ExportError, Payload, tls};
use crate::host::{
    clocks::Deadline,
    endpoint::{Compression, Endpoint},
};

pub(super) struct Grpc<P> {
    runtime: Runtime,
    client: Client<Channel>,
    endpoint: Endpoint,
    metadata: MetadataMap,
    payload: PhantomData<P>,
}

impl<P: Payload> Grpc<P> {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, ExportError> {
        let failed = |source| ExportError::Client { endpoint: endpoint.url.clone(), source };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.into()))?;
        let mut metadata = MetadataMap::new();
        for (name, value) in &endpoint.headers {
            let name: AsciiMetadataKey = name.parse().map_err(|error| failed(Box::new(error)))?;
            let mut value: AsciiMetadataValue =
                value.parse().map_err(|error| failed(Box::new(error)))?;
            value.set_sensitive(true);
            metadata.insert(name, value);
        }
        let mut channel = Channel::from_shared(endpoint.url.clone())
            .map_err(|error| failed(error.into()))?
            .connect_timeout(endpoint.timeout);
        if endpoint.url.starts_with("https://") {
            let tls = tls::grpc(&endpoint.tls).map_err(|error| failed(error.into()))?;
            channel = channel.tls_config(tls).map_err(|error| failed(error.into()))?;
        }
        // A lazy channel spawns its worker, for which it must find a runtime.
        let entered = runtime.enter();
        let mut client = Client::new(channel.connect_lazy());
        drop(entered);
        if endpoint.compression == Compression::Gzip {
            let gzip = CompressionEncoding::Gzip;
            client = client.send_compressed(gzip).accept_compressed(gzip);
        }
        Ok(Self { runtime, client, endpoint: endpoint.clone(), metadata, payload: PhantomData })
    }

    pub(super) fn send(
        &mut self,
        request: &P::Request,
        deadline: Deadline,
    ) -> Result<Accepted, ExportError> {
        let mut request = Request::new(request.clone());
        *request.metadata_mut() = self.metadata.clone();
        let time = self.endpoint.timeout.min(deadline.left());
        let (client, method) = (&mut self.client, PathAndQuery::from_static(P::METHOD));
        let call = async {
            client.ready().await.map_err(|error| Status::from_error(error.into()))?;
            client.unary(request, method, ProstCodec::<P::Request, P::Response>::new()).await
        };
        let answer = self.runtime.block_on(async { tokio::time::timeout(time, call).await });
        let endpoint = || self.endpoint.url.clone();
        match answer {
            Ok(Ok(answer)) => Ok(Accepted::read::<P>(answer.into_inner())),
            Ok(Err(status)) => Err(failure(endpoint(), status)),
            Err(elapsed) => {
                Err(ExportError::Unreachable { endpoint: endpoint(), source: elapsed.into() })
            }
        }
    }
}

/// The cause of all causes: what is above it repeats it, and in the words of a debugger.
fn innermost(status: &Status) -> String {
    let mut cause: &dyn Error = status;
    let mut text = status.message().to_owned();
    while let Some(next) = cause.source() {
        cause = next;
        text = cause.to_string();
    }
    text
}

/// Which codes may pass: OTLP specification, "OTLP/gRPC Response", "Failures".
fn failure(endpoint: String, status: Status) -> ExportError {
    use Code as C;
    match status.code() {
        // Without an answer the status was made here, and says what went wrong on the way.
        C::Unavailable => ExportError::Unreachable { endpoint, source: innermost(&status).into() },
        C::Cancelled | C::DeadlineExceeded | C::Aborted | C::OutOfRange | C::DataLoss => {
            ExportError::Retryable { endpoint, answer: status.to_string() }
        }
        C::ResourceExhausted => ExportError::Retryable { endpoint, answer: status.to_string() },
        C::Ok
        | C::Unknown
        | C::InvalidArgument
        | C::NotFound
        | C::AlreadyExists
        | C::PermissionDenied
        | C::FailedPrecondition
        | C::Unimplemented
        | C::Internal
        | C::Unauthenticated => ExportError::Refused { endpoint, answer: status.to_string() },
    }
}
