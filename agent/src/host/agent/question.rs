//! What is asked of the thread that reads the ring, and how.

use std::{sync::mpsc::SyncSender, time::Duration};

use tokio::sync::oneshot;

use crate::host::metric::Metric;

/// For an answer of the thread that reads the ring.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked of the thread that reads the ring.
pub(super) enum Question {
    Health(oneshot::Sender<Health>),
    Metrics(oneshot::Sender<Vec<Metric>>),
    /// As JSON.
    Pods(oneshot::Sender<String>),
}

/// What there is still to wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// The API server listed the node's pods, and the namespaces.
    pub(super) is_listed: bool,
}

/// `None` if it does not answer in time.
pub(super) async fn ask<T>(
    questions: &SyncSender<Question>,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Option<T> {
    let (sender, answer) = oneshot::channel();
    questions.try_send(question(sender)).ok()?;
    tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
}
