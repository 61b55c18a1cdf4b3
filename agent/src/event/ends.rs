//! Between whom a connection is.

use std::net::SocketAddr;

use abi::socket::PATH_MAX;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Inet { local: SocketAddr, remote: SocketAddr },
    Unix { local: UnixSocket, remote: UnixSocket, path: SocketPath },
}

/// One end of a connection on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Inet(SocketAddr),
    Unix(UnixSocket),
}

/// The address of a `struct sock`: while it lasts it is the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnixSocket(pub u64);

impl Ends {
    /// Here and there.
    pub fn pair(self) -> (Endpoint, Endpoint) {
        match self {
            Self::Inet { local, remote } => (Endpoint::Inet(local), Endpoint::Inet(remote)),
            Self::Unix { local, remote, .. } => (Endpoint::Unix(local), Endpoint::Unix(remote)),
        }
    }
}

/// What a UNIX socket listens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketPath {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl SocketPath {
    /// Of the first `len` bytes of `sun_path`; `None` if there are no so many.
    pub fn new(bytes: [u8; PATH_MAX], len: usize) -> Option<Self> {
        (len <= bytes.len()).then_some(Self { bytes, len })
    }

    /// Empty where it has no name. One that is no file has an `@` for each byte of zero, as
    /// `/proc/net/unix` shows it.
    pub fn to_text(self) -> String {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        let name = match bytes {
            [0, ..] => bytes,
            _ => bytes.split(|byte| *byte == 0).next().unwrap_or_default(),
        };
        String::from_utf8_lossy(name).replace('\0', "@")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sockets_are_shown_as_others_show_them() {
        let check = |name: &[u8], expected: &str| {
            let mut bytes = [b'x'; PATH_MAX];
            bytes[..name.len()].copy_from_slice(name);
            let path = SocketPath::new(bytes, name.len()).unwrap();
            assert_eq!(path.to_text(), expected);
        };
        check(b"/run/docker.sock\0", "/run/docker.sock");
        check(b"\0shim\0", "@shim@");
        check(b"", "");
        check(&[b'p'; PATH_MAX], &"p".repeat(PATH_MAX));
        assert_eq!(SocketPath::new([0; PATH_MAX], PATH_MAX + 1), None);
    }
}
