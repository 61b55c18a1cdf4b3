//! Running other programs: output into a log file, its tail shown on failure, a time limit.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::clock::Stopwatch;
use crate::paths;

/// Enough for a panic with its backtrace, or the end of a verifier's log.
const TAIL_LINES: usize = 60;
const POLL: Duration = Duration::from_millis(50);

/// How a logged program ended; its output is in `log`.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: PathBuf,
}

impl Ended {
    /// What it printed. Bytes that are no UTF-8 are replaced.
    pub(crate) fn output(&self) -> Result<String> {
        let bytes =
            fs::read(&self.log).with_context(|| format!("reading {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// `target/xtask/<name>.log`, emptied.
pub(crate) fn log_file(name: &str) -> Result<(File, PathBuf)> {
    let directory = paths::target().join("xtask");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let path = directory.join(format!("{name}.log"));
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    Ok((file, path))
}

/// Runs `command` with both outputs in `target/xtask/<log>.log`, whatever its exit status.
pub(crate) fn logged(command: &mut Command, log: &str, limit: Duration) -> Result<Ended> {
    let (file, log) = log_file(log)?;
    // Appending: two writers on one descriptor each go to the end.
    let append = OpenOptions::new().append(true).open(&log);
    let second = append.with_context(|| format!("opening {}", log.display()))?;
    drop(file);
    let first = second.try_clone().context("duplicating the log's descriptor")?;
    let child = command.stdin(Stdio::null()).stdout(first).stderr(second).spawn();
    let mut child = child.with_context(|| format!("starting {}", shown(command)))?;
    let Some(status) = wait(&mut child, limit)? else {
        bail!("{} did not end within {} s; see {}", shown(command), limit.as_secs(), log.display());
    };
    Ok(Ended { status, log })
}

/// As [`logged`], but a failure is an error that carries the log's tail.
pub(crate) fn checked(command: &mut Command, log: &str, limit: Duration) -> Result<Ended> {
    let ended = logged(command, log, limit)?;
    if !ended.status.success() {
        bail!(
            "{} failed ({}); {} ends with\n{}",
            shown(command),
            ended.status,
            ended.log.display(),
            tail(&ended.log)?
        );
    }
    Ok(ended)
}

/// As [`checked`], but only the errors go to the log; the answer is the standard output.
pub(crate) fn captured(command: &mut Command, log: &str, limit: Duration) -> Result<String> {
    let (file, log) = log_file(log)?;
    let mut output = tempfile::tempfile().context("making a temporary file")?;
    let stdout = output.try_clone().context("duplicating a temporary file's descriptor")?;
    let child = command.stdin(Stdio::null()).stdout(stdout).stderr(file).spawn();
    let mut child = child.with_context(|| format!("starting {}", shown(command)))?;
    let status = wait(&mut child, limit)?;
    if !status.is_some_and(|status| status.success()) {
        let how = status.map_or_else(|| "at its time limit".to_owned(), |s| s.to_string());
        bail!("{} failed ({how}); {} ends with\n{}", shown(command), log.display(), tail(&log)?);
    }
    let mut bytes = Vec::new();
    output.rewind().context("rewinding a temporary file")?;
    output.read_to_end(&mut bytes).context("reading a temporary file")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The standard output of a program that is quick and must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("starting {}", shown(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed ({}): {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until the child ends; at the limit it is killed and the answer is `None`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let watch = Stopwatch::start();
    loop {
        if let Some(status) = child.try_wait().context("waiting for a child process")? {
            return Ok(Some(status));
        }
        if watch.elapsed() > limit {
            child.kill().context("killing a child process past its time limit")?;
            child.wait().context("waiting for a killed child process")?;
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> Result<String> {
    let mut file = File::open(log).with_context(|| format!("opening {}", log.display()))?;
    let length = file.metadata().with_context(|| format!("measuring {}", log.display()))?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(64 << 10)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(|| format!("reading {}", log.display()))?;
    // A serial console begins with the firmware's commands to a terminal.
    bytes.retain(|byte| !matches!(byte, 0x1b | b'\r'));
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines.iter().skip(first).map(|line| format!("    | {line}\n")).collect())
}

/// The command as one would type it, without its environment.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
