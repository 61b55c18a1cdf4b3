//! The wire: what both sides of the ring agree on.
//!
//! A record is `repr(C)`, made of integers and byte arrays, with its padding spelled out and its
//! size asserted. A record that carries bytes is a fixed part followed by them: the fixed part says
//! how many. Nothing here parses, allocates or has an opinion.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod budget;
pub mod cgroup;
pub mod header;
pub mod http1;
pub mod http2;
pub mod loss;
pub mod place;
pub mod process;
pub mod settings;
pub mod socket;
pub mod task;

/// Changes with every change of a record or of the settings. A recording carries it.
pub const WIRE_VERSION: u16 = 7;
