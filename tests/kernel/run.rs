//! The command runs as if Lynceus were not there.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use agent_tests::{
    lynceus::{binary, run_with},
    need::trial,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("exit_status_is_the_command_s", &["sh"], exit_status),
        trial("input_and_output_pass_through", &["cat"], input_and_output),
        trial("signals_sent_to_us_reach_the_command", &["sh", "sleep"], signals),
        trial("ignored_signals_stay_ignored", &["sh"], ignored),
        trial("command_runs_as_the_user_who_asked", &["sh", "id"], user),
        trial("missing_command_is_127", &[], missing_command),
        trial("the_picture_and_the_account_are_on_stderr", &["sh"], picture),
        trial("recordings_hold_every_record", &["sh"], recordings),
        trial("probe_log_tells_what_probes_do", &["sh"], probe_log),
        trial("a_shell_s_job_control_works", &["bash", "python3", "sh", "stty"], job_control),
        trial("terminal_is_the_command_s", &["script", "sh", "stty"], terminal),
    ]
}

fn exit_status() -> anyhow::Result<()> {
    for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("kill $$", 143)] {
        let run = run_with(&[], &["sh", "-c", script], |_| {})?;
        ensure!(run.code() == Some(code), "{script}: {:?}", run.output.status);
    }
    Ok(())
}

fn input_and_output() -> anyhow::Result<()> {
    let mut child = Command::new(binary())
        .args(["run", "-q", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no input")?.write_all(b"through and through")?;
    let output = child.wait_with_output()?;
    ensure!(output.stdout == b"through and through");
    Ok(())
}

fn signals() -> anyhow::Result<()> {
    for (signal, name) in
        [(Signal::SIGTERM, "TERM"), (Signal::SIGHUP, "HUP"), (Signal::SIGINT, "INT")]
    {
        let script = format!("trap 'exit 33' {name}; echo ready; sleep 5 & wait");
        let mut child = Command::new(binary())
            .args(["run", "-q", "--", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = [0; 5];
        let stdout = child.stdout.as_mut().context("no output")?;
        std::io::Read::read_exact(stdout, &mut ready)?;
        kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
        let status = child.wait()?;
        ensure!(status.code() == Some(33), "{name}: {status:?}");
    }
    Ok(())
}

/// As under `nohup`.
fn ignored() -> anyhow::Result<()> {
    let script =
        format!("trap '' HUP; exec {} run -q -- sh -c 'kill -HUP $$; exit 21'", binary().display());
    let status = Command::new("sh").args(["-c", &script]).status()?;
    ensure!(status.code() == Some(21), "{status:?}");
    Ok(())
}

fn user() -> anyhow::Result<()> {
    let check = |options: &[&str], sudo: Option<&str>, expected: &str| {
        let mut command = Command::new(binary());
        command.arg("run").arg("-q").args(options).args(["--", "sh", "-c", "id -u; echo $HOME"]);
        command.env_remove("SUDO_UID").envs(sudo.map(|uid| ("SUDO_UID", uid)));
        let output = command.env("HOME", "/kept").output()?;
        let said = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
        ensure!(said.trim() == expected, "{options:?} {sudo:?}: {said} {output:?}");
        Ok(())
    };
    check(&[], None, "0 /kept")?;
    check(&["--user", "4711"], None, "4711 /kept")?;
    check(&[], Some("4711"), "4711 /kept")?;
    check(&["--user", "0"], Some("4711"), "0 /kept")?;
    let nobody = fs::read_to_string("/etc/passwd").unwrap_or_default().contains("nobody:x:65534:");
    if nobody {
        check(&["--user", "nobody"], None, "65534 /nonexistent")?;
    }
    let mut command = Command::new(binary());
    let status = command.args(["run", "--user", "no-such-user", "--", "true"]).status()?;
    ensure!(status.code() == Some(125), "{status:?}");
    Ok(())
}

fn missing_command() -> anyhow::Result<()> {
    let output = Command::new(binary()).args(["run", "--", "/no/such/command"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(127), "{:?}", output.status);
    ensure!(said.contains("there is no command \"/no/such/command\""), "{said}");
    // What another run wrote is not lost to one that never began.
    let folder = TempDir::new()?;
    let out = folder.path().join("out.jsonl");
    fs::write(&out, "kept")?;
    let mut command = Command::new(binary());
    command.args(["run", "--out"]).arg(&out).args(["--", "/no/such/command"]).output()?;
    ensure!(fs::read(&out)? == b"kept", "the file was emptied");
    let output = Command::new(binary()).args(["run", "--", "/etc/passwd"]).output()?;
    let named = String::from_utf8_lossy(&output.stderr).contains("/etc/passwd");
    // A machine without that file says so: that is 127 too.
    ensure!(named && matches!(output.status.code(), Some(126 | 127)), "{output:?}");
    Ok(())
}

fn picture() -> anyhow::Result<()> {
    let run = run_with(&[], &["sh", "-c", "/bin/true; /bin/true; exit 3"], |_| {})?;
    ensure!(run.stderr.starts_with("trace "), "{}", run.stderr);
    ensure!(run.stderr.contains("exit 3") && run.stderr.contains("3 processes"), "{}", run.stderr);
    ensure!(!run.stderr.contains('\u{1b}'), "colours though this is no terminal");
    let run = run_with(&["--color", "always"], &["sh", "-c", "exit 3"], |_| {})?;
    ensure!(run.stderr.contains('\u{1b}'), "no colours though they were asked for");
    let run = run_with(&["--quiet"], &["sh", "-c", "exit 3"], |_| {})?;
    ensure!(run.stderr.is_empty(), "{}", run.stderr);
    Ok(())
}

fn recordings() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("ring").to_string_lossy().into_owned();
    let run = run_with(&["--record", &path], &["sh", "-c", "/bin/true; exit 0"], |_| {})?;
    let recording = fs::read(&path)?;
    let (mut records, mut rest) = (0, &recording[..]);
    while let Some((len, more)) = rest.split_first_chunk::<4>() {
        rest = more.get(u32::from_le_bytes(*len) as usize..).context("a cut recording")?;
        records += 1;
    }
    ensure!(records == run.account()?.received, "{records} {}", run.stderr);
    Ok(())
}

fn probe_log() -> anyhow::Result<()> {
    let run = run_with(&["--probe-log"], &["sh", "-c", "/bin/true; exit 0"], |_| {})?;
    run.is_whole()?;
    for said in ["lynceus: probe: fork", "lynceus: probe: exec", "lynceus: probe: exit"] {
        ensure!(run.stderr.contains(said), "no {said:?} in {}", run.stderr);
    }
    let quiet = run_with(&[], &["sh", "-c", "exit 0"], |_| {})?;
    ensure!(!quiet.stderr.contains("probe:"), "{}", quiet.stderr);
    Ok(())
}

/// Window size, Ctrl-Z, `fg` and Ctrl-C in an interactive bash.
fn job_control() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (typist, job) = (folder.path().join("jobs.py"), folder.path().join("job.sh"));
    fs::write(&typist, include_str!("jobs.py"))?;
    let script = "trap 'stty size' WINCH; trap 'echo continued' CONT\n\
                  trap 'echo caught; exit 9' INT; echo the job runs\n\
                  while :; do sleep 0.1; done\n";
    fs::write(&job, script)?;
    let output = Command::new("python3").args([&typist, &binary(), &job]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// In a terminal of its own: the command sees it, its size, and what is typed: Ctrl-C ends the
/// command, not us.
fn terminal() -> anyhow::Result<()> {
    let inner =
        "stty size >/dev/null && trap \"echo caught; exit 9\" INT; echo ready; sleep 5 & wait";
    let folder = TempDir::new()?;
    let own = folder.path().join("inner.sh");
    fs::write(&own, inner)?;
    // `script` takes the shell of $SHELL, and dash stays between: Ctrl-C would end it as well.
    let command = format!("exec {} run -q -- sh {}", binary().display(), own.display());
    let mut child = Command::new("script")
        .env("SHELL", "/bin/sh")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no input")?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let mut said = Vec::new();
    while said.last().is_none_or(|line: &String| !line.contains("ready")) {
        said.push(lines.next().context("the command never became ready")??);
    }
    stdin.write_all(b"\x03")?;
    said.extend(lines.map_while(Result::ok));
    let status = child.wait()?;
    let caught = said.iter().any(|line| line.contains("caught"));
    ensure!(status.code() == Some(9) && caught, "{status:?} {said:?}");
    Ok(())
}
