//! What a traced exchange costs by each family of programs, as a ratio: printed, not judged. Runs only
//! where it is asked for by name.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use agent_tests::{
    lynceus::binary,
    need::{lacking, trial},
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;

use crate::{backends, peer};

const NAME: &str = "cost_of_requests_by";
/// Exchanges of one turn, and turns of each way.
const TURN: usize = 100;
const TURNS: usize = 30;

pub(crate) fn trials() -> Vec<Trial> {
    if !env::args().any(|argument| argument.contains("cost_of")) {
        return Vec::new();
    }
    let works = backends::backends();
    let of = |backend: &str, body| {
        let name = format!("{NAME}_{backend}");
        match works.get(&format!("request probes: {backend}")) {
            Some(None) => trial(&name, &[], body),
            Some(Some(_)) | None => lacking(&name, backend),
        }
    };
    vec![
        of("fentry", || ratio("fentry")),
        of("kprobe", || ratio("kprobe")),
        of("tracepoint", || ratio("tracepoint")),
    ]
}

/// The two take turns on one processor, so that what else it does meets both.
fn ratio(backend: &str) -> anyhow::Result<()> {
    let talk = peer::command("turns-of-talk", &[]);
    let (program, arguments) = talk.split_first().context("no peer")?;
    let mut free = Driver::start(Command::new(program).args(arguments))?;
    let mut lynceus = Command::new(binary());
    lynceus.args(["run", "--quiet", "--strict", "--requests-per-second", "0"]);
    let mut traced = Driver::start(lynceus.args(["--capture", backend, "--"]).args(&talk))?;
    let mut micros = [Vec::new(), Vec::new()];
    for turn in 0..TURNS {
        for (driver, times) in [&mut free, &mut traced].into_iter().zip(&mut micros) {
            let time = driver.turn()?;
            // The first meets empty caches.
            times.extend((turn > 0).then_some(time));
        }
    }
    let [free, traced] = micros.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or_default()
    });
    let ratio = traced / free;
    eprintln!("COST {backend}: {ratio:.3} ({free:.1} us untraced, {traced:.1} us traced)");
    Ok(())
}

struct Driver {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Driver {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, input, output })
    }

    /// The median time of an exchange, microseconds.
    fn turn(&mut self) -> anyhow::Result<f64> {
        writeln!(self.input.as_mut().context("no input")?, "{TURN}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let times = line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
        let mut times = times.with_context(|| format!("reading {line:?}"))?;
        ensure!(times.len() == TURN, "{} of {TURN} exchanges", times.len());
        times.sort_by(f64::total_cmp);
        Ok(times.get(TURN / 2).copied().unwrap_or_default() / 1000.0)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.input.take());
        drop(self.child.wait());
    }
}
