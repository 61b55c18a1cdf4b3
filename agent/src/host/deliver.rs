//! Batches of spans -> the picture, the file, the network. The network has a thread and a queue of
//! its own: a Collector that hangs must not hold up the file, nor the ring.

use std::{
    sync::{
        OnceLock,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::{
    host::{
        clocks::Deadline,
        export::Exporter,
        outfile::{OutError, OutFile},
    },
    otlp,
    redact::CleanSpan,
    span::Resource,
    waterfall::Waterfall,
};

/// Requests that wait for the network. Full: the newest is dropped and counted, because whoever
/// gave it must not wait.
const REQUESTS: usize = 64;
/// For one request while the command runs.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// For everything that still waits when the command ended.
const CLOSING_TIME: Duration = Duration::from_secs(10);

pub(crate) struct Deliverer {
    resource: Resource,
    out: Option<OutFile>,
    exporter: Option<Exporter>,
    /// Of a run that ends.
    waterfall: Option<Waterfall>,
}

/// What became of the spans. `spans == written + lost`, for the file and for the network alike.
pub(crate) struct Delivered {
    pub(crate) waterfall: Option<Waterfall>,
    pub(crate) spans: u64,
    pub(crate) file: Option<Account>,
    pub(crate) otlp: Option<Account>,
    pub(crate) file_error: Option<OutError>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) arrived: u64,
    pub(crate) lost: u64,
}

impl Deliverer {
    pub(crate) fn new(
        resource: Resource,
        out: Option<OutFile>,
        exporter: Option<Exporter>,
        waterfall: Option<Waterfall>,
    ) -> Self {
        Self { resource, out, exporter, waterfall }
    }

    /// Until nobody gives any more.
    pub(crate) fn run(mut self, incoming: Receiver<Vec<CleanSpan>>) -> Delivered {
        if let Some(out) = &mut self.out {
            out.begin();
        }
        let Some(exporter) = self.exporter.take() else {
            let spans = self.batches(incoming, None::<fn(_)>);
            return self.delivered(spans, None);
        };
        let closing = &OnceLock::new();
        let (requests, waiting) = sync_channel(REQUESTS);
        let mut queue_full = 0;
        let (spans, sent) = thread::scope(|threads| {
            let sender = threads.spawn(move || send_all(exporter, waiting, closing));
            let export = |request| queue_full += offer(&requests, request);
            let spans = self.batches(incoming, Some(export));
            let _once = closing.set(Deadline::after(CLOSING_TIME));
            drop(requests);
            (spans, sender.join().unwrap_or_default())
        });
        let account = Account { arrived: sent.arrived, lost: sent.lost + queue_full };
        self.delivered(spans, Some(account))
    }

    fn batches(
        &mut self,
        incoming: Receiver<Vec<CleanSpan>>,
        mut export: Option<impl FnMut((u64, ExportTraceServiceRequest))>,
    ) -> u64 {
        let mut spans = 0;
        for batch in incoming {
            let count = batch.len() as u64;
            spans += count;
            if let Some(waterfall) = &mut self.waterfall {
                batch.iter().for_each(|span| waterfall.push(span.span()));
            }
            if self.out.is_none() && export.is_none() {
                continue;
            }
            let request = otlp::request(&self.resource, batch);
            if let Some(out) = &mut self.out {
                out.write(&request, count);
            }
            if let Some(export) = &mut export {
                export((count, request));
            }
        }
        spans
    }

    fn delivered(self, spans: u64, otlp: Option<Account>) -> Delivered {
        let file = self.out.as_ref().map(|out| Account { arrived: out.written, lost: out.lost });
        let file_error = self.out.and_then(|out| out.finish().err());
        Delivered { waterfall: self.waterfall, spans, file, otlp, file_error }
    }
}

/// Gives how many spans found no room.
fn offer<T>(requests: &SyncSender<(u64, T)>, request: (u64, T)) -> u64 {
    match requests.try_send(request) {
        Ok(()) => 0,
        Err(TrySendError::Full((spans, _)) | TrySendError::Disconnected((spans, _))) => spans,
    }
}

fn send_all(
    mut exporter: Exporter,
    waiting: Receiver<(u64, ExportTraceServiceRequest)>,
    closing: &OnceLock<Deadline>,
) -> Account {
    for (_, request) in waiting {
        let deadline = closing.get().copied().unwrap_or_else(|| Deadline::after(REQUEST_TIME));
        exporter.send(&request, deadline);
    }
    Account { arrived: exporter.sent, lost: exporter.lost }
}
