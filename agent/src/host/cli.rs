//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    capture::{Backend, Capture},
    load::{Attach, Form},
};
use crate::{kube::select::Detail, pipeline::Instrumented};

#[derive(Debug, Parser)]
#[command(
    name = "lynceus",
    version,
    about = "Traces processes that nobody instrumented, from the kernel, as OpenTelemetry spans",
    after_help = "Start with: sudo lynceus run -- make test\n\
                  If that does not work: lynceus doctor"
)]
pub struct Cli {
    #[command(subcommand)]
    pub role: Role,
}

#[derive(Debug, Subcommand)]
pub enum Role {
    /// Run a command and trace it and everything it starts
    Run(Box<RunOptions>),
    /// Trace the selected pods of this Kubernetes node
    Agent(Box<AgentOptions>),
    /// Say what this machine allows, what will not work, and why
    Doctor(DoctorOptions),
}

#[derive(Debug, Clone, Copy, Args)]
#[command(
    long_about = "Tries, on this kernel and with these rights, everything that tracing needs, and \
                  says what it found. Programs are loaded and attached for real, and unloaded at \
                  once. In a pod, or with KUBECONFIG, it asks the API server what it allows, and changes \
                  nothing.\n\n\
                  Exit status: 0 if `lynceus run` works here, and in the agent's own pod (NODE_NAME, or \
                  /host/sys/fs/cgroup, is there) `lynceus agent`; 1 if not, 2 for wrong options."
)]
pub struct DoctorOptions {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    long_about = "Traces the pods of one node, from the first exec of each on: one span per process and \
                  per request, below those of the container and the pod. Nothing in the pods changes.\n\n\
                  Which pods: those whose annotation lynceus.dev/trace says enabled, or whose \
                  namespace's label of that name does; where neither says anything, --default. The \
                  label and annotation lynceus.dev/detail (steps, processes, requests, all) say in \
                  what detail. A change counts within seconds.\n\n\
                  Meant to run as a DaemonSet with hostPID and the host's /sys/fs/cgroup; its service \
                  account may get, list and watch pods and namespaces.",
    after_long_help = "Environment: OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS, _TIMEOUT, \
                       _COMPRESSION, _CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY say where and \
                       how to export (and \
                       OTEL_TRACES_EXPORTER=none not to), OTEL_TRACES_SAMPLER which traces, \
                       OTEL_RESOURCE_ATTRIBUTES what to say of all, NODE_NAME the node, LYNCEUS_* any \
                       option. Metrics are pushed to OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, and with \
                       OTEL_METRICS_EXPORTER=otlp to OTEL_EXPORTER_OTLP_ENDPOINT, every \
                       OTEL_METRIC_EXPORT_INTERVAL milliseconds (60000), with \
                       OTEL_METRIC_EXPORT_TIMEOUT (30000) for each push; OTEL_METRICS_EXPORTER=none pushes \
                       none.\n\n\
                       Exit status: 0 when it was told to end (SIGTERM, SIGINT), 1 where it cannot trace, \
                       2 for wrong options or a wrong file."
)]
pub struct AgentOptions {
    /// The node that it runs on, as Kubernetes calls it
    #[arg(
        long,
        value_name = "NAME",
        env = "NODE_NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub node_name: String,

    /// Read options from this file of YAML: a line each, in the words of these options, as
    /// `ringBytes: 8388608`, or of a list `envAttributes: [A, B]`. What the command line says counts more,
    /// and so do variables, as LYNCEUS_RING_BYTES and LYNCEUS_ENV_ATTRIBUTES=A,B
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub config: Option<PathBuf>,
    /// Print the options that count, as such a file, and end: with 2 where an option or a variable LYNCEUS_*
    /// is not known, or an option, OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER* or OTEL_RESOURCE_ATTRIBUTES
    /// does not take its value. Nothing is asked or attached: where it runs may still lack something
    #[arg(long, help_heading = "Configuration")]
    pub check_config: bool,
    /// Print the JSON schema of the file, and end
    #[arg(long, help_heading = "Configuration")]
    pub config_schema: bool,

    #[command(flatten)]
    pub spans: SpanOptions,

    /// Push the agent's own metrics, those of /metrics, to this OTLP endpoint: gRPC for port 4317, else
    /// HTTP/protobuf. Nothing is pushed only because spans are: back ends for traces, such as Jaeger, refuse
    /// metrics
    #[arg(long, value_name = "URL", help_heading = "Output")]
    pub otlp_metrics: Option<String>,
    /// The protocol of that endpoint, where its port does not tell
    #[arg(long, value_name = "PROTOCOL", help_heading = "Output")]
    pub otlp_metrics_protocol: Option<Protocol>,
    /// Answer on this IP address and port, such as 0.0.0.0:9464, over HTTP: /healthz, /readyz, /metrics (OpenMetrics) and /debug/pods (which
    /// pods are traced, and why)
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Output")]
    pub admin: Option<std::net::SocketAddr>,

    /// Whether pods are traced of which neither they nor their namespace say anything
    #[arg(long, value_name = "WHETHER", default_value = "disabled", help_heading = "Selection")]
    pub default: Whether,
    /// In what detail, where nothing is said
    #[arg(long, value_name = "DETAIL", default_value = "all", help_heading = "Selection")]
    pub detail: DetailOption,

    /// Say this label of a pod, if it has it, of all its spans, as k8s.pod.label.NAME; may be given several
    /// times
    #[arg(long = "label-attribute", value_name = "NAME", help_heading = "Output")]
    pub label_attributes: Vec<String>,
    /// Likewise this annotation, as k8s.pod.annotation.NAME. What it says leaves the node as it is
    #[arg(long = "annotation-attribute", value_name = "NAME", help_heading = "Output")]
    pub annotation_attributes: Vec<String>,

    /// The host's control groups; the default is /host/sys/fs/cgroup, else /sys/fs/cgroup
    #[arg(long, value_name = "DIR", help_heading = "Tuning")]
    pub cgroup_root: Option<PathBuf>,
    /// Leave what is attached, and the records of it, in this folder of a BPF file system, as
    /// /sys/fs/bpf/lynceus, so that the next agent goes on where this one ended. One with other options, or
    /// of another version, takes it away and begins anew. Where it is not possible, the agent says why
    #[arg(long, value_name = "DIR", help_heading = "Restart")]
    pub pin: Option<PathBuf>,
    /// Whose agent it is, in the namespace POD_NAMESPACE: where this DaemonSet is gone when the agent ends, or
    /// has no argument --pin=DIR with the same folder, nothing stays attached
    #[arg(long, value_name = "NAME", help_heading = "Restart", requires = "pin")]
    pub daemon_set: Option<String>,

    /// Size of the ring that the kernel writes to, a power of two of at least 4096 bytes
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20, help_heading = "Tuning",
          value_parser = ring_bytes)]
    pub ring_bytes: u32,
    /// Spans of processes and requests that one pod gets in one second, those over HTTP/2 by an account of
    /// their own; 0 is no limit. Those beyond it are counted
    #[arg(long, value_name = "N", default_value_t = 2000, help_heading = "Tuning")]
    pub spans_per_second: u32,
    /// Spans of processes and requests that one pod gets that ends, as a Job's does; 0 is no limit. Beyond
    /// it there are only those of the pod and its containers, which say so
    #[arg(long, value_name = "N", default_value_t = 100_000, help_heading = "Tuning")]
    pub spans_per_pod: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Whether {
    Enabled,
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DetailOption {
    /// The spans of pods and containers
    Steps,
    /// And those of processes
    Processes,
    /// And those of requests, without processes
    Requests,
    All,
}

#[derive(Debug, Args)]
#[command(
    long_about = "Runs a command exactly as without Lynceus (same terminal, input, output, \
                  environment, signals and exit status; under sudo as the user who called it) and traces it and every process that \
                  descends from it: one span per process, from its first exec to its exit.\n\n\
                  At the end a picture of the trace goes to stderr, then one line that accounts \
                  for every record of the kernel. Nothing is installed and nothing leaves the \
                  machine unless --otlp, --out or an OTEL_EXPORTER_OTLP_* variable says so.\n\n\
                  Needs root, or the capabilities CAP_BPF and CAP_PERFMON; `lynceus doctor` says \
                  what is missing. Under sudo the command itself runs as the user who called sudo.",
    after_long_help = "Environment:\n  \
        OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, …_PROTOCOL, …_HEADERS,\n  \
        …_TIMEOUT, …_COMPRESSION   where and how to export; --otlp comes first\n  \
        …_CERTIFICATE, …_CLIENT_CERTIFICATE, …_CLIENT_KEY   files of PEM, for https:// with an authority of \
        your own\n  \
        OTEL_TRACES_EXPORTER=none  do not export, whatever the other variables say\n  \
        OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES   what the spans say they are of\n  \
        OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG  which traces to keep\n  \
        TRACEPARENT, TRACESTATE, B3, X_B3_*           the trace that the command becomes part of\n  \
        NO_COLOR                   no colours\n\n\
        Exit status: that of the command, 128+n if signal n ended it; 127 if there is no such \
        command, 126 if it cannot be executed; 125 if it cannot be run as --user, or with --strict if it \
        cannot be traced; 2 for wrong options.\n\n\
        Examples:\n  \
        sudo lynceus run -- make -j8\n  \
        sudo lynceus run --out trace.jsonl -- ./build.sh\n  \
        sudo lynceus run --otlp http://localhost:4317 --service-name nightly -- dbt run"
)]
pub struct RunOptions {
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub command: Vec<std::ffi::OsString>,

    #[command(flatten)]
    pub spans: SpanOptions,
    /// service.name of the spans; the default is the command's name
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    pub service_name: Option<String>,
    /// Show every process in the picture; repeated siblings are otherwise folded
    #[arg(long, help_heading = "Output")]
    pub full: bool,
    /// No picture and no line at the end
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
    /// Colours in the picture
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub color: When,

    /// Run the command as this user (NAME or UID, with :GROUP or :GID if not the user's own);
    /// under sudo the default is the user who called it
    #[arg(long, value_name = "USER", help_heading = "The command")]
    pub user: Option<String>,
    /// Give the command a TRACEPARENT of its own span, so that what it starts and traces itself
    /// joins this trace; its environment is otherwise untouched
    #[arg(long, help_heading = "The command")]
    pub propagate: bool,
    /// Wait for descendants that outlive the command; their spans otherwise say that they are
    /// unfinished
    #[arg(long, help_heading = "The command")]
    pub wait: bool,
    /// If the command cannot be traced do not run it and exit with 125; it otherwise runs untraced
    #[arg(long, help_heading = "The command")]
    pub strict: bool,

    /// Size of the ring that the kernel writes to, a power of two of at least 4096 bytes
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, help_heading = "Tuning",
          value_parser = ring_bytes)]
    pub ring_bytes: u32,
    /// Print what the probes do, as they do it
    #[arg(long, help_heading = "Tuning")]
    pub probe_log: bool,
    /// How the probes attach
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = "Tuning")]
    pub attach: AttachOption,
    /// Keep the kernel's records in this file, for tests and benchmarks. It holds the whole
    /// environment of every process, secrets and all
    #[arg(long, value_name = "FILE", help_heading = "Tuning")]
    pub record: Option<PathBuf>,
}

/// What `run` and `agent` do alike.
#[derive(Debug, Args)]
pub struct SpanOptions {
    /// Write the spans to this file as OTLP/JSON, one request a line, as the OpenTelemetry
    /// Collector's file exporter does
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Export the spans to this OTLP endpoint: gRPC for port 4317, else HTTP/protobuf
    #[arg(long, value_name = "URL", help_heading = "Output")]
    pub otlp: Option<String>,
    /// The protocol of the endpoint, where its port does not tell
    #[arg(long, value_name = "PROTOCOL", help_heading = "Output")]
    pub otlp_protocol: Option<Protocol>,
    /// Export this environment variable of every process, if it has it; may be given several
    /// times. The values of all other variables stay on this machine
    #[arg(long = "env-attribute", value_name = "NAME", help_heading = "Output")]
    pub env_attributes: Vec<String>,
    /// Keep the spans of requests that carry a trace context, each below the span that it names: the
    /// program that made them has a tracer of its own, and they are otherwise left to it
    #[arg(long, help_heading = "Output")]
    pub keep_instrumented: bool,
    /// Processes that can be traced at one time
    #[arg(long, value_name = "N", default_value_t = 32 << 10, help_heading = "Tuning",
          value_parser = clap::value_parser!(u32).range(16..=4_194_304))]
    pub max_processes: u32,
    /// Requests of a process that get a span in one second. Those beyond are counted, by status, in an
    /// event on the span of the process. 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Tuning")]
    pub requests_per_second: u32,
    /// How requests over HTTP are seen
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = "Tuning")]
    pub capture: CaptureOption,
}

impl SpanOptions {
    pub fn instrumented(&self) -> Instrumented {
        if self.keep_instrumented { Instrumented::Keep } else { Instrumented::Leave }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    Grpc,
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AttachOption {
    /// tp_btf, and where the kernel refuses it raw tracepoints
    Auto,
    TpBtf,
    RawTracepoint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CaptureOption {
    /// By the best of the following that the kernel takes and that misses nothing there; where there
    /// is none, and before Linux 5.17, requests are not seen, which is no error
    Auto,
    /// By fexit on tcp_sendmsg and tcp_recvmsg, or it is an error
    Fentry,
    /// By kprobes there, or it is an error
    Kprobe,
    /// By the tracepoints sock_send_length and sock_recv_length (Linux 6.3), or it is an error
    Tracepoint,
    /// Not at all: processes only
    Off,
}

impl CaptureOption {
    /// `None` where requests are not to be seen.
    pub fn wanted(self) -> Option<Capture> {
        match self {
            Self::Off => None,
            Self::Auto => Some(Capture::Auto),
            Self::Fentry => Some(Capture::Only(Backend::Fentry)),
            Self::Kprobe => Some(Capture::Only(Backend::Kprobe)),
            Self::Tracepoint => Some(Capture::Only(Backend::Tracepoint)),
        }
    }
}

impl From<DetailOption> for Detail {
    fn from(option: DetailOption) -> Self {
        match option {
            DetailOption::Steps => Self::Steps,
            DetailOption::Processes => Self::Processes,
            DetailOption::Requests => Self::Requests,
            DetailOption::All => Self::All,
        }
    }
}

impl From<AttachOption> for Attach {
    fn from(option: AttachOption) -> Self {
        match option {
            AttachOption::Auto => Self::Auto,
            AttachOption::TpBtf => Self::Only(Form::Btf),
            AttachOption::RawTracepoint => Self::Only(Form::Raw),
        }
    }
}

const RING_BYTES: &str = "not a power of two from 4096 to 1073741824, as a plain number of bytes";

fn ring_bytes(text: &str) -> Result<u32, String> {
    let bytes: u32 = text.parse().map_err(|_no_number| RING_BYTES)?;
    if bytes.is_power_of_two() && (4096..=1 << 30).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(RING_BYTES.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_command_is_the_command_s() {
        let cli = Cli::try_parse_from(["lynceus", "run", "--out", "x", "ls", "--full", "-l"]);
        let Ok(Cli { role: Role::Run(options) }) = cli else { panic!("not parsed") };
        assert_eq!(options.command, ["ls", "--full", "-l"]);
        assert!(!options.full);
    }
}
