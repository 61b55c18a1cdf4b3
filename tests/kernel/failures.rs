//! Connections that cannot be opened: the peer's part in a network of its own, out of which nothing gets,
//! and what is told of it.

use std::{
    fs, io, mem,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    process::{Command, Stdio},
    thread,
};

use agent_tests::{
    lynceus::{Run, run_with},
    need::{Body, find, lacking, trial},
    tree::Span,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, getsockopt, sendto,
        setsockopt, socket, sockopt,
    },
};

use crate::{breaks, http::exchanges, peer, stage::AS_ROOT};

/// Where to, what connect(2) or the socket says, and what the span does, if there is one.
type Failure = (&'static str, Errno, Option<&'static str>);

/// A network of a process's own.
struct Network {
    /// Arguments of ip(8) that make it.
    lines: &'static [&'static str],
    failures: &'static [Failure],
    /// Nobody answers there, and nothing tells the kernel so.
    silent: &'static [&'static str],
    /// Every port on this machine is taken for a connection to there.
    taken: &'static [&'static str],
}

const LOOPBACK: Network = Network {
    lines: &[
        "link set lo up",
        "addr add 10.9.9.9/32 dev lo",
        "-6 addr add fd09:9::9/128 dev lo",
        "route add 10.9.0.0/24 dev lo",
        "-6 route add fd09::/64 dev lo",
        "route add unreachable 10.7.0.0/24",
        "-6 route add unreachable fd07::/64",
    ],
    failures: &[
        ("127.0.0.1:1", Errno::ECONNREFUSED, Some("connection_refused")),
        ("[::1]:1", Errno::ECONNREFUSED, Some("connection_refused")),
        // Loopback throws away what is not for this machine, and over IPv6 says so.
        ("10.9.0.1:1", Errno::ETIMEDOUT, Some("timeout")),
        ("[fd09::1]:1", Errno::ENETUNREACH, Some("network_unreachable")),
        // connect(2) fails before the socket's state changes, which is what is seen.
        ("192.0.2.1:1", Errno::ENETUNREACH, None),
        ("[2001:db8::1]:1", Errno::ENETUNREACH, None),
        ("10.7.0.1:1", Errno::EHOSTUNREACH, None),
        ("[fd07::1]:1", Errno::EHOSTUNREACH, None),
    ],
    silent: &[SILENT],
    taken: &["127.0.0.1:2", "[::1]:2"],
};
const LINK: Network = Network {
    lines: &[
        "link set lo up",
        "link add near type veth peer name far",
        "link set far up",
        "link set near up",
        "addr add 10.8.0.9/24 dev near",
        "-6 addr add fd08::9/64 dev near nodad",
        "neigh add 10.8.0.2 lladdr 02:00:00:00:00:01 dev near nud permanent",
        "-6 neigh add fd08::2 lladdr 02:00:00:00:00:01 dev near nud permanent",
    ],
    // At the other end is nobody, and one who says nothing.
    failures: &[
        ("10.8.0.1:1", Errno::EHOSTUNREACH, Some("host_unreachable")),
        ("[fd08::1]:1", Errno::EHOSTUNREACH, Some("host_unreachable")),
        ("10.8.0.2:1", Errno::ETIMEDOUT, Some("timeout")),
        ("[fd08::2]:1", Errno::ETIMEDOUT, Some("timeout")),
    ],
    silent: &["10.8.0.2:1", "[fd08::2]:1"],
    taken: &[],
};
const SILENT: &str = "10.9.0.1:1";
/// As a client has one; a second is how long Linux waits before it asks again.
const LIMIT_MS: u16 = 1100;

fn network(name: &str) -> Network {
    if name == "link" { LINK } else { LOOPBACK }
}

pub(crate) fn trials(lack: Option<&str>) -> Vec<Trial> {
    let tests: [(&str, &[&str], Body); 5] = [
        ("http_connections_that_fail", &["ip"], || fail("loopback")),
        ("http_connections_that_fail_on_a_link", &["ip", "unshare"], || fail("link")),
        ("http_connections_that_curl_gives_up", &["curl", "ip"], given_up_by_curl),
        ("http_connections_that_break", &[], breaks::told),
        ("http_in_a_first_segment_that_is_lost", &["ip"], fast_open),
    ];
    let trial_of = |(name, programs, body): (&str, &[&str], Body)| match lack {
        Some(lack) => lacking(name, lack),
        None if programs.contains(&"unshare") && !has_links() => {
            lacking(name, "network of its own with a link (veth)")
        }
        None => trial(name, programs, body),
    };
    tests.into_iter().map(trial_of).collect()
}

fn has_links() -> bool {
    let (Some(unshare), Some(ip)) = (find("unshare"), find("ip")) else { return false };
    let mut command = Command::new(unshare);
    command.arg("-n").arg(ip).args(["link", "add", "type", "veth"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The peer in this mode; as root, who alone makes networks.
pub(crate) fn traced(words: &[&str]) -> anyhow::Result<Run> {
    let (mode, rest) = words.split_first().context("no mode")?;
    let options = [&AS_ROOT[..], &["--capture", "auto"]].concat();
    run_with(&options, &peer::command(mode, rest), |_| {})
}

/// Each is told once, blocking and not, and nothing is told of the others.
fn fail(name: &str) -> anyhow::Result<()> {
    let Network { failures, silent, taken, .. } = network(name);
    let run = traced(&["connects", name])?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    run.is_whole()?;
    let told = |(to, _, error): &Failure| Some(format!("{} {to}", (*error)?));
    let each: Vec<String> = failures.iter().filter_map(told).collect();
    let mut expected = [each.clone(), each].concat();
    // Closed before it was connected, by the program and at its end; and not what is closed at once.
    expected.extend([silent, silent].concat().iter().map(|to| format!("cancelled {to}")));
    expected.extend(taken.iter().map(|to| format!("address_not_available {to}")));
    expected.sort();
    let mut found: Vec<String> = run.spans.iter().filter_map(failure).collect();
    found.sort();
    // From Linux 7.0 on some may be missed, which is counted.
    let missed = usize::try_from(run.missed())?;
    let is_all = found.len() + missed >= expected.len();
    let mut rest = expected.iter();
    let is_told_once = found.iter().all(|one| rest.any(|other| one == other));
    ensure!(is_all && is_told_once, "{found:#?}\n{expected:#?}\n{}", run.stderr);
    let requests = [exchanges(&run, "client"), exchanges(&run, "server")].concat();
    ensure!(requests.len() == found.len(), "{requests:?}");
    Ok(())
}

/// `error.type address:port` of a connection that could not be opened.
fn failure(span: &Span) -> Option<String> {
    let error = span.string("error.type").filter(|_| span.name() == "connect")?;
    let ip = span.string("server.address")?.parse().ok()?;
    let port = u16::try_from(span.int("server.port")?).ok()?;
    Some(format!("{error} {}", SocketAddr::new(ip, port)))
}

/// curl's own limit is over before the system's is. What is over within a second is its own affair.
fn given_up_by_curl() -> anyhow::Result<()> {
    let url = format!("http://{}/", SILENT);
    let cancelled = format!("cancelled {}", SILENT);
    for (limit, expected) in [("1.2", vec![cancelled]), ("0.1", Vec::new())] {
        let run = traced(&["apart", "loopback", "curl", "-s", "--connect-timeout", limit, &url])?;
        ensure!(run.code() == Some(28), "{:?} {}", run.code(), run.stderr);
        run.is_whole()?;
        let found: Vec<String> = run.spans.iter().filter_map(failure).collect();
        ensure!(found == expected, "{limit}: {found:?}");
    }
    Ok(())
}

/// TCP Fast Open: the request was sent, and it is what failed.
fn fast_open() -> anyhow::Result<()> {
    let run = traced(&["fast-open"])?;
    ensure!(run.code() == Some(0), "{}", run.stderr);
    run.is_whole()?;
    ensure!(exchanges(&run, "client") == ["GET /fast - 0/-"], "{:?}", exchanges(&run, "client"));
    let errors: Vec<_> = run.spans.iter().filter_map(|span| span.string("error.type")).collect();
    ensure!(errors == ["timeout"], "{errors:?}");
    Ok(())
}

/// From here on this process is alone in a network of its own, which ends with it.
pub(crate) fn go_apart(name: &str) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    for line in network(name).lines {
        let status = Command::new(find("ip").unwrap_or_default()).args(line.split(' ')).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("ip {line}: {status}")));
        }
    }
    if name == "link" {
        // Three times nobody answers who is asked for an address.
        for family in ["ipv4", "ipv6"] {
            fs::write(format!("/proc/sys/net/{family}/neigh/near/retrans_time_ms"), "10")?;
        }
    }
    Ok(())
}

/// The peer's part: connects to all of that, at one time.
pub(crate) fn connects(name: &str) -> io::Result<()> {
    go_apart(name)?;
    let Network { failures, silent, taken, .. } = network(name);
    thread::scope(|scope| {
        let threads: Vec<_> = failures
            .iter()
            .flat_map(|failure| {
                [SockFlag::empty(), SockFlag::SOCK_NONBLOCK].map(|how| (failure, how))
            })
            .map(|((to, expected, _), how)| scope.spawn(move || fails(to, *expected, how)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
        })
    })?;
    let in_progress = || silent.iter().map(|to| in_progress(to)).collect::<io::Result<Vec<_>>>();
    let (by_itself, at_its_end) = (in_progress()?, in_progress()?);
    for socket in &by_itself {
        poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], LIMIT_MS)?;
    }
    drop(by_itself);
    mem::forget(at_its_end);
    drop(in_progress()?);
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001")?;
    for to in taken {
        let _listener = TcpListener::bind(to)?;
        let _streams = [TcpStream::connect(to)?, TcpStream::connect(to)?];
        fails(to, Errno::EADDRNOTAVAIL, SockFlag::empty())?;
    }
    Ok(())
}

fn opened(to: &str, how: SockFlag) -> io::Result<(OwnedFd, SockaddrStorage)> {
    let to: SocketAddr = to.parse().map_err(io::Error::other)?;
    let family = if to.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    Ok((socket(family, SockType::Stream, how, None)?, SockaddrStorage::from(to)))
}

fn fails(to: &str, expected: Errno, how: SockFlag) -> io::Result<()> {
    let (socket, address) = opened(to, how)?;
    if expected != Errno::EHOSTUNREACH {
        // Milliseconds: it ends with the first second without an answer.
        setsockopt(&socket, sockopt::TcpUserTimeout, &1)?;
    }
    let mut result = connect(socket.as_raw_fd(), &address);
    if result == Err(Errno::EINPROGRESS) {
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::NONE)?;
        result = match getsockopt(&socket, sockopt::SocketError)? {
            0 => Ok(()),
            error => Err(Errno::from_raw(error)),
        };
    }
    if result == Err(expected) { Ok(()) } else { Err(other(to, result)) }
}

fn in_progress(to: &str) -> io::Result<OwnedFd> {
    let (socket, address) = opened(to, SockFlag::SOCK_NONBLOCK)?;
    match connect(socket.as_raw_fd(), &address) {
        Err(Errno::EINPROGRESS) => Ok(socket),
        result => Err(other(to, result)),
    }
}

fn other(to: &str, result: nix::Result<()>) -> io::Error {
    io::Error::other(format!("{to}: {result:?}"))
}

/// The peer's part: a request in the segment that asks for the connection, to where nobody answers.
pub(crate) fn sends_first() -> io::Result<()> {
    go_apart("loopback")?;
    // Without a cookie of the server's.
    fs::write("/proc/sys/net/ipv4/tcp_fastopen", "5")?;
    let (socket, to) = opened(SILENT, SockFlag::SOCK_NONBLOCK)?;
    setsockopt(&socket, sockopt::TcpUserTimeout, &1)?;
    let request = b"GET /fast HTTP/1.1\r\nHost: x\r\n\r\n";
    let flags = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
    sendto(socket.as_raw_fd(), request, &to, flags)?;
    until_hung_up(&socket)
}

/// The connection is over both ways: its reset came.
pub(crate) fn until_hung_up(stream: impl AsFd) -> io::Result<()> {
    poll(&mut [PollFd::new(stream.as_fd(), PollFlags::empty())], PollTimeout::NONE)?;
    Ok(())
}
