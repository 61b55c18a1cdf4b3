//! `cargo xtask demo`: traces a few real programs and shows what came out, with a real Collector.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::arch::Arch;
use crate::clock::Stopwatch;
use crate::executable::{self, Linking};
use crate::missing::Missing;
use crate::privilege::{Privilege, WITHOUT_ROOT};
use crate::setup::{self, Part};
use crate::{command, ebpf, paths, say};

const READY_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Traces a small build, a commit, requests to a server, a pipeline and a failure: one trace.
///
/// Builds everything, starts a real OpenTelemetry Collector on loopback and runs `lynceus run`
/// over a shell script. The spans that `lynceus` wrote are in target/demo/t.jsonl, those that the
/// Collector received in target/demo/collector.jsonl. Needs root or sudo, since tracing does.
/// Without Go there is no Collector, and everything else runs. A minute once the tools are there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask demo")]
pub(crate) struct Arguments {}

/// Real programs doing ordinary things, one of which fails.
const SCRIPT: &str = r#"
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
printf 'int one(void) { return 1; }\n' > one.c
printf 'int one(void); int main(void) { return one() - 1; }\n' > main.c
printf 'prog: one.o main.o\n\tgcc -o prog one.o main.o\n' > Makefile
make -s -j2
./prog
git init -q . && git add . && git -c user.name=demo -c user.email=demo@example.org commit -q -m demo
python3 -c 'import subprocess; subprocess.run(["true"], check=True)'
coproc served { exec python3 -u -m http.server --bind 127.0.0.1 0 2> /dev/null; }
read -r said <&"${served[0]}"
port=${said#*port } port=${port%% *}
base=http://127.0.0.1:$port
curl -s -o /dev/null "$base/one.c" -o /dev/null "$base/none?token=hunter2"
kill "$served_PID"
sort Makefile | uniq | wc -l > lines
ls /nowhere 2> /dev/null || true
"#;

pub(crate) fn run(_: &Arguments) -> Result<ExitCode> {
    let privilege = Privilege::find();
    ensure!(privilege != Privilege::None, Missing::new(WITHOUT_ROOT));
    say::note(&format!("programs: {}", setup::ensure(Part::Programs)?));
    let collector = match setup::collector() {
        Ok(program) => Some(program),
        Err(error) if Missing::find(&error).is_some() => {
            say::note(&format!("without a Collector: {error:#}"));
            None
        }
        Err(error) => return Err(error),
    };
    ebpf::build(Arch::OWN)?;
    let lynceus = executable::lynceus(Linking::Usual)?;
    let directory = paths::target().join("demo");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let ours = directory.join("t.jsonl");
    let theirs = directory.join("collector.jsonl");
    let running = collector.map(|program| Collector::start(&program, &theirs)).transpose()?;

    let mut trace = privilege.command(lynceus.as_os_str(), &[]).context(WITHOUT_ROOT)?;
    trace.arg("run").arg("--out").arg(&ours);
    if let Some(collector) = &running {
        trace.arg("--otlp").arg(format!("http://{}", collector.http));
    }
    trace.args(["--", "bash", "-c", SCRIPT]).current_dir(&directory);
    let status = trace.status().context("starting lynceus")?;
    let stopped = running.map(Collector::stop).transpose();
    ensure!(status.success(), "lynceus run failed ({status})");

    say::result(&format!("lynceus wrote {}", ours.display()));
    if stopped?.is_some() {
        let spans = spans(&theirs)?;
        say::result(&format!("the Collector received {spans} spans: {}", theirs.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// A Collector on loopback; dropped on an error's way out, it is killed.
pub(crate) struct Collector {
    child: Child,
    http: String,
}

impl Collector {
    pub(crate) fn start(program: &Path, out: &Path) -> Result<Self> {
        if out.exists() {
            fs::remove_file(out).with_context(|| format!("removing {}", out.display()))?;
        }
        let (grpc, http) = (free_address()?, free_address()?);
        let (file, log) = command::log_file("demo-collector")?;
        let configuration: PathBuf = paths::repository().join("tests/collector/config.yaml");
        let child = Command::new(program)
            .arg("--config")
            .arg(configuration)
            .env("OTLP_GRPC", &grpc)
            .env("OTLP_HTTP", &http)
            .env("OUT", out)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        let child = child.with_context(|| format!("starting {}", program.display()))?;
        let mut collector = Self { child, http };
        collector.wait_until_ready(&log)?;
        say::note(&format!("the Collector listens on http://{}", collector.http));
        Ok(collector)
    }

    /// Where it takes OTLP/HTTP.
    pub(crate) fn traces_url(&self) -> String {
        format!("http://{}/v1/traces", self.http)
    }

    fn wait_until_ready(&mut self, log: &Path) -> Result<()> {
        let watch = Stopwatch::start();
        while std::net::TcpStream::connect(&self.http).is_err() {
            let ended = self.child.try_wait().context("waiting for the Collector")?;
            if ended.is_some() || watch.elapsed() > READY_LIMIT {
                bail!("the Collector did not start; its log\n{}", command::tail(log)?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Asks it to end, so that it writes what it holds.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        command::output(Command::new("kill").args(["-TERM", &pid]))?;
        let ended = command::wait(&mut self.child, STOP_LIMIT)?;
        ensure!(ended.is_some(), "the Collector did not end and was killed");
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // After `stop` there is nothing left to kill, and both calls say so.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// A loopback address that nobody listens on at this moment.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("finding a free port")?;
    Ok(listener.local_addr().context("reading a free port")?.to_string())
}

/// How many spans a file of OTLP JSON lines has.
fn spans(file: &Path) -> Result<usize> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let mut spans = 0;
    for line in text.lines() {
        let request: Value = serde_json::from_str(line)
            .with_context(|| format!("parsing a line of {}", file.display()))?;
        spans += members(&request, "resourceSpans")
            .flat_map(|resource| members(resource, "scopeSpans"))
            .flat_map(|scope| members(scope, "spans"))
            .count();
    }
    Ok(spans)
}

fn members<'value>(value: &'value Value, name: &str) -> impl Iterator<Item = &'value Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_counted_over_all_resources_and_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{},{}]},{"spans":[{}]}]},{}]}"#;
        fs::write(file.path(), format!("{line}\n{line}\n")).unwrap();
        assert_eq!(spans(file.path()).unwrap(), 6);
    }
}
