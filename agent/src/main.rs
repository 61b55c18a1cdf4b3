//! The binary `lynceus`: reads the command line and hands over.

use std::process::ExitCode;

use agent::host::{self, cli::Cli, cli::Role, doctor, run};
use clap::Parser as _;

fn main() -> ExitCode {
    match Cli::parse().role {
        Role::Run(options) => run::main(&options),
        Role::Agent(options) => host::agent::main(&options),
        Role::Doctor(options) => doctor::main(options),
    }
}
