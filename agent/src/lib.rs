//! Lynceus, the library: a record of the kernel goes in, a span comes out.
//!
//! The modules stand in the order in which a record travels; a module uses what stands above it,
//! never what stands below. All that touches the world is in `host`, behind the feature `host`.

// What everything is made of.
pub mod btf;
pub mod id;
pub mod loss;
pub mod propagation;
pub mod protocol;
pub mod reader;
pub mod signal;
pub mod span;

// The straight line.
pub mod assemble;
pub mod clock;
pub mod correlate;
pub mod decode;
pub mod environ;
pub mod event;
pub mod exchange;
pub mod gather;
pub mod kube;
pub mod otlp;
pub mod pipeline;
pub mod record;
pub mod redact;
pub mod sample;
pub mod waterfall;

#[cfg(feature = "host")]
pub mod host;
