//! One program of the object, attached and detached.

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint},
};

use super::load::LoadError;

/// Detaches a program, attached or not.
pub(super) fn unload(program: &mut Program) -> Result<(), LoadError> {
    let result = if let Program::BtfTracePoint(program) = program {
        program.unload()
    } else if let Program::RawTracePoint(program) = program {
        program.unload()
    } else if let Program::FExit(program) = program {
        program.unload()
    } else if let Program::FEntry(program) = program {
        program.unload()
    } else if let Program::KProbe(program) = program {
        program.unload()
    } else {
        Ok(())
    };
    match result {
        Ok(()) | Err(ProgramError::NotLoaded) => Ok(()),
        Err(error) => Err(LoadError::Detach(error)),
    }
}

/// What a program is attached as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attached {
    /// `tp_btf`.
    Tracepoint,
    /// fexit.
    Function,
    /// fentry.
    FunctionEntry,
    /// At the beginning or the end, as the object says.
    Kprobe,
}

/// Loads and attaches one program. The kernel's type information is read when it is first needed.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    program: &str,
    attached: Attached,
    target: &str,
    btf: &mut Option<Btf>,
) -> Result<(), ProgramError> {
    let program = ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?;
    if attached == Attached::Kprobe {
        let program: &mut KProbe = program.try_into()?;
        if program.fd().is_err() {
            program.load()?;
        }
        return program.attach(target, 0).map(drop);
    }
    let btf = match btf {
        Some(btf) => btf,
        None => btf.insert(Btf::from_sys_fs()?),
    };
    if attached == Attached::Function {
        let program: &mut FExit = program.try_into()?;
        program.load(target, btf)?;
        return program.attach().map(drop);
    }
    if attached == Attached::FunctionEntry {
        let program: &mut FEntry = program.try_into()?;
        program.load(target, btf)?;
        return program.attach().map(drop);
    }
    let program: &mut BtfTracePoint = program.try_into()?;
    program.load(target, btf)?;
    program.attach().map(drop)
}

pub(super) fn attach_raw(
    ebpf: &mut Ebpf,
    program: &str,
    tracepoint: &str,
) -> Result<(), ProgramError> {
    let program: &mut RawTracePoint =
        ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    program.attach(tracepoint).map(drop)
}
