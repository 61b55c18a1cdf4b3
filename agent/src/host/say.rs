//! What Lynceus says of itself: lines on stderr that begin with its name, the whole chain of causes
//! in one of them.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
};

pub fn line(text: impl Display) {
    self::text(&format!("lynceus: {text}\n"));
}

/// Text as it is. Where stderr is closed or full nobody listens: that must not end the command.
pub fn text(text: &str) {
    let _nobody_listens = io::stderr().lock().write_all(text.as_bytes());
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
