//! Ports for servers that take no listening socket of ours, only a number.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Below those that Linux gives to whoever connects or asks for any port (32768 to 60999 where
/// `net.ipv4.ip_local_port_range` is not set): a test beside this one would be given it before the
/// server takes it.
const FIRST: u32 = 12_000;
const PORTS: u32 = 18_000;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// One that nobody listens at, and that no other test of this process is given.
pub fn free() -> io::Result<u16> {
    // Test programs that run beside each other begin in different places.
    let begin = process::id().wrapping_mul(101);
    for _ in 0..PORTS {
        let next = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + next % PORTS).map_err(io::Error::other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("somebody listens at every port"))
}
