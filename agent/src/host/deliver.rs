//! Batches of spans -> the picture, the file, the network. The network has a thread and a queue of
//! its own: a Collector that hangs must not hold up the file, nor the ring.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::Ordering,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::{
    host::{
        clocks::{self, Deadline},
        export::{Exporter, Spans},
        outfile::{OutError, OutFile},
        progress::Progress,
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
    exporter: Option<Exporter<Spans>>,
    /// Of a run that ends.
    waterfall: Option<Waterfall>,
    progress: Arc<Progress>,
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
        exporter: Option<Exporter<Spans>>,
        waterfall: Option<Waterfall>,
    ) -> Self {
        Self { resource, out, exporter, waterfall, progress: Arc::default() }
    }

    /// What is told there while spans are delivered.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
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
        let progress = &Arc::clone(&self.progress);
        let (spans, sent) = thread::scope(|threads| {
            let sender = threads.spawn(move || send_all(exporter, waiting, closing, progress));
            let export = |request| offer(&requests, request, progress);
            let spans = self.batches(incoming, Some(export));
            let _once = closing.set(Deadline::after(CLOSING_TIME));
            drop(requests);
            (spans, sender.join().unwrap_or_default())
        });
        let queue_full = progress.queue_full.load(Ordering::Relaxed);
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
                self.progress.file_written.store(out.written, Ordering::Relaxed);
                self.progress.file_lost.store(out.lost, Ordering::Relaxed);
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

fn offer<T>(requests: &SyncSender<(u64, T)>, request: (u64, T), progress: &Progress) {
    let spans = request.0;
    progress.waiting.fetch_add(spans, Ordering::Relaxed);
    if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = requests.try_send(request) {
        progress.waiting.fetch_sub(spans, Ordering::Relaxed);
        progress.queue_full.fetch_add(spans, Ordering::Relaxed);
    }
}

fn send_all(
    mut exporter: Exporter<Spans>,
    waiting: Receiver<(u64, ExportTraceServiceRequest)>,
    closing: &OnceLock<Deadline>,
    progress: &Progress,
) -> Account {
    for (spans, request) in waiting {
        let deadline = closing.get().copied().unwrap_or_else(|| Deadline::after(REQUEST_TIME));
        let lost = exporter.lost;
        exporter.send(&request, deadline);
        progress.waiting.fetch_sub(spans, Ordering::Relaxed);
        progress.otlp_sent.store(exporter.sent, Ordering::Relaxed);
        progress.otlp_lost.store(exporter.lost, Ordering::Relaxed);
        if exporter.lost == lost {
            let now = clocks::both().unix(clocks::boot()).0;
            ends(&request).for_each(|end| progress.latency.add(now.saturating_sub(end)));
        }
    }
    Account { arrived: exporter.sent, lost: exporter.lost }
}

/// When the spans of a request ended, nanoseconds since the epoch.
fn ends(request: &ExportTraceServiceRequest) -> impl Iterator<Item = u64> {
    let scopes = request.resource_spans.iter().flat_map(|one| &one.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(|span| span.end_time_unix_nano)
}
