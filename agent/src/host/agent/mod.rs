//! `lynceus agent`: the selected pods of one node.
//!
//! Threads beside this one: `watch` asks the API server, `deliver` sends spans (with one more for the
//! network), `push` sends metrics, `admin` listens, `signals` waits for the end. This one reads the ring and
//! decides: see `collect`.

mod admin;
mod answer;
mod attached;
mod check;
mod collect;
mod push;
mod question;
mod successor;
mod taken;
mod watch;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread,
};

use anyhow::Context as _;
use kube::Client;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

pub use self::check::check;
use self::{
    attached::attached,
    collect::Collector,
    push::{Pusher, Pushing},
    successor::Successor,
};
use super::{
    cgroups,
    cli::{AgentOptions, Whether},
    clocks,
    config::{self, Environment},
    deliver::{Account, Deliverer},
    endpoint,
    export::Exporter,
    load::LoadError,
    machine,
    outfile::OutFile,
    progress::Progress,
    say,
};
use crate::{
    correlate::{Root, run_trace_id},
    environ::AllowList,
    exchange::Limits,
    id::SpanId,
    kube::{
        node::{self, Node},
        resource::Wanted,
        select::Unsaid,
        story::Limited,
    },
    pipeline::{self, Pipeline},
    span::Resource,
};

/// Batches of spans between `collect` and `deliver`. Full: `collect` waits, and then the ring fills
/// up, where the kernel side counts what is lost.
const BATCHES: usize = 64;
/// That wait for an answer. Full: the admin port says that there is none.
const QUESTIONS: usize = 16;
/// Changes between `watch` and `collect`. Full: `watch` waits, and the API server with it.
const CHANGES: usize = 256;

pub fn main(options: &AgentOptions) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::line(format_args!("the agent ends: {}", say::chain(error.as_ref())));
            if error.downcast_ref::<LoadError>().is_some() {
                say::line("`lynceus doctor` says what this node allows");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(options: &AgentOptions) -> anyhow::Result<()> {
    if options.node_name.is_empty() {
        anyhow::bail!(
            "which node is this? Give --node-name NAME, or NODE_NAME, as Kubernetes has it"
        );
    }
    let environment = Environment(&config::process_environment);
    check::say_what_is_ignored(&environment);
    let endpoint =
        endpoint::spans(options.spans.otlp.as_deref(), options.spans.otlp_protocol, &environment)?;
    let exporter = endpoint.as_ref().map(Exporter::new).transpose()?;
    let out = options.spans.out.as_deref().map(OutFile::create).transpose()?;
    if exporter.is_none() && out.is_none() {
        anyhow::bail!(
            "spans go nowhere: give --otlp URL, OTEL_EXPORTER_OTLP_ENDPOINT (without \
             OTEL_TRACES_EXPORTER=none) or --out FILE"
        );
    }
    let deliverer = Deliverer::new(Resource::default(), out, exporter, None);
    let pusher = pusher(options, &environment, deliverer.progress())?;
    let hierarchy = cgroups::hierarchy(options.cgroup_root.as_deref())?;
    let mut probes = attached(options, &hierarchy)?;
    let (limited, was_told) = (Box::new(probes.limited()?), Box::new(probes.were_told()?));
    let node = node(options, &environment, limited, was_told)?;
    let (questions, asked) = sync_channel(QUESTIONS);
    if let Some(at) = options.admin {
        let bound = admin::serve(at, questions.clone())
            .with_context(|| format!("listening on {at} for the admin port"))?;
        say::line(format_args!("the admin port is {bound}"));
    }
    let pushing = pusher.map(|pusher| pusher.start(questions)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(Client::try_default());
    let client = client.context("finding out how to ask the API server")?;

    let ends = &AtomicBool::new(false);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let closing = signals.handle();
    let (batches, incoming) = sync_channel(BATCHES);
    let (changes, changed) = sync_channel(CHANGES);
    let (name, annotations) = (options.node_name.clone(), options.annotation_attributes.clone());
    // It ends with the process: a watch can wait for minutes for the API server.
    thread::Builder::new().name("watch".to_owned()).spawn(move || {
        runtime.block_on(watch::run(client, name, annotations, changes));
    })?;
    thread::scope(|threads| {
        threads.spawn(|| {
            for _signal in &mut signals {
                ends.store(true, Ordering::Release);
            }
        });
        let progress = deliverer.progress();
        let deliver = threads.spawn(|| deliverer.run(incoming));
        let successor = Successor::new(options, &environment);
        let mut collector = Collector::new(probes, node, hierarchy, progress, successor);
        let collected = collector.run(ends, &changed, &asked, batches);
        closing.close();
        let pushing = pushing.map(Pushing::ending);
        let delivered = deliver.join();
        let collected = collected?;
        say::line(format_args!(
            "{} records received = {} exported + {} held + {} lost",
            collected.ledger.received,
            collected.ledger.exported,
            collected.held,
            collected.ledger.lost_in_all(),
        ));
        let Ok(delivered) = delivered else { anyhow::bail!("sending spans ended early: a bug") };
        for (output, account) in [("--out", delivered.file), ("OTLP", delivered.otlp)] {
            if let Some(Account { arrived, lost }) = account {
                say::line(format_args!(
                    "{} spans: {output} {arrived} sent and {lost} lost",
                    delivered.spans
                ));
            }
        }
        if let Some(error) = &delivered.file_error {
            say::line(format_args!("the file is not complete: {}", say::chain(error)));
        }
        if !ends.load(Ordering::Acquire) {
            anyhow::bail!("watching the API server ended early: a bug");
        }
        if let Some(pushing) = pushing {
            pushing.push(collector.metrics()?);
        }
        Ok(())
    })
}

/// Of metrics, where somebody wants them.
fn pusher(
    options: &AgentOptions,
    environment: &Environment<'_>,
    progress: Arc<Progress>,
) -> anyhow::Result<Option<Pusher>> {
    let (url, protocol) = (options.otlp_metrics.as_deref(), options.otlp_metrics_protocol);
    let Some(endpoint) = endpoint::metrics(url, protocol, environment)? else { return Ok(None) };
    // Derived as a run's trace: no other process has it.
    let instance =
        run_trace_id(&clocks::boot_id()?, std::process::id(), clocks::own_start_ticks()?);
    let resource = config::of_agent(&options.node_name, instance.to_string(), environment)?;
    Ok(Some(Pusher::new(&endpoint, endpoint::pace(environment)?, resource, progress)?))
}

fn node(
    options: &AgentOptions,
    environment: &Environment<'_>,
    limited: Box<dyn Fn(u64) -> Limited>,
    was_told: Box<dyn Fn(SpanId) -> bool>,
) -> anyhow::Result<Node> {
    let (boot_id, clock) = (clocks::boot_id()?, clocks::both());
    let pipeline = Pipeline::new(pipeline::Config {
        // Of what is in no container, which is not told.
        root: Root { trace_id: run_trace_id(&boot_id, 0, 0), span_id: None, above: None },
        boot_id,
        machine: machine::machine(clock)?,
        sampler: config::sampler(environment)?,
        allow: AllowList(options.spans.env_attributes.clone()),
        limits: Limits {
            requests_per_second: options.spans.requests_per_second,
            spans_per_second: options.spans_per_second,
        },
        instrumented: options.spans.instrumented(),
    });
    let config = node::Config {
        unsaid: Unsaid {
            traced: options.default == Whether::Enabled,
            detail: options.detail.into(),
        },
        wanted: Wanted {
            given: config::given(environment)?,
            labels: options.label_attributes.clone(),
            annotations: options.annotation_attributes.clone(),
        },
        clock,
        began: clocks::boot(),
        spans_per_pod: options.spans_per_pod,
        limited,
        was_told,
    };
    Ok(Node::new(config, pipeline))
}
