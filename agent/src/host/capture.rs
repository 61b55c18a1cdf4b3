//! The programs that see requests: three families that end in one body of code, of which one is
//! attached.

use super::{
    attach::{Attached, unload},
    load::{LoadError, Probes},
};

/// What tells what is moved over sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// `sock_send_length` and `sock_recv_length`, Linux 6.3.
    Tracepoint,
    /// fexit on `tcp_sendmsg` and `tcp_recvmsg`.
    Fentry,
    /// kprobes there.
    Kprobe,
}

/// How requests are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// By the best that the kernel takes and that misses nothing there.
    Auto,
    Only(Backend),
}

/// (program, what it is, what it is attached to).
type Program = (&'static str, Attached, &'static str);

/// For every family: connections open and close.
const STATE: Program = ("state", Attached::Tracepoint, "inet_sock_set_state");

/// What sendfile and splice end in before Linux 6.5; later it is `tcp_sendmsg`.
const SENDPAGE: &str = "tcp_sendpage";
/// Likewise, and `unix_stream_sendmsg`.
const UNIX_SENDPAGE: &str = "unix_stream_sendpage";

/// A UNIX socket is closed, where the kernel takes fentry.
const RELEASED: Program = ("released_fentry", Attached::FunctionEntry, "unix_release");
const RELEASED_BY_KPROBE: Program = ("released_kprobe", Attached::Kprobe, "unix_release");

/// Those of kprobes that are the same on every kernel.
const IN_ONE_FORM: [&str; 3] = ["released_kprobe", "sends_unix_kprobe", "receives_unix_kprobe"];

impl Backend {
    /// The cheapest first: fexit is met by TCP alone, the tracepoints by every socket.
    pub const ALL: [Self; 3] = [Self::Fentry, Self::Tracepoint, Self::Kprobe];

    pub fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
        }
    }

    /// What UNIX sockets need beside that: the first of these sets that attaches.
    fn unix_programs(self) -> &'static [&'static [Program]] {
        match self {
            // Those of TCP see them as well, but not the end of a connection.
            Self::Tracepoint => &[&[RELEASED], &[RELEASED_BY_KPROBE]],
            Self::Fentry => &[&[
                ("sent_unix_fexit", Attached::Function, "unix_stream_sendmsg"),
                ("sent_page_unix_fexit", Attached::Function, UNIX_SENDPAGE),
                ("received_unix_fexit", Attached::Function, "unix_stream_recvmsg"),
                RELEASED,
            ]],
            Self::Kprobe => &[&[
                ("sends_unix_kprobe", Attached::Kprobe, "unix_stream_sendmsg"),
                ("sent_kprobe", Attached::Kprobe, "unix_stream_sendmsg"),
                ("sends_unix_kprobe", Attached::Kprobe, UNIX_SENDPAGE),
                ("sent_kprobe", Attached::Kprobe, UNIX_SENDPAGE),
                ("receives_unix_kprobe", Attached::Kprobe, "unix_stream_recvmsg"),
                ("received_unix_kprobe", Attached::Kprobe, "unix_stream_read_actor"),
                RELEASED_BY_KPROBE,
            ]],
        }
    }

    fn programs(self) -> &'static [Program] {
        match self {
            Self::Tracepoint => &[
                ("sent", Attached::Tracepoint, "sock_send_length"),
                ("received", Attached::Tracepoint, "sock_recv_length"),
                STATE,
            ],
            Self::Fentry => &[
                ("sent_fexit", Attached::Function, "tcp_sendmsg"),
                ("sent_page_fexit", Attached::Function, SENDPAGE),
                ("received_fexit", Attached::Function, "tcp_recvmsg"),
                STATE,
            ],
            Self::Kprobe => &[
                ("sends_kprobe", Attached::Kprobe, "tcp_sendmsg"),
                ("sent_kprobe", Attached::Kprobe, "tcp_sendmsg"),
                ("sends_kprobe", Attached::Kprobe, SENDPAGE),
                ("sent_kprobe", Attached::Kprobe, SENDPAGE),
                ("receives_kprobe", Attached::Kprobe, "tcp_recvmsg"),
                ("received_kprobe", Attached::Kprobe, "tcp_rcv_space_adjust"),
                STATE,
            ],
        }
    }
}

impl Probes {
    /// Attaches one of the families. An error is that of the best.
    pub fn attach_requests(&mut self, capture: Capture) -> Result<Backend, LoadError> {
        let order = match capture {
            Capture::Only(backend) => vec![backend],
            Capture::Auto if self.sockets.is_early => return Err(LoadError::Slow),
            Capture::Auto => {
                Backend::ALL.into_iter().filter(|each| self.misses(*each).is_none()).collect()
            }
        };
        let mut refused = None;
        for backend in order {
            match self.attach_backend(backend) {
                Ok(()) => return Ok(backend),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(LoadError::Absent("programs on sockets")))
    }

    /// What the family does not see on this kernel, if it is attached.
    pub fn misses(&self, backend: Backend) -> Option<&'static str> {
        match backend {
            Backend::Tracepoint | Backend::Fentry if self.is_preemptible() => Some(
                "from Linux 7.0 on such programs are preempted, and not run for others meanwhile: \
                 what those send and receive is missed",
            ),
            Backend::Kprobe if self.sockets.is_early => Some(
                "on this kernel a kretprobe follows as many calls at one time as there are \
                 processors: what others send is missed",
            ),
            Backend::Tracepoint | Backend::Fentry | Backend::Kprobe => None,
        }
    }

    /// All of its programs, or none and an error that names the first that did not attach.
    fn attach_backend(&mut self, backend: Backend) -> Result<(), LoadError> {
        self.attach_programs(backend.programs())?;
        self.unix = Some(LoadError::Absent("programs on UNIX sockets"));
        for programs in backend.unix_programs() {
            self.unix = self.attach_programs(programs).err();
            if self.unix.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// All of them, or none.
    fn attach_programs(&mut self, programs: &[Program]) -> Result<(), LoadError> {
        let before = self.requests.len();
        for &(program, attached, target) in programs {
            if (target == SENDPAGE || target == UNIX_SENDPAGE) && !self.sockets.has_sendpage {
                continue;
            }
            let name = self.name_of(program, attached, target);
            let result = self.tools().attach(&name, attached, target);
            self.requests.push(name);
            if let Err(source) = result {
                self.detach_from(before)?;
                return Err(LoadError::Attach { program, target, source });
            }
        }
        Ok(())
    }

    /// Why UNIX sockets are not seen, or their end is not, by what is attached.
    pub fn unix_error(&self) -> Option<&LoadError> {
        self.unix.as_ref()
    }

    /// Detaches what [`Probes::attach_requests`] attached.
    pub fn detach_requests(&mut self) -> Result<(), LoadError> {
        self.detach_from(0)
    }

    /// All but the first so many; not those that others of them are, too.
    fn detach_from(&mut self, first: usize) -> Result<(), LoadError> {
        for name in self.requests.split_off(first) {
            if !self.requests.contains(&name)
                && let Some(program) = self.let_go(&name)
            {
                unload(program)?;
            }
        }
        Ok(())
    }

    /// The form of a program that this kernel needs.
    fn name_of(&self, program: &str, attached: Attached, target: &str) -> String {
        let form = match attached {
            Attached::Tracepoint => self.first_copy(),
            Attached::FunctionEntry => "",
            Attached::Kprobe if IN_ONE_FORM.contains(&program) => "",
            Attached::Function | Attached::Kprobe if self.sockets.is_early => "_early",
            Attached::Function if target == "tcp_recvmsg" => match self.sockets.recvmsg {
                Some(6) => "_6",
                Some(4) => "_4",
                _ => "",
            },
            Attached::Function | Attached::Kprobe => "",
        };
        format!("{program}{form}")
    }
}
