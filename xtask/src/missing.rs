//! The error "this machine does not have that": a reason to leave something out, not a failure.

use std::fmt;

#[derive(Debug)]
pub(crate) struct Missing(String);

impl Missing {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The first such reason among an error's causes.
    pub(crate) fn find(error: &anyhow::Error) -> Option<&Self> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "needs {}", self.0)
    }
}

impl std::error::Error for Missing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_under_every_context() {
        let error = anyhow::Error::new(Missing::new("a kernel")).context("one").context("two");
        assert_eq!(Missing::find(&error).unwrap().to_string(), "needs a kernel");
        assert!(Missing::find(&anyhow::anyhow!("broken")).is_none());
    }
}
