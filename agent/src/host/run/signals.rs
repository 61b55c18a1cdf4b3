//! Signals that are sent to us are meant for the command.
//!
//! The command stays in our process group, so what the terminal sends (Ctrl-C, Ctrl-Z, hang-up,
//! window size) reaches it without us; only what another process sent to us alone is passed on.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::{
        Handle, SignalsInfo,
        exfiltrator::{WithOrigin, origin::Origin},
    },
    low_level::siginfo::Cause,
};

const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

pub(super) struct Forwarder {
    signals: std::sync::Mutex<Option<SignalsInfo<WithOrigin>>>,
    handle: Option<Handle>,
    /// Zero before the command runs and after it ended.
    command: AtomicI32,
    /// Somebody wants us to end, and the command already has.
    interrupted: AtomicBool,
}

impl Forwarder {
    /// From here on the signals no longer end this process. One that was ignored when we were
    /// started (`nohup`) stays so, for the command inherits that.
    pub(super) fn install() -> Self {
        let ignored = ignored();
        let wanted = PASSED_ON.iter().filter(|signal| ignored & (1 << (**signal - 1)) == 0);
        let signals = SignalsInfo::<WithOrigin>::new(wanted).ok();
        let handle = signals.as_ref().map(SignalsInfo::handle);
        Self {
            signals: std::sync::Mutex::new(signals),
            handle,
            command: AtomicI32::new(0),
            interrupted: AtomicBool::new(false),
        }
    }

    pub(super) fn forward_to(&self, command: Pid) {
        self.command.store(command.as_raw(), Ordering::Release);
    }

    pub(super) fn command_ended(&self) {
        self.command.store(0, Ordering::Release);
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Passes signals on until [`Forwarder::close`].
    pub(super) fn run(&self) {
        let signals = self.signals.lock().ok().and_then(|mut signals| signals.take());
        let Some(mut signals) = signals else { return };
        for origin in signals.forever() {
            self.pass_on(&origin);
        }
    }

    pub(super) fn close(&self) {
        if let Some(handle) = &self.handle {
            handle.close();
        }
    }

    fn pass_on(&self, origin: &Origin) {
        let command = self.command.load(Ordering::Acquire);
        if command == 0 {
            self.interrupted.store(true, Ordering::Release);
            return;
        }
        let by_terminal = matches!(origin.cause, Cause::Kernel);
        if let (false, Ok(signal)) = (by_terminal, Signal::try_from(origin.signal)) {
            // It fails only if the command is gone, and then there is nobody to tell.
            let _gone = kill(Pid::from_raw(command), signal);
        }
    }
}

/// Bits of the signals that are ignored (`SigIgn` of /proc/self/status).
fn ignored() -> u64 {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        })
        .unwrap_or_default()
}
