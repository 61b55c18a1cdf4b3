//! What Lynceus says of itself: lines on stderr that begin with its name, the whole chain of causes
//! in one of them.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    time::Duration,
};

use super::clocks::Deadline;

/// From one line of [`Seldom`] to the next.
const PAUSE: Duration = Duration::from_secs(60);

pub fn line(text: impl Display) {
    self::text(&format!("lynceus: {text}\n"));
}

/// Text as it is. Where stderr is closed or full nobody listens: that must not end the command.
pub fn text(text: &str) {
    let _nobody_listens = io::stderr().lock().write_all(text.as_bytes());
}

/// Says at most a line a minute.
#[derive(Debug, Default)]
pub struct Seldom {
    pause: Option<Deadline>,
}

impl Seldom {
    /// Whether it was said.
    pub fn line(&mut self, text: impl Display) -> bool {
        let is_free = self.pause.is_none_or(|pause| pause.left().is_zero());
        if is_free {
            line(text);
            self.pause = Some(Deadline::after(PAUSE));
        }
        is_free
    }
}

/// An error with its causes, as `what: why: why`.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // aya's has the whole log of the verifier, which is said elsewhere.
        let cause_text = cause_text.split(" Verifier output:").next().unwrap_or_default();
        // Some crates repeat the cause in their own text.
        if !text.contains(cause_text) {
            text.push_str(": ");
            text.push_str(cause_text);
        }
        next = cause.source();
    }
    text
}
