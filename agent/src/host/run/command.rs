//! The command: started as if we were not there, waited for, and its end passed on.
#![expect(unsafe_code, reason = "std cannot set supplementary groups on its stable side")]

use std::{
    ffi::OsString,
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus},
    sync::Arc,
};

use nix::{
    sys::wait::{Id, WaitPidFlag, waitid},
    unistd::{Pid, setgid, setgroups, setuid},
};

use super::{
    signals::Forwarder,
    user::{self, Identity, UserError},
};
use crate::{
    correlate::Root,
    host::cli::RunOptions,
    propagation::{Context, Upstream},
};

#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("there is no command {0:?}")]
    NotFound(OsString),
    #[error("starting {command:?}")]
    Start {
        command: OsString,
        #[source]
        source: io::Error,
    },
}

impl StartError {
    /// As shells have it.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotFound(_) => ExitCode::from(127),
            Self::Start { .. } => ExitCode::from(126),
        }
    }
}

/// What to run, and as whom.
pub(super) struct CommandLine {
    program: OsString,
    command: Command,
}

impl CommandLine {
    pub(super) fn new(options: &RunOptions) -> Result<Self, UserError> {
        let program = options.command.first().cloned().unwrap_or_default();
        let mut command = Command::new(&program);
        command.args(options.command.iter().skip(1));
        if let Some(identity) = user::wanted(options.user.as_deref())? {
            become_user(&mut command, identity);
        }
        Ok(Self { program, command })
    }

    /// What the command is called, without its folder.
    pub(super) fn name(&self) -> String {
        let name = Path::new(&self.program).file_name().unwrap_or(&self.program);
        name.to_string_lossy().into_owned()
    }

    /// With a given span id for the root (`--propagate`) the command is told of it.
    pub(super) fn propagate(&mut self, root: &Root) {
        let Some(span_id) = root.span_id else { return };
        let context = match &root.above {
            Some(above) => Context { span_id, ..above.clone() },
            None => Context {
                trace_id: root.trace_id,
                span_id,
                upstream: Upstream::Open,
                trace_state: Arc::default(),
            },
        };
        self.command.env("TRACEPARENT", context.to_string());
    }

    pub(super) fn start(mut self, forwarder: &Forwarder) -> Result<Running, StartError> {
        let child = self.command.spawn().map_err(|source| {
            let command = self.program.clone();
            if source.kind() == io::ErrorKind::NotFound {
                StartError::NotFound(command)
            } else {
                StartError::Start { command, source }
            }
        })?;
        forwarder.forward_to(pid_of(&child));
        Ok(Running { child })
    }
}

fn become_user(command: &mut Command, identity: Identity) {
    command.envs(identity.variables);
    let (uid, gid, groups) = (identity.uid, identity.gid, identity.groups);
    let switch = move || {
        setgroups(&groups)?;
        setgid(gid)?;
        setuid(uid)?;
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec and makes three system calls on memory that
    // was allocated before; it takes no lock and allocates nothing.
    unsafe { command.pre_exec(switch) };
}

/// The command runs.
pub(super) struct Running {
    child: Child,
}

/// The command ended, or we lost sight of it.
pub(super) struct Ended(io::Result<ExitStatus>);

impl Running {
    /// Waits for the end. No signal is passed on any more once its process id is free.
    pub(super) fn wait(mut self, forwarder: &Forwarder) -> Ended {
        let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while let Err(nix::Error::EINTR) = waitid(Id::Pid(pid_of(&self.child)), ended) {}
        forwarder.command_ended();
        Ended(self.child.wait())
    }
}

impl Ended {
    /// The command's own, as a shell would say it.
    pub(super) fn exit_code(&self) -> ExitCode {
        let Ok(status) = &self.0 else { return ExitCode::FAILURE };
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or_default())
}
