//! One program of the object, attached and detached.

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint},
};

use super::{load::LoadError, pin::Links};

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

/// What attaching works on.
pub(super) struct Tools<'a> {
    pub(super) ebpf: &'a mut Ebpf,
    /// The kernel's type information: read when it is first needed.
    pub(super) btf: &'a mut Option<Btf>,
    /// Where links are to outlive their programs.
    pub(super) links: Option<&'a mut Links>,
}

impl Tools<'_> {
    /// Loads and attaches one program.
    pub(super) fn attach(
        &mut self,
        name: &str,
        attached: Attached,
        target: &str,
    ) -> Result<(), ProgramError> {
        let program = self.ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
        if attached == Attached::Kprobe {
            let program: &mut KProbe = program.try_into()?;
            if program.fd().is_err() {
                program.load()?;
            }
            let id = program.attach(target, 0)?;
            if let Some(links) = &mut self.links {
                links.take(name, target, program.take_link(id)?);
            }
            return Ok(());
        }
        let btf = match self.btf {
            Some(btf) => btf,
            None => self.btf.insert(Btf::from_sys_fs()?),
        };
        // Each kind has types of its own for the same three steps.
        macro_rules! attach {
            ($kind:ty) => {{
                let program: &mut $kind = program.try_into()?;
                program.load(target, btf)?;
                let id = program.attach()?;
                if let Some(links) = &mut self.links {
                    links.take(name, target, program.take_link(id)?);
                }
            }};
        }
        match attached {
            Attached::Function => attach!(FExit),
            Attached::FunctionEntry => attach!(FEntry),
            Attached::Tracepoint | Attached::Kprobe => attach!(BtfTracePoint),
        }
        Ok(())
    }

    pub(super) fn attach_raw(&mut self, name: &str, tracepoint: &str) -> Result<(), ProgramError> {
        let program: &mut RawTracePoint =
            self.ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
        program.load()?;
        let id = program.attach(tracepoint)?;
        if let Some(links) = &mut self.links {
            links.take(name, tracepoint, program.take_link(id)?);
        }
        Ok(())
    }
}
