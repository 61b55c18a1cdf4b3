//! A server under as much load as there can be: without an agent, with Lynceus there but not for it, and
//! traced. The load itself comes from outside.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Bench;
use super::compare::cpu_ns;
use super::probes::{Counting, Spent};
use super::ratio::{Ratio, median};
use super::targets::{self, Target};
use crate::privilege::Privilege;
use crate::{command, say};

const END_LIMIT: Duration = Duration::from_secs(60);

/// What the program that makes the load said of one turn.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Turn {
    pub(super) requests: f64,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// One way, a figure a round.
#[derive(Debug, Default)]
struct Way(Vec<Turn>);

impl Way {
    fn of(&self, figure: impl Fn(&Turn) -> f64) -> Vec<f64> {
        self.0.iter().map(figure).collect()
    }
}

/// A server, and the load on it.
pub(super) struct Load<'a> {
    /// What stands above the figures.
    pub(super) title: &'a str,
    /// The server that is to listen at this port.
    pub(super) server: &'a dyn Fn(u16) -> Result<Vec<String>>,
    /// One turn of a second or so.
    pub(super) turn: &'a dyn Fn(u16) -> Result<Turn>,
}

impl Load<'_> {
    pub(super) fn measure(&self, bench: &Bench, rounds: usize) -> Result<()> {
        let rounds = rounds.max(1);
        let [mut free, mut untracked, mut limited, mut tracked] = [const { Way(Vec::new()) }; 4];
        let mut own_cpu = Vec::new();
        say::step(&format!("{rounds} rounds of {}", self.title), || {
            let server = self.start(bench, None)?;
            (0..rounds).try_for_each(|_| {
                let before = (self.turn)(server.port)?;

                // It is attached when what it runs answers.
                let mut other = Served::start(bench.lynceus()?.arg("cat"))?;
                other.hear()?;
                untracked.0.push((self.turn)(server.port)?);
                other.stop()?;

                let traced = self.start(bench, Some(bench.lynceus_with(&[])?))?;
                limited.0.push((self.turn)(traced.port)?);
                traced.stop()?;

                let traced = self.start(bench, Some(bench.lynceus()?))?;
                let cpu = cpu_ns(traced.child.id());
                let turn = (self.turn)(traced.port)?;
                // Under sudo, the process that was started is sudo.
                if bench.privilege == Privilege::Root {
                    own_cpu.push((cpu_ns(traced.child.id()) - cpu) / turn.requests.max(1.0));
                }
                tracked.0.push(turn);
                traced.stop()?;

                free.0.push(mean(before, (self.turn)(server.port)?));
                Ok::<_, anyhow::Error>(())
            })?;
            server.stop()
        })?;
        let ways = [
            ("no agent", None, &free),
            (THERE, Some(targets::UNTRACKED), &untracked),
            (LIMITED, Some(targets::limited(bench.capture)), &limited),
            (RUN, Some(targets::TRACKED), &tracked),
        ];
        self.report(&free, ways);
        if !own_cpu.is_empty() {
            let millis = median(&own_cpu) * 10_000.0 / 1e6;
            let verdict = targets::OWN_CPU.verdict(millis);
            say::result(&format!(
                "  lynceus itself uses {millis:.0} ms of CPU for 10 000 spans{verdict}"
            ));
        }
        self.where_it_goes(bench)
    }

    /// One turn more, which is slower, as the kernel counts meanwhile.
    fn where_it_goes(&self, bench: &Bench) -> Result<()> {
        let Some(_counting) = Counting::begin() else { return Ok(()) };
        let traced = self.start(bench, Some(bench.lynceus()?))?;
        let before = Spent::by(&traced.child);
        let turn = (self.turn)(traced.port)?;
        say::result("  of which, for a request, by the kernel's own count of each program:");
        Spent::by(&traced.child).report(&before, turn.requests);
        traced.stop()
    }

    fn report(&self, base: &Way, ways: [(&str, Option<Target>, &Way); 4]) {
        say::result(&format!("{}, requests a second as a ratio:", self.title));
        let per_second = |way: &Way| way.of(|turn| turn.per_second);
        for (name, target, way) in ways {
            let ratio = Ratio::of(&per_second(way), &per_second(base));
            let p50 = median(&way.of(|turn| turn.p50_ms));
            let p99 = median(&way.of(|turn| turn.p99_ms));
            let rate = median(&per_second(way));
            let verdict = target.map(|target| target.verdict(ratio.median)).unwrap_or_default();
            say::result(&format!(
                "  {name:36}{ratio}  {rate:7.0}/s  p50 {p50:.2} ms  p99 {p99:.2} ms{verdict}"
            ));
        }
    }

    /// The server, by `tracer` if there is one, after a turn that is not counted.
    fn start(&self, bench: &Bench, tracer: Option<Command>) -> Result<Served> {
        let port = free_port()?;
        let peer = bench.driver.to_string_lossy().into_owned();
        let mut words = vec![peer, "--peer".to_owned(), "serve".to_owned(), port.to_string()];
        words.extend((self.server)(port)?);
        let mut command = match tracer {
            Some(mut tracer) => {
                tracer.args(words);
                tracer
            }
            None => bench.command(&words)?,
        };
        let mut served = Served::start(&mut command)?;
        served.port = port;
        served.line()?;
        (self.turn)(port)?;
        Ok(served)
    }
}

const THERE: &str = "lynceus there, server not traced";
const LIMITED: &str = "lynceus run, 1000 spans a second";
const RUN: &str = "lynceus run, a span for each";

fn mean(one: Turn, other: Turn) -> Turn {
    let of = |one: f64, other: f64| f64::midpoint(one, other);
    Turn {
        requests: of(one.requests, other.requests),
        per_second: of(one.per_second, other.per_second),
        p50_ms: of(one.p50_ms, other.p50_ms),
        p99_ms: of(one.p99_ms, other.p99_ms),
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a port")?;
    Ok(listener.local_addr().context("asking for the port")?.port())
}

/// What ends when its input does, as a process of another user cannot be told by a signal.
struct Served {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Served {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("starting a server")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a server without output")?);
        Ok(Self { child, input, output, port: 0 })
    }

    /// Waits for what it says when it is ready.
    fn line(&mut self) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("reading what a server says")?;
        ensure!(!line.is_empty(), "a server did not start");
        Ok(())
    }

    /// It repeats what it is told.
    fn hear(&mut self) -> Result<()> {
        let input = self.input.as_mut().context("a program that was told to end")?;
        writeln!(input, "ready").context("telling a program something")?;
        self.line()
    }

    fn stop(mut self) -> Result<()> {
        drop(self.input.take());
        let status = command::wait(&mut self.child, END_LIMIT)?;
        ensure!(status.is_some_and(|status| status.success()), "a server failed ({status:?})");
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends by itself where its input does, also after an error.
        drop(command::wait(&mut self.child, END_LIMIT));
    }
}
