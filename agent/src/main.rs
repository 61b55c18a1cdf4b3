//! The binary `lynceus`: reads the command line and hands over.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use agent::host::{self, cli::Cli, cli::Role, doctor, run, say, settings};
use clap::Parser as _;

/// As clap's, where an option is wrong.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let line = match settings::command_line(env::args_os().collect(), |name| env::var_os(name)) {
        Ok(line) => line,
        Err(error) => {
            say::line(say::chain(&error));
            return ExitCode::from(WRONG_USE);
        }
    };
    match Cli::parse_from(&line).role {
        Role::Run(options) => run::main(&options),
        Role::Agent(options) if options.config_schema => {
            show(&format!("{:#}\n", settings::schema()))
        }
        Role::Agent(options) if options.check_config => {
            let wrong = host::agent::check(&options, env::vars_os());
            wrong.iter().for_each(say::line);
            match wrong.is_empty() {
                true => show(&settings::effective(&line).unwrap_or_default()),
                false => ExitCode::from(WRONG_USE),
            }
        }
        Role::Agent(options) => {
            // They may be another program's: no reason not to trace.
            for error in settings::unknown(env::vars_os()) {
                say::line(format_args!("ignored: {error}"));
            }
            host::agent::main(&options)
        }
        Role::Doctor(options) => doctor::main(options),
    }
}

fn show(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_nobody_reads) => ExitCode::FAILURE,
    }
}
