//! The agent's metrics -> OTLP, at an interval: those that `/metrics` shows, for they are asked for alike.
//!
//! In a thread of its own, and the end of the agent waits for it no longer than `END`: who takes metrics can
//! hold up nobody. A push that fails is counted, and the next one says all that it said.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};

use super::question::{Question, ask};
use crate::{
    host::{
        clocks::{self, Deadline},
        endpoint::{Endpoint, Pace},
        export::{ExportError, Exporter, Metrics},
        metric::{
            Metric,
            otlp::{self, Times},
        },
        progress::Progress,
        say::{self, Seldom},
    },
    span::{Resource, UnixNanos},
};

/// For the last push, when spans are delivered: the agent's time to end is all but over.
const LAST: Duration = Duration::from_secs(2);
/// For the thread to end, with a push that is under way and the last one.
const END: Duration = Duration::from_secs(3);

pub(super) struct Pusher {
    exporter: Exporter<Metrics>,
    pace: Pace,
    resource: Resource,
    began: UnixNanos,
    progress: Arc<Progress>,
    unanswered: Seldom,
}

/// It asks and pushes as long as this is there.
pub(super) struct Pushing {
    /// With where the last ones come.
    ending: SyncSender<Receiver<Vec<Metric>>>,
    over: Over,
}

/// It does not ask any more, and has still to push once.
pub(super) struct Ending {
    last: SyncSender<Vec<Metric>>,
    over: Over,
}

/// Nothing comes but the end of the thread.
type Over = Receiver<Infallible>;

impl Pusher {
    pub(super) fn new(
        endpoint: &Endpoint,
        pace: Pace,
        resource: Resource,
        progress: Arc<Progress>,
    ) -> Result<Self, ExportError> {
        let (exporter, unanswered) = (Exporter::new(endpoint)?, Seldom::default());
        Ok(Self { exporter, pace, resource, began: now(), progress, unanswered })
    }

    pub(super) fn start(self, questions: SyncSender<Question>) -> io::Result<Pushing> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let (ending, ends) = sync_channel(1);
        let (running, over) = sync_channel(1);
        thread::Builder::new().name("push".to_owned()).spawn(move || {
            self.run(&runtime, &questions, &ends);
            drop::<SyncSender<Infallible>>(running);
        })?;
        Ok(Pushing { ending, over })
    }

    fn run(
        mut self,
        runtime: &Runtime,
        questions: &SyncSender<Question>,
        ends: &Receiver<Receiver<Vec<Metric>>>,
    ) {
        let mut next = Deadline::after(self.pace.interval);
        let last = loop {
            match ends.recv_timeout(next.left()) {
                Ok(last) => break last,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            next = Deadline::after(self.pace.interval);
            if let Some(metrics) = runtime.block_on(ask(questions, Question::Metrics)) {
                self.push(metrics, self.pace.timeout);
            } else {
                self.progress.pushes_failed.fetch_add(1, Ordering::Relaxed);
                self.unanswered.line("metrics are not pushed: the ring is not being read");
            }
        };
        if let Ok(metrics) = last.recv() {
            self.push(metrics, self.pace.timeout.min(LAST));
        }
    }

    fn push(&mut self, metrics: Vec<Metric>, time: Duration) {
        let request = otlp::request(&self.resource, metrics, Times::new(self.began, now()));
        let lost = self.exporter.lost;
        self.exporter.send(&request, Deadline::after(time));
        let is_taken = self.exporter.lost == lost;
        let count =
            if is_taken { &self.progress.pushes_taken } else { &self.progress.pushes_failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pushing {
    /// When nobody answers any more.
    pub(super) fn ending(self) -> Ending {
        let (last, given) = sync_channel(1);
        // It is closed only if the thread panicked.
        drop(self.ending.try_send(given));
        Ending { last, over: self.over }
    }
}

impl Ending {
    /// When there is nothing more to count.
    pub(super) fn push(self, metrics: Vec<Metric>) {
        drop(self.last.try_send(metrics));
        if self.over.recv_timeout(END) == Err(RecvTimeoutError::Timeout) {
            say::line("the last metrics were not pushed: the push before them is not over");
        }
    }
}

fn now() -> UnixNanos {
    clocks::both().unix(clocks::boot())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::host::{config, endpoint};

    /// One that pushes to where nobody listens.
    fn pusher(interval: Duration) -> Pusher {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let endpoint =
            config::with(&[], |environment| endpoint::metrics(Some(&url), None, environment));
        let pace = Pace { interval, timeout: Duration::from_secs(30) };
        let endpoint = endpoint.unwrap().unwrap();
        Pusher::new(&endpoint, pace, Resource::default(), Arc::default()).unwrap()
    }

    #[test]
    fn the_end_does_not_wait_for_who_is_not_there() {
        let pusher = pusher(Duration::from_secs(3600));
        let (progress, (questions, _asked)) = (Arc::clone(&pusher.progress), sync_channel(1));
        pusher.start(questions).unwrap().ending().push(vec![Metric::gauge("a", "A", 1)]);
        assert_eq!(progress.pushes_failed.load(Ordering::Relaxed), 1);
        assert_eq!(progress.pushes_taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn where_nobody_answers_a_push_failed() {
        let pusher = pusher(Duration::from_millis(1));
        let (progress, (questions, asked)) = (Arc::clone(&pusher.progress), sync_channel(1));
        drop(asked);
        let _pushing = pusher.start(questions).unwrap();
        while progress.pushes_failed.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
    }
}
