//! One program of the object, attached and detached.

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, Program, ProgramError, RawTracePoint},
};

use super::load::LoadError;

/// Detaches a program, attached or not.
pub(super) fn unload(program: &mut Program) -> Result<(), LoadError> {
    let result = if let Program::BtfTracePoint(program) = program {
        program.unload()
    } else if let Program::RawTracePoint(program) = program {
        program.unload()
    } else {
        Ok(())
    };
    match result {
        Ok(()) | Err(ProgramError::NotLoaded) => Ok(()),
        Err(error) => Err(LoadError::Detach(error)),
    }
}

pub(super) fn attach_btf(
    ebpf: &mut Ebpf,
    program: &str,
    tracepoint: &str,
    btf: &mut Option<Btf>,
) -> Result<(), ProgramError> {
    let btf = match btf {
        Some(btf) => btf,
        None => btf.insert(Btf::from_sys_fs()?),
    };
    let program: &mut BtfTracePoint =
        ebpf.program_mut(program).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load(tracepoint, btf)?;
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
