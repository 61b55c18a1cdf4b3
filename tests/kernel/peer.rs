//! A program that starts and ends processes in every way that Linux knows.
#![expect(unsafe_code, reason = "the ways that std does not know are bare system calls")]

use std::{
    ffi::CString,
    fs,
    io::{self, Write as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use anyhow::Context as _;

use crate::{breaks, calls, failures, messages, moves, stage, talk, turns, uring};

/// The command line of this mode of the peer.
pub(crate) fn command(mode: &str, rest: &[&str]) -> Vec<String> {
    let own = std::env::current_exe().unwrap_or_default().to_string_lossy().into_owned();
    let mut command = vec![own, "--peer".to_owned(), mode.to_owned()];
    command.extend(rest.iter().map(|each| (*each).to_owned()));
    command
}

/// Whoever runs the tests may ignore signals (`nohup`, a shell's background jobs), and a shell cannot
/// trap what was ignored when it began.
pub(crate) fn default_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: sets a disposition of this process to the default.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The name that the peer's span has.
pub(crate) fn name() -> String {
    let own = std::env::current_exe().unwrap_or_default();
    own.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Writes a static program of 134 bytes that exits at once with `code`.
pub(crate) fn nothing(folder: &Path, code: u8) -> anyhow::Result<PathBuf> {
    let path = folder.join("nothing");
    fs::write(&path, elf(code)).context("writing a program")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// An ELF header, one program header that loads the file, and `exit(code)`.
fn elf(code: u8) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    let (machine, text): (u16, Vec<u8>) = if cfg!(target_arch = "aarch64") {
        let mov_x0 = 0xd280_0000_u32 | (u32::from(code) << 5);
        let words = [mov_x0, 0xd280_0ba8, 0xd400_0001];
        (183, words.iter().flat_map(|word| word.to_le_bytes()).collect())
    } else {
        (62, vec![0xbf, code, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05])
    };
    let size = 120 + text.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2, machine] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1_u32.to_le_bytes());
    for word in [BASE + 120, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1_u32.to_le_bytes());
    elf.extend(5_u32.to_le_bytes());
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(text);
    elf
}

pub(crate) fn main(mode: &str, rest: &[String]) -> ExitCode {
    match act(mode, rest) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("peer {mode}: {error}");
            ExitCode::from(99)
        }
    }
}

fn act(mode: &str, rest: &[String]) -> io::Result<u8> {
    let program = rest.last().map(String::as_str).unwrap_or_default();
    let number = || rest.first().and_then(|text| text.parse::<u32>().ok()).unwrap_or_default();
    match mode {
        "exit" => return Ok(u8::try_from(number()).unwrap_or(1)),
        "after-input" => {
            writeln!(io::stdout())?;
            io::stdin().read_line(&mut String::new())?;
            let arguments = rest.get(1..).unwrap_or_default();
            let command = rest.first().map(String::as_str).unwrap_or_default();
            return Err(Command::new(command).args(arguments).exec());
        }
        "moves" => {
            if let [address, receives @ ..] = rest {
                moves::main(address, receives)?;
            }
        }
        "calls" => calls::main()?,
        "messages" => messages::main()?,
        "uring" => uring::main()?,
        "uring-behind-a-call" => uring::behind_a_call()?,
        "connects" => failures::connects(program)?,
        "fast-open" => failures::sends_first()?,
        "breaks" => breaks::main()?,
        "apart" => {
            if let [network, program, arguments @ ..] = rest {
                failures::go_apart(network)?;
                return Err(Command::new(program).args(arguments).exec());
            }
        }
        "sleep" => thread::sleep(Duration::from_millis(u64::from(number()))),
        "print-env" => rest.iter().for_each(|name| {
            eprintln!("{name}={}", std::env::var_os(name).unwrap_or_default().to_string_lossy());
        }),
        "one-by-one" => (0..number()).try_for_each(|_| Command::new(program).status().map(drop))?,
        "all-at-once" => all_at_once(number(), program)?,
        "talk" => {
            talk::talk(number(), rest.get(1).and_then(|text| text.parse().ok()).unwrap_or(1))?
        }
        "stage" => stage::perform(rest)?,
        "serve" => stage::serve(rest)?,
        "turns" => {
            turns::of_programs(
                rest.first().map_or("", String::as_str),
                rest.get(1).map(|url| &**url),
            )?;
        }
        "turns-of-talk" => turns::of_talk()?,
        "write-nothing" => drop(nothing(Path::new(program), 0).map_err(io::Error::other)?),
        "forks" => forks(number()),
        "clone3" => clone3(program)?,
        "execveat" => execveat(program)?,
        "memfd" => memfd()?,
        "exec-from-thread" => exec_from_thread(program)?,
        "leader-ends-first" => leader_ends_first(),
        "daemon" => daemon(program)?,
        "silent-daemon" => silent_daemon(number())?,
        "pid-namespace" => return pid_namespace(program),
        "abort" => std::process::abort(),
        "signal" => kill_self(number()),
        "burn" => burn(number()),
        "io" => pipe_through(number())?,
        "eat" => eat(number()),
        _ => return Err(io::Error::other("unknown mode")),
    }
    Ok(0)
}

fn all_at_once(count: u32, program: &str) -> io::Result<()> {
    let mut children = Vec::new();
    for _ in 0..count {
        children.push(Command::new(program).spawn()?);
    }
    children.iter_mut().try_for_each(|child| child.wait().map(drop))
}

fn fork() -> i32 {
    // SAFETY: the peer has one thread here, and the child only makes system calls.
    unsafe { libc::fork() }
}

fn end(code: i32) -> ! {
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(code) }
}

fn wait_all() {
    // SAFETY: a null status is allowed.
    while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {}
}

fn forks(count: u32) {
    for nth in 0..count {
        match fork() {
            0 => end(0),
            // Too many at once: collect some.
            -1 => wait_all(),
            _ if nth % 256 == 255 => wait_all(),
            _ => {}
        }
    }
    wait_all();
}

fn exec(program: &str) -> io::Error {
    Command::new(program).exec()
}

fn clone3(program: &str) -> io::Result<()> {
    // struct clone_args of include/uapi/linux/sched.h, its first version: 64 bytes.
    let mut arguments = [0_u64; 8];
    arguments[4] = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM the child has a copy of this memory, as after fork.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_mut_ptr(), 64) };
    match pid {
        0 => {
            exec(program);
            end(98)
        }
        -1 => return Err(io::Error::last_os_error()),
        _ => wait_all(),
    }
    Ok(())
}

fn execute_descriptor(descriptor: i32, name: &str) -> io::Error {
    let (empty, name) = (CString::default(), CString::new(name).unwrap_or_default());
    let arguments = [name.as_ptr(), std::ptr::null()];
    let environment: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: all pointers are to NUL-terminated strings and null-terminated lists.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            descriptor,
            empty.as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

fn execveat(program: &str) -> io::Result<()> {
    let path = CString::new(program)?;
    // SAFETY: the path is a NUL-terminated string.
    let descriptor = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) };
    Err(execute_descriptor(descriptor, "by-descriptor"))
}

fn memfd() -> io::Result<()> {
    let name = CString::new("ghost")?;
    // SAFETY: the name is a NUL-terminated string.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), 0) };
    let program = elf(0);
    // SAFETY: the buffer is as long as said.
    let written = unsafe { libc::write(descriptor, program.as_ptr().cast(), program.len()) };
    if written < 0 {
        return Err(io::Error::last_os_error());
    }
    Err(execute_descriptor(descriptor, "ghost"))
}

fn exec_from_thread(program: &str) -> io::Result<()> {
    let program = program.to_owned();
    let other = thread::spawn(move || exec(&program));
    Err(other.join().unwrap_or_else(|_| io::Error::other("panicked")))
}

/// The leader ends; a thread lives on for 50 ms and then ends the process with 5.
fn leader_ends_first() {
    thread::spawn(|| {
        thread::sleep(Duration::from_millis(50));
        // SAFETY: ends the process.
        unsafe { libc::syscall(libc::SYS_exit_group, 5) };
    });
    // SAFETY: ends this thread only, which is the leader.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Double fork, new session, exec: outlives the peer.
fn daemon(program: &str) -> io::Result<()> {
    if fork() == 0 {
        // SAFETY: makes a system call.
        unsafe { libc::setsid() };
        if fork() == 0 {
            thread::sleep(Duration::from_millis(100));
            exec(program);
            end(98);
        }
        end(0);
    }
    wait_all();
    Ok(())
}

/// Like `daemon`, but never executes anything.
fn silent_daemon(millis: u32) -> io::Result<()> {
    if fork() == 0 {
        if fork() == 0 {
            thread::sleep(Duration::from_millis(u64::from(millis)));
            end(3);
        }
        end(0);
    }
    wait_all();
    Ok(())
}

fn pid_namespace(program: &str) -> io::Result<u8> {
    // SAFETY: makes a system call.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let status = Command::new(program).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn kill_self(signal: u32) {
    // SAFETY: sends a signal to this process.
    unsafe { libc::raise(i32::try_from(signal).unwrap_or(libc::SIGKILL)) };
}

/// Two threads that compute for so many milliseconds of their own CPU time each.
fn burn(millis: u32) {
    let work = move || {
        let cpu = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
        let until = Duration::from_millis(u64::from(millis));
        while cpu().is_ok_and(|time| Duration::from(time) < until) {}
    };
    let other = thread::spawn(work);
    work();
    let _joined = other.join();
}

/// Writes so many bytes to /dev/null and reads as many from /dev/zero.
fn pipe_through(bytes: u32) -> io::Result<()> {
    let mut zero = io::Read::take(fs::File::open("/dev/zero")?, u64::from(bytes));
    let mut null = fs::File::create("/dev/null")?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = io::Read::read(&mut zero, &mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        io::Write::write_all(&mut null, buffer.get(..read).unwrap_or_default())?;
    }
}

/// Touches so many mebibytes.
fn eat(mebibytes: u32) {
    let mut eaten = Vec::new();
    for _ in 0..mebibytes {
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
    drop(eaten);
}
