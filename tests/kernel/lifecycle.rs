//! Every way to start and to end a process leaves exactly its span.

use agent_tests::{
    lynceus::{Run, check, run_with},
    need::trial,
    tree,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::peer;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("spawn_is_a_child", &[], spawn_is_a_child),
        trial("clone3_is_a_child", &[], clone3_is_a_child),
        trial("execveat_is_named_by_the_file", &[], execveat_is_named_by_the_file),
        trial("memfd_is_named_by_its_name", &[], memfd_is_named_by_its_name),
        trial("exec_from_a_thread_is_the_same_process", &[], exec_from_a_thread),
        trial("leader_may_end_first", &[], leader_may_end_first),
        trial("daemon_outlives_its_parent", &[], daemon_outlives_its_parent),
        trial("without_wait_a_daemon_is_unfinished", &[], without_wait_unfinished),
        trial("fork_that_outlives_its_owner_has_a_span", &[], silent_daemon),
        trial("fork_that_still_runs_at_the_end_says_so", &[], silent_daemon_is_left),
        trial("new_pid_namespace_is_followed", &[], new_pid_namespace),
        trial("script_is_named_by_its_interpreter", &["sh"], script),
        trial("chain_of_execs_is_one_span", &["sh"], chain),
        trial("forks_belong_to_their_owner", &[], forks),
        trial("signals_and_cores_are_told", &[], signals),
        trial("long_arguments_and_environment_come_in_parts", &[], long_arguments),
        trial("paths_and_directory_are_true", &[], paths),
        trial("raw_tracepoints_see_the_same", &[], raw_tracepoints),
    ]
}

/// Runs a mode of the peer on a program that exits at once with `code`; `PEER` in what is expected
/// stands for the peer's own name.
fn of_peer(mode: &str, code: u8, expected: &str) -> anyhow::Result<Run> {
    let folder = TempDir::new()?;
    let nothing = peer::nothing(folder.path(), code)?;
    let command = peer::command(mode, &["1", &nothing.to_string_lossy()]);
    check(&command, &expected.replace("PEER", &peer::name()))
}

fn spawn_is_a_child() -> anyhow::Result<()> {
    of_peer("one-by-one", 7, "PEER(nothing!7)").map(drop)
}

fn clone3_is_a_child() -> anyhow::Result<()> {
    of_peer("clone3", 0, "PEER(nothing)").map(drop)
}

fn execveat_is_named_by_the_file() -> anyhow::Result<()> {
    let run = of_peer("execveat", 4, "nothing!4")?;
    let span = run.span("nothing")?;
    ensure!(span.strings("process.command_args") == ["by-descriptor"], "{span:?}");
    ensure!(run.code() == Some(4));
    Ok(())
}

fn memfd_is_named_by_its_name() -> anyhow::Result<()> {
    of_peer("memfd", 0, "memfd:ghost").map(drop)
}

fn exec_from_a_thread() -> anyhow::Result<()> {
    let run = of_peer("exec-from-thread", 0, "nothing")?;
    ensure!(run.span("nothing")?.events().len() == 2, "both programs are events");
    Ok(())
}

fn leader_may_end_first() -> anyhow::Result<()> {
    let run = of_peer("leader-ends-first", 0, "PEER!5")?;
    let lived = run.span(&peer::name())?.duration_ns();
    ensure!(lived >= 50_000_000, "ended with its leader, after {lived} ns");
    Ok(())
}

fn daemon_outlives_its_parent() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let nothing = peer::nothing(folder.path(), 6)?;
    let command = peer::command("daemon", &[&nothing.to_string_lossy()]);
    let run = run_with(&["--wait"], &command, |_| {})?;
    run.is_whole()?;
    let found = tree::of(&run.spans);
    ensure!(found == format!("{}(nothing!6)", peer::name()), "{found}");
    let (peer, daemon) = (run.span(&peer::name())?, run.span("nothing")?);
    ensure!(daemon.number("startTimeUnixNano") > peer.number("endTimeUnixNano"));
    Ok(())
}

fn without_wait_unfinished() -> anyhow::Result<()> {
    let command = ["sh", "-c", "sleep 3 & sleep 1"];
    let run = run_with(&[], &command, |_| {})?;
    run.is_whole()?;
    let left: Vec<_> =
        run.spans.iter().filter_map(|span| span.string("lynceus.process.unfinished")).collect();
    ensure!(left.len() == 1, "{} {}", tree::of(&run.spans), run.stderr);
    Ok(())
}

fn silent_daemon() -> anyhow::Result<()> {
    let run = run_with(&["--wait"], &peer::command("silent-daemon", &["100"]), |_| {})?;
    run.is_whole()?;
    let forked = run.spans.iter().find(|span| span.is_true("lynceus.process.forked"));
    let forked = forked.context("no span of the fork")?;
    ensure!(forked.int("process.exit.code") == Some(3), "{forked:?}");
    ensure!(forked.duration_ns() >= 100_000_000, "{forked:?}");
    Ok(())
}

fn silent_daemon_is_left() -> anyhow::Result<()> {
    let run = run_with(&[], &peer::command("silent-daemon", &["1500"]), |_| {})?;
    run.is_whole()?;
    let forked = run.spans.iter().find(|span| span.is_true("lynceus.process.forked"));
    let forked = forked.context("no span of the fork")?;
    ensure!(forked.string("lynceus.process.unfinished").is_some(), "{forked:?}");
    ensure!(run.spans.len() == 2, "{}", tree::of(&run.spans));
    Ok(())
}

fn new_pid_namespace() -> anyhow::Result<()> {
    let run = of_peer("pid-namespace", 3, "PEER!3(nothing!3)")?;
    ensure!(run.span("nothing")?.int("process.vpid") == Some(1), "{:?}", run.spans);
    Ok(())
}

fn script() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new()?;
    let path = folder.path().join("script");
    std::fs::write(&path, "#!/bin/sh\nexit 9\n")?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    let run = run_with(&[], &[&path], |_| {})?;
    run.is_whole()?;
    let [span] = &run.spans[..] else { anyhow::bail!("{}", tree::of(&run.spans)) };
    let args = span.strings("process.command_args");
    ensure!(args == ["/bin/sh".to_owned(), path.to_string_lossy().into_owned()], "{args:?}");
    ensure!(run.code() == Some(9));
    Ok(())
}

fn chain() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let nothing = peer::nothing(folder.path(), 0)?.to_string_lossy().into_owned();
    let script = format!("exec sh -c 'exec {nothing}'");
    let run = check(&["sh", "-c", &script], "nothing")?;
    let events = run.span("nothing")?.events();
    ensure!(events.len() == 3, "{events:?}");
    ensure!(events.iter().all(|event| event.name() == "process.exec"), "{events:?}");
    Ok(())
}

fn forks() -> anyhow::Result<()> {
    let run = check(&peer::command("forks", &["300"]), &peer::name())?;
    let forks = run.span(&peer::name())?.int("lynceus.process.forks").unwrap_or_default();
    let missed = i64::try_from(run.missed())?;
    ensure!(forks <= 300 && forks + missed >= 300, "{forks} of 300: {}", run.stderr);
    Ok(())
}

fn signals() -> anyhow::Result<()> {
    for (mode, argument, name, code) in [
        ("signal", "9", "SIGKILL", 137),
        ("signal", "15", "SIGTERM", 143),
        ("abort", "", "SIGABRT", 134),
    ] {
        let expected = format!("{}!{name}", peer::name());
        let run = check(&peer::command(mode, &[argument]), &expected)?;
        ensure!(run.code() == Some(code), "{:?}", run.output.status);
        ensure!(run.span(&peer::name())?.int("process.exit.code") == Some(i64::from(code)));
    }
    Ok(())
}

fn long_arguments() -> anyhow::Result<()> {
    // One argument of 20 000 bytes travels in two parts, one of 100 000 bytes is cut.
    for bytes in [20_000, 100_000] {
        let kept = 24 * 1024;
        let long = "x".repeat(bytes);
        let command = peer::command("exit", &["0", &long]);
        let mut variables = vec![("LONG_1".to_owned(), "y".repeat(60_000))];
        variables.push(("STAGE".to_owned(), "seen".to_owned()));
        let run = run_with(&["--env-attribute", "STAGE"], &command, |lynceus| {
            lynceus.env_clear().envs(variables);
        })?;
        run.is_whole()?;
        let span = run.span(&peer::name())?;
        let args = span.strings("process.command_args").join("\0");
        let whole = command.join("\0");
        ensure!(whole.starts_with(&args), "other arguments than were given");
        // The last NUL is cut off first.
        let cut = usize::try_from(span.int("lynceus.process.cut_bytes").unwrap_or_default())?;
        ensure!(cut == (whole.len() + 1).saturating_sub(kept), "{cut} of {} bytes", whole.len());
        ensure!(args.len() == whole.len().min(kept), "{} of {} bytes", args.len(), whole.len());
        let stage = span.string("process.environment_variable.STAGE");
        ensure!(stage.as_deref() == Some("seen"), "{stage:?}");
    }
    Ok(())
}

fn paths() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let real = folder.path().canonicalize()?;
    let nothing = peer::nothing(&real, 0)?;
    let link = real.join("link");
    std::os::unix::fs::symlink(&nothing, &link)?;
    let run = run_with(&[], &[&link], |lynceus| {
        lynceus.current_dir(&real);
    })?;
    let span = run.span("nothing")?;
    let path = span.string("process.executable.path");
    ensure!(path.as_deref() == nothing.to_str(), "{path:?}");
    let directory = span.string("process.working_directory");
    ensure!(directory.as_deref() == real.to_str(), "{directory:?}");
    Ok(())
}

fn raw_tracepoints() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let nothing = peer::nothing(folder.path(), 2)?;
    let command = peer::command("one-by-one", &["5", &nothing.to_string_lossy()]);
    for how in ["tp-btf", "raw-tracepoint"] {
        let run = run_with(&["--attach", how], &command, |_| {})?;
        run.is_whole()?;
        let found = tree::of(&run.spans);
        ensure!(found == format!("{}(nothing!2*5)", peer::name()), "{how}: {found}");
    }
    Ok(())
}
