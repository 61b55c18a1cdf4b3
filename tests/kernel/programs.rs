//! Programs that nobody here wrote: the exact tree, how each ended, and nothing lost.

use std::{fs, path::Path, process::Command};

use agent_tests::{
    lynceus::{Run, check, run_with},
    need::trial,
    tree,
};
use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("bash_pipeline", &["bash", "seq", "grep", "cat"], bash_pipeline),
        trial("make_in_parallel", &["make", "sh", "false"], make),
        trial("xargs_in_parallel", &["bash", "xargs", "seq", "expr"], xargs),
        trial("git_clone", &["git"], git),
        trial("python_subprocess", &["python3"], python_subprocess),
        trial("python_multiprocessing", &["python3"], python_multiprocessing),
        trial("node_child_process", &["node"], node),
        trial("go_program", &["go"], go),
        trial("java_process_builder", &["java"], java),
        trial("curl_fails_as_it_does", &["curl"], curl),
    ]
}

fn bash_pipeline() -> anyhow::Result<()> {
    let script = "seq 5 | grep 3 | cat; (exit 4); ls /nonexistent 2>/dev/null; exit 6";
    let run = check(&["bash", "-c", script], "bash!6(cat grep ls!2 seq)")?;
    ensure!(run.output.stdout == b"3\n");
    // The subshell never executed anything: it is an event of its owner.
    let bash = run.span("bash")?;
    ensure!(bash.int("lynceus.process.forks") == Some(1), "{bash:?}");
    let event = bash.events().into_iter().find(|event| event.name() == "process.fork.exit");
    ensure!(event.and_then(|event| event.int("process.exit.code")) == Some(4));
    Ok(())
}

fn make() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let rules = "all: a b c\na b:\n\t@sleep 0.05\nc:\n\t@false || exit 3\n";
    fs::write(folder.path().join("Makefile"), rules)?;
    let path = folder.path().to_string_lossy().into_owned();
    let run = run_with(&[], &["make", "-k", "-j3", "-C", &path], |_| {})?;
    run.is_whole()?;
    // make runs simple lines itself and the others by /bin/sh; `false` is built into most shells.
    let found = tree::of(&run.spans);
    ensure!(found == "make!2(sh!3 sleep*2)", "{found}");
    Ok(())
}

fn xargs() -> anyhow::Result<()> {
    let script = "seq 12 | xargs -P 4 -n 1 expr 1 -";
    let run = check(&["bash", "-c", script], "bash!123(seq xargs!123(expr*11 expr!1))")?;
    ensure!(run.code() == Some(123));
    Ok(())
}

fn git() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let git = |arguments: &[&str]| -> anyhow::Result<()> {
        let status = Command::new("git").args(arguments).current_dir(folder.path()).status()?;
        ensure!(status.success(), "git {arguments:?}");
        Ok(())
    };
    git(&["init", "-q", "from"])?;
    let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
    let path = from.to_string_lossy().into_owned();
    git(&[&["-C", &path][..], &who, &["commit", "-q", "--allow-empty", "-m", "x"]].concat())?;
    let url = format!("file://{path}");
    let command = ["git", "clone", "-q", &url, &to.to_string_lossy()];
    let run = run_with(&[], &command, |lynceus| {
        lynceus.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder.path());
    })?;
    run.is_whole()?;
    let subcommand = |span: &tree::Span| {
        span.strings("process.command_args").get(1).cloned().unwrap_or_default()
    };
    let mut subcommands: Vec<String> = run.spans.iter().map(subcommand).collect();
    subcommands.sort();
    let has = |wanted: &str| subcommands.iter().any(|each| each == wanted);
    ensure!(has("clone") && has("index-pack") && has("rev-list"), "{subcommands:?}");
    ensure!(tree::of(&run.spans).starts_with("git("), "{}", tree::of(&run.spans));
    ensure!(!tree::of(&run.spans).contains('!'), "{}", tree::of(&run.spans));
    Ok(())
}

/// The interpreter itself: what is called python3 may be a script that looks for it.
fn python() -> anyhow::Result<String> {
    let script = "import os,sys;print(os.path.realpath(sys.executable))";
    let output = Command::new("python3").args(["-c", script]).output()?;
    let path = String::from_utf8(output.stdout)?.trim().to_owned();
    ensure!(Path::new(&path).is_file(), "no interpreter at {path:?}");
    Ok(path)
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn python_subprocess() -> anyhow::Result<()> {
    let python = python()?;
    let script = "import subprocess as s\n\
                  s.run(['ls','/'],stdout=s.DEVNULL)\n\
                  s.run('exit 3',shell=True)\n\
                  p=s.Popen(['sleep','9']);p.kill();p.wait()\n";
    let run = run_with(&[], &[&python, "-c", script], |_| {})?;
    run.is_whole()?;
    let found = tree::of(&run.spans);
    ensure!(found == format!("{}(ls sh!3 sleep!SIGKILL)", base(&python)), "{found}");
    Ok(())
}

fn python_multiprocessing() -> anyhow::Result<()> {
    let python = python()?;
    let script = "import multiprocessing as m,os,subprocess\n\
                  def work(n):\n \
                  subprocess.run(['true']) if n==1 else None\n \
                  os._exit(n)\n\
                  m.set_start_method('fork')\n\
                  ps=[m.Process(target=work,args=(n,)) for n in range(4)]\n\
                  [p.start() for p in ps];[p.join() for p in ps]\n";
    // The workers never execute anything: what they start belongs to the interpreter.
    let run = check(&[&*python, "-c", script], &format!("{}(true)", base(&python)))?;
    let owner = run.span(base(&python))?;
    ensure!(owner.int("lynceus.process.forks") == Some(4), "{owner:?}");
    let mut codes: Vec<_> =
        owner.events().iter().filter_map(|event| event.int("process.exit.code")).collect();
    codes.sort_unstable();
    ensure!(codes == [1, 2, 3], "{codes:?}");
    Ok(())
}

fn node() -> anyhow::Result<()> {
    let script = "const c=require('child_process');\
                  c.execFileSync('ls',['/']);\
                  c.spawnSync('sh',['-c','exit 5']);\
                  c.spawn('sleep',['9']).kill('SIGTERM');";
    let run = run_with(&[], &["node", "-e", script], |_| {})?;
    run.is_whole()?;
    let found = tree::of(&run.spans);
    ensure!(found == "node(ls sh!5 sleep!SIGTERM)", "{found}");
    Ok(())
}

fn go() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let source = "package main\nimport \"os/exec\"\nfunc main() {\n\
                  done := make(chan error)\n\
                  for i := 0; i < 8; i++ { go func() { done <- exec.Command(\"false\").Run() }() }\n\
                  for i := 0; i < 8; i++ { <-done }\n}\n";
    fs::write(folder.path().join("main.go"), source)?;
    let program = folder.path().join("spawner");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg("main.go")
        .current_dir(folder.path())
        .env("GOFLAGS", "-mod=mod")
        .env("CGO_ENABLED", "0")
        .output()?;
    ensure!(built.status.success(), "{built:?}");
    check(&[&program], "spawner(false!1*8)").map(drop)
}

fn java() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let source = "public class Spawner { public static void main(String[] a) throws Exception {\n\
                  new ProcessBuilder(\"ls\", \"/\").start().waitFor();\n\
                  new ProcessBuilder(\"sh\", \"-c\", \"exit 7\").start().waitFor();\n\
                  System.out.println(ProcessHandle.current().info().totalCpuDuration()\n\
                  .get().toNanos());\n} }\n";
    let path = folder.path().join("Spawner.java");
    fs::write(&path, source)?;
    let run = run_with(&[], &["java", &path.to_string_lossy()], |_| {})?;
    run.is_whole()?;
    // The JVM starts children through a helper of its own, which executes them: one process each.
    let found = tree::of(&run.spans);
    ensure!(found == "java(ls sh!7)", "{found}");
    threads_are_booked(&run)
}

/// A JVM has dozens of threads that all end at once: none of their time is lost.
fn threads_are_booked(run: &Run) -> anyhow::Result<()> {
    let java = run.span("java")?;
    let part = |key: &str| java.int(key).unwrap_or_default();
    let cpu = part("lynceus.process.cpu.user_ns") + part("lynceus.process.cpu.system_ns");
    let printed = String::from_utf8_lossy(&run.output.stdout).into_owned();
    let before_its_end: i64 = printed.trim().parse().context("java printed no CPU time")?;
    ensure!(cpu >= before_its_end && before_its_end > 0, "{cpu} ns, java saw {before_its_end}");
    Ok(())
}

fn curl() -> anyhow::Result<()> {
    // Port 1 of loopback: nobody listens.
    let command = ["curl", "-s", "-u", "me:hunter2", "http://127.0.0.1:1/?token=hunter2"];
    let run = run_with(&["--capture", "off"], &command, |_| {})?;
    run.is_whole()?;
    ensure!(tree::of(&run.spans) == "curl!7", "{}", tree::of(&run.spans));
    let written = run.span("curl")?.0.to_string();
    ensure!(!written.contains("hunter2"), "{written}");
    Ok(())
}
