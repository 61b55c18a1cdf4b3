//! Being asked to end while a cluster is up: the work stops where it waits, and what it started is
//! taken down on the way out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on a signal is only noted.
pub(super) fn watch() -> Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(asked)).context("watching for signals")?;
    }
    Ok(())
}

/// Fails if a signal came. Whatever waits, or begins something, asks.
pub(super) fn check() -> Result<()> {
    let came = ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed));
    ensure!(!came, "interrupted");
    Ok(())
}
