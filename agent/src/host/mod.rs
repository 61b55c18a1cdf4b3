//! The world: everything with a file descriptor. One module a role (`run`, `doctor`), and what
//! roles share. Threads and channels are created in a role's own file, where their end is awaited.

pub mod agent;
mod attach;
pub mod capture;
pub mod cgroups;
pub mod cli;
pub mod doctor;
pub mod run;

pub mod clocks;
pub mod config;
mod deliver;
pub mod endpoint;
pub mod export;
mod fault;
mod kcall;
pub mod kept;
pub mod load;
pub mod machine;
pub mod memory;
pub mod metric;
mod object;
pub mod offset;
pub mod outfile;
mod pin;
mod policy;
mod progress;
pub mod ring;
pub mod say;
pub mod settings;
pub mod state;
pub mod sweep;
