//! Trace and span ids that every agent derives alike from what is stable, with no conversation.
//!
//! SHA-256 over a domain word and NUL-joined parts; the first 16 or 8 bytes; never all zero.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A W3C trace id. Never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// A W3C span id ("parent id"). Never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// `None` for the all-zero id, which W3C Trace Context §3.2.2.3 declares invalid.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    pub fn derive(domain: &str, parts: &[&[u8]]) -> Self {
        let digest = digest(domain, parts);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self::new(bytes).unwrap_or(Self([1; 16]))
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 56 random bits that consistent samplers compare (OpenTelemetry specification,
    /// "TraceState: Probability Sampling", §Explicit and implicit randomness).
    pub fn randomness(&self) -> u64 {
        self.0[9..].iter().fold(0, |bits, byte| (bits << 8) | u64::from(*byte))
    }
}

impl SpanId {
    /// `None` for the all-zero id, which W3C Trace Context §3.2.2.4 declares invalid.
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    pub fn derive(domain: &str, parts: &[&[u8]]) -> Self {
        let digest = digest(domain, parts);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        Self::new(bytes).unwrap_or(Self([1; 8]))
    }

    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

fn digest(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(domain);
    for part in parts {
        hash.update([0]);
        hash.update(part);
    }
    hash.finalize().into()
}

macro_rules! hex_display {
    ($($id:ty),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}

hex_display!(TraceId, SpanId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_everywhere() {
        // Other agents and other versions must derive these very ids: do not change them.
        let parts: &[&[u8]] = &[b"boot", b"42"];
        assert_eq!(TraceId::derive("trace", parts).to_string().len(), 32);
        assert_eq!(SpanId::derive("span", parts).to_string().len(), 16);
        assert_ne!(SpanId::derive("span", parts), SpanId::derive("span", &[b"boot4", b"2"]));
    }

    #[test]
    fn all_zero_is_no_id() {
        assert_eq!(TraceId::new([0; 16]), None);
        assert_eq!(SpanId::new([0; 8]), None);
    }
}
