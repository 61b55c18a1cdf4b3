//! A server and its clients in one traced run: the server is started, the clients ask it one after the
//! other when it listens, and then it is told to end.
//!
//! Whether it listens is read from `/proc/net/tcp`: a connection to try it would be traced too.

use std::{
    fs,
    io::{self, Write as _},
    process::{Child, Command},
    thread,
    time::Duration,
};

use agent_tests::lynceus::{Run, run_with};
use anyhow::{Context as _, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::peer;

const POLL: Duration = Duration::from_millis(10);
/// A minute, for a machine that does something else.
const POLLS: u32 = 6_000;
/// Between the commands of the peer's line.
const NEXT: &str = "-- next --";
/// Servers write into folders of the tests, also where those were started through sudo.
pub(crate) const AS_ROOT: [&str; 2] = ["--user", "0"];
/// In front of a client that fails because it is meant to.
pub(crate) const MAY_FAIL: &str = "-- may fail --";

/// What is traced together.
pub(crate) struct Stage<'a> {
    pub(crate) port: u16,
    pub(crate) server: Vec<String>,
    pub(crate) variables: &'a [(&'a str, String)],
}

impl Stage<'_> {
    /// Traces the server while the clients ask it. All that is started ends, and nothing is lost.
    pub(crate) fn play(&self, clients: &[Vec<String>]) -> anyhow::Result<Run> {
        let run = self.play_with(&["--requests-per-second", "0"], clients)?;
        let said = || format!("{}\n{}", String::from_utf8_lossy(&run.output.stdout), run.stderr);
        run.is_whole().with_context(said)?;
        Ok(run)
    }

    /// With these options, of which some leave things out.
    pub(crate) fn play_with(
        &self,
        options: &[&str],
        clients: &[Vec<String>],
    ) -> anyhow::Result<Run> {
        let port = self.port.to_string();
        let mut words = vec![port.as_str()];
        words.extend(self.server.iter().map(String::as_str));
        for client in clients {
            words.push(NEXT);
            words.extend(client.iter().map(String::as_str));
        }
        let options = [&AS_ROOT, options].concat();
        let run = run_with(&options, &peer::command("stage", &words), |lynceus| {
            lynceus.envs(self.variables.iter().map(|(name, value)| (name, value)));
        })?;
        let said = || format!("{}\n{}", String::from_utf8_lossy(&run.output.stdout), run.stderr);
        ensure!(run.code() == Some(0), "{:?}: {}", run.code(), said());
        Ok(run)
    }
}

/// The words of a command line.
pub(crate) fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

/// The peer's part: port, server, clients.
pub(crate) fn perform(words: &[String]) -> io::Result<()> {
    let mut commands = words.split(|word| word == NEXT);
    let Some([port, server @ ..]) = commands.next() else { return Err(wrong("no server")) };
    let port = port.parse().map_err(io::Error::other)?;
    let mut server = Server::start(command(server)?, Signal::SIGTERM)?;
    server.until_it_listens(port)?;
    for client in commands {
        let (may_fail, client) = match client {
            [first, rest @ ..] if first == MAY_FAIL => (true, rest),
            client => (false, client),
        };
        let status = command(client)?.status()?;
        if !may_fail && !status.success() {
            return Err(wrong(&format!("{client:?} ended with {status}")));
        }
    }
    Ok(())
}

/// Of `cargo xtask bench`: port and server. Tells when it listens, and ends it with the input.
pub(crate) fn serve(words: &[String]) -> io::Result<()> {
    let Some((port, server)) = words.split_first() else { return Err(wrong("no server")) };
    let mut server = Server::start(command(server)?, Signal::SIGTERM)?;
    server.until_it_listens(port.parse().map_err(io::Error::other)?)?;
    writeln!(io::stdout(), "{port}")?;
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

fn command(words: &[String]) -> io::Result<Command> {
    let (program, arguments) = words.split_first().ok_or_else(|| wrong("no program"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

/// Told to end when dropped, and waited for: as the terminal or an init would tell it.
pub(crate) struct Server {
    child: Child,
    signal: Signal,
}

impl Server {
    pub(crate) fn start(mut command: Command, signal: Signal) -> io::Result<Self> {
        Ok(Self { child: command.spawn()?, signal })
    }

    /// Or until it ends, which is an error.
    pub(crate) fn until_it_listens(&mut self, port: u16) -> io::Result<()> {
        for _ in 0..POLLS {
            if listens(port)? {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(wrong(&format!("the server ended with {status}")));
            }
            thread::sleep(POLL);
        }
        Err(wrong("the server did not listen in time"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw);
        if let Ok(pid) = pid
            && self.child.try_wait().is_ok_and(|status| status.is_none())
        {
            kill(pid, self.signal).unwrap_or_default();
        }
        drop(self.child.wait());
    }
}

fn listens(port: u16) -> io::Result<bool> {
    // `sl local_address rem_address st`, addresses as hexadecimal `ADDRESS:PORT`, 0A is LISTEN.
    let port = format!(":{port:04X}");
    let is_it = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
    };
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // Without IPv6 the second is not there.
        if fs::read_to_string(table).unwrap_or_default().lines().any(is_it) {
            return Ok(true);
        }
    }
    Ok(false)
}
