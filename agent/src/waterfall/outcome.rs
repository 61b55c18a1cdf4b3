//! How a span ended, read from its attributes: the class by which alike spans fold.

use crate::signal;
use crate::span::{Span, Status, Value, key};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Success,
    /// The span was closed before the process ended.
    Unfinished,
    /// It is over, and how it ended was lost.
    EndLost,
    Exit(i64),
    Signal(i64),
    CoreDump(i64),
    OomKilled,
    /// A request that was answered so.
    Status(i64),
    /// The span says that it failed and not how: no process, but a request.
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Open,
    Failed,
}

impl Outcome {
    pub(super) fn of(span: &Span) -> Self {
        let is_set = |key| !matches!(span.attribute(key), None | Some(Value::Bool(false)));
        let number = |key| match span.attribute(key) {
            Some(&Value::Int(number)) => Some(number).filter(|number| *number != 0),
            Some(Value::Str(_) | Value::Bool(_) | Value::StrList(_)) | None => None,
        };
        if is_set(key::OOM_KILLED) {
            Self::OomKilled
        } else if let Some(signal) = number(key::SIGNAL) {
            if is_set(key::CORE_DUMPED) { Self::CoreDump(signal) } else { Self::Signal(signal) }
        } else if let Some(code) = number(key::PROCESS_EXIT_CODE) {
            Self::Exit(code)
        } else if let Some(why) = span.attribute(key::UNFINISHED) {
            if *why == Value::from(key::END_LOST) { Self::EndLost } else { Self::Unfinished }
        } else {
            match span.status {
                Status::Unset => Self::Success,
                Status::Error => {
                    number(key::HTTP_RESPONSE_STATUS_CODE).map_or(Self::Error, Self::Status)
                }
            }
        }
    }

    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Success => Verdict::Fine,
            Self::Unfinished | Self::EndLost => Verdict::Open,
            Self::Exit(_)
            | Self::Signal(_)
            | Self::CoreDump(_)
            | Self::OomKilled
            | Self::Status(_)
            | Self::Error => Verdict::Failed,
        }
    }

    /// What the row says of it; nothing of a success.
    pub(super) fn note(self) -> Option<String> {
        match self {
            Self::Success => None,
            Self::Unfinished => Some("… still running".to_owned()),
            Self::EndLost => Some("… end lost".to_owned()),
            Self::Exit(code) => Some(format!("✗ exit {code}")),
            Self::Signal(number) => Some(format!("✗ {}", name(number))),
            Self::CoreDump(number) => Some(format!("✗ {} (core dumped)", name(number))),
            Self::OomKilled => Some("✗ OOM killed".to_owned()),
            Self::Status(status) => Some(format!("✗ {status}")),
            Self::Error => Some("✗ failed".to_owned()),
        }
    }
}

/// A number that no signal can have is told as it came.
fn name(number: i64) -> String {
    u32::try_from(number).map_or_else(|_| format!("signal {number}"), signal::name)
}
