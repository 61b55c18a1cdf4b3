//! `cargo xtask`: everything around the code that cargo alone cannot do.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod apt;
mod arch;
mod bench;
mod cache;
mod clock;
mod cluster;
mod command;
mod demo;
mod ebpf;
mod executable;
mod fuzz;
mod image;
mod missing;
mod paths;
mod privilege;
mod say;
mod setup;
mod test;
mod tidy;
mod vm;

/// Everything around the code that cargo alone cannot do.
///
/// From a fresh clone, `cargo xtask test` is the only command you need: it fetches and builds the
/// tools (into a cache outside the repository), builds, and tests at every level this machine
/// allows. The other commands are its parts, for when you want only one of them.
///
/// Tools and kernels are kept in $LYNCEUS_CACHE, else $XDG_CACHE_HOME/lynceus, else
/// ~/.cache/lynceus; deleting that directory is always safe. The output of what we call goes to
/// target/xtask/*.log, and its tail is shown when something fails.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Arguments),
    Ebpf(ebpf::Arguments),
    Test(test::Arguments),
    Vm(vm::Arguments),
    Demo(demo::Arguments),
    Bench(bench::Arguments),
    Fuzz(fuzz::Arguments),
    Image(image::Arguments),
    Cluster(cluster::Arguments),
    Tidy(tidy::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Ebpf(arguments) => ebpf::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Vm(arguments) => vm::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Image(arguments) => image::run(&arguments),
        Command::Cluster(arguments) => cluster::run(&arguments),
        Command::Tidy(arguments) => tidy::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}
