//! The test program as a driver that takes turns: how long fork + exec + exit of a program took.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::command;

const END_LIMIT: Duration = Duration::from_secs(60);

pub(super) struct Driver {
    child: Child,
    /// Closing it tells the driver to end.
    turns: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Driver {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting a driver")?;
        let turns = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("a driver without output")?);
        Ok(Self { child, turns, answers })
    }

    /// Nanoseconds of each of `count` processes.
    pub(super) fn turn(&mut self, count: usize) -> Result<Vec<f64>> {
        let turns = self.turns.as_mut().context("a driver that was told to end")?;
        writeln!(turns, "{count}").context("telling a driver its turn")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("reading a driver's answer")?;
        let times = answer.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
        let times = times.with_context(|| format!("reading {answer:?}"))?;
        ensure!(times.len() == count, "a driver ended early");
        Ok(times)
    }

    /// What was started: the driver itself, or what traces it.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn stop(mut self) -> Result<()> {
        drop(self.turns.take());
        let status = command::wait(&mut self.child, END_LIMIT)?;
        ensure!(status.is_some_and(|status| status.success()), "a driver failed ({status:?})");
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.turns.take());
        // It ends by itself where its input does, also after an error.
        drop(command::wait(&mut self.child, END_LIMIT));
    }
}
