//! `cargo xtask vm`: the kernel tests on other kernels, each in a virtual machine of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

pub(crate) use self::boot::Choice;
use self::boot::{Boot, Ending, Part};
use self::initramfs::Programs;
use crate::arch::Arch;
use crate::clock::{self, Stopwatch};
use crate::executable::{self, Linking};
use crate::setup::{self, SERIES, Series};
use crate::test::count::{self, Counts};
use crate::{ebpf, paths, say};

mod boot;
mod cpio;
mod initramfs;

/// All tests take five to ten minutes under emulation, more on a busy machine; after this it hangs.
const LIMIT: Duration = Duration::from_secs(2700);

/// Runs the kernel tests on other kernels, in virtual machines.
///
/// Builds `lynceus` and the kernel tests statically, packs them with busybox into an initramfs and
/// boots it on packaged kernels in QEMU's software emulation. No root, no KVM, nothing installed;
/// sets up what is missing (see `cargo xtask setup`). The first build takes a few minutes, all
/// machines half an hour. The serial console of each is in target/vm/SERIES.log, or SERIES-ARCH.log.
/// Tests that need a program which busybox is not leave themselves out and say so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask vm\n  cargo xtask vm --kernel 5.10 -- exec_\n  \
    cargo xtask vm --arch arm64 --kernel 6.12 -- http_\n  \
    cargo xtask vm --kernel 6.12 --program ./static-program")]
pub(crate) struct Arguments {
    /// Only this series: 5.10, 6.1, 6.12 or newest; may be given several times.
    #[arg(long, value_name = "SERIES", value_parser = series)]
    kernel: Vec<Series>,

    /// The processor of the machines.
    #[arg(long, value_name = "ARCH", value_enum, default_value_t = Arch::OWN)]
    arch: Arch,

    /// Runs this static executable instead of the kernel tests.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// Passed on to the tests, for example the name of one.
    #[arg(last = true, value_name = "ARGUMENTS")]
    rest: Vec<String>,
}

fn series(name: &str) -> Result<Series, String> {
    let known = SERIES.map(|series| series.name).join(", ");
    SERIES
        .into_iter()
        .find(|series| series.name == name)
        .ok_or_else(|| format!("no such series of kernels; there are {known}"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let series =
        if arguments.kernel.is_empty() { SERIES.to_vec() } else { arguments.kernel.clone() };
    let counts = match &arguments.program {
        Some(program) => on(arguments.arch, &series, None, program, &arguments.rest, Choice::All)?,
        None => kernel_tests(arguments.arch, &series, &arguments.rest, Choice::All)?,
    };
    counts.again.iter().for_each(|said| say::result(&format!("tried again: {said}")));
    say::result(&counts.to_string());
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds everything and runs the kernel tests on each of the kernels.
pub(crate) fn kernel_tests(
    arch: Arch,
    series: &[Series],
    arguments: &[String],
    choice: Choice,
) -> Result<Counts> {
    // Before minutes of compilation: a system without Debian's packages cannot do this at all.
    setup::machine(arch)?;
    ebpf::build(arch)?;
    let lynceus = executable::lynceus(Linking::Static(arch))?;
    let tests = executable::test_program("kernel", Linking::Static(arch))?;
    on(arch, series, Some(&lynceus), &tests, arguments, choice)
}

/// Boots every kernel with the same initramfs, as many at a time as there are processors.
fn on(
    arch: Arch,
    series: &[Series],
    lynceus: Option<&Path>,
    tests: &Path,
    arguments: &[String],
    choice: Choice,
) -> Result<Counts> {
    let directory = paths::target().join("vm");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let initramfs = directory.join(format!("initramfs{}.cpio", arch.suffix()));
    let busybox = setup::busybox(arch)?;
    let machine = setup::machine(arch)?;
    let kernels = series.iter().map(|series| setup::kernel(*series, arch));
    let kernels = kernels.collect::<Result<Vec<_>>>()?;
    initramfs::write(&Programs { busybox: &busybox, lynceus, tests }, arguments, &initramfs)?;
    let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // The newest first: it takes the longest. Only all tests are shared out.
    let is_all = lynceus.is_some() && arguments.is_empty();
    let machines = |series: &Series| if is_all { series.machines } else { 1 };
    let each = series.iter().zip(&kernels);
    let each = each.flat_map(|(series, kernel)| {
        Part::all(machines(series)).map(move |part| (series, kernel, part))
    });
    let waiting: Mutex<Vec<_>> = Mutex::new(each.collect());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        let mut counts = Counts::default();
        while let Some((series, kernel, part)) = next() {
            let name = format!("{}{}{}", series.name, arch.suffix(), part.suffix());
            let log = directory.join(format!("{name}.log"));
            let name = format!("kernel {name} ({})", kernel.version);
            let (machine, initramfs) = (&machine, &*initramfs);
            let boot = Boot { machine, kernel, initramfs, limit: LIMIT, part, choice };
            counts = counts
                + to_verdict(&name, &boot, &log).unwrap_or_else(|error| {
                    say::error(&error);
                    Counts::one_failed(&format!("{name}: {error:#}"))
                });
        }
        counts
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.map(|counts| counts.or(Err(anyhow!("a boot panicked")))).sum()
    })
}

/// One kernel from boot to verdict. The emulator may fail before user space starts: that boot is
/// repeated once, and said.
fn to_verdict(name: &str, boot: &Boot<'_>, log: &Path) -> Result<Counts> {
    let watch = Stopwatch::start();
    let mut ending = boot.run(log)?;
    if ending == Ending::NotStarted {
        say::note(&format!("{name} did not reach user space; booting it once more"));
        ending = boot.run(log)?;
    }
    let console = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
    let console = String::from_utf8_lossy(&console);
    let counts = Counts::read(&console).of_kernel(name);
    let took = clock::human(watch.elapsed());
    let skipped: Vec<&str> = count::skipped(&console).collect();
    if !skipped.is_empty() {
        say::note(&format!("{name}: skipped {}", skipped.join("; ")));
    }
    let what = match ending {
        Ending::Verdict(0) => {
            say::note(&format!("{name}: {counts} ({took})"));
            // A program that is no libtest counts as one test.
            let empty = counts == Counts::default();
            return Ok(if empty { Counts::ONE_PASSED } else { counts });
        }
        Ending::Verdict(code) => format!("exit code {code}, {counts}"),
        Ending::NotStarted => "did not reach user space, twice".to_owned(),
        Ending::Died => "died before the tests ended".to_owned(),
        Ending::TimedOut => format!("did not end within {} s", LIMIT.as_secs()),
    };
    say::note(&format!("{name}: FAILED: {what} ({took})"));
    count::show_failures(&console, log)?;
    ensure!(counts.failed > 0, "{name} {what}");
    Ok(counts)
}
