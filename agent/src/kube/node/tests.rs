//! Records and objects, in the orders in which they can come.

use abi::cgroup::Policy;

use super::{Action, Config, Node};
use crate::{
    assemble::Machine,
    clock::Clock,
    correlate::Root,
    environ::AllowList,
    event::BootNanos,
    exchange::Limits,
    id::{SpanId, TraceId},
    kube::{
        identity::{container_span_id, pod_span_id, run_trace_id},
        name::{ContainerId, Uid},
        object::{ContainerStatus, Namespace, Owner, Pod, Terminated},
        resource::Wanted,
        select::{Detail, TRACE, Unsaid},
        story::Limited,
    },
    loss::Loss,
    pipeline::{self, Instrumented, Pipeline},
    record::tests::{exec_record, exit_record, first_in, gone_record, made_record},
    redact::CleanSpan,
    sample::Sampler,
    span::{Span, UnixNanos},
};

pub(super) const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(super) const UID: &str = "2b6c6f6e-1d5f-4a3c-9d53-0f3b9f1c2d3e";
pub(super) const CLASS: u64 = 5;
pub(super) const POD: u64 = 6;
pub(super) const CONTAINER: u64 = 7;
/// A control group of which more was executed than is told.
pub(super) const LIMITED: u64 = 77;
/// Spans of a pod.
pub(super) const MOST: u64 = 3;

/// What happens, in this order.
pub(super) enum Step {
    /// Control groups of a class, a pod and a container are made.
    Made,
    Gone,
    Namespace(&'static str),
    Pod(Pod),
    Deleted(Pod),
    Record(Vec<u8>),
    Tick(u64),
}
pub(super) use Step::{Deleted, Gone, Made, Namespace as Labelled, Record, Tick};

pub(super) struct Played {
    pub(super) node: Node,
    pub(super) spans: Vec<CleanSpan>,
    pub(super) actions: Vec<Action>,
}

fn node(was_told: Box<dyn Fn(SpanId) -> bool>) -> Node {
    let clock = Clock::new(BootNanos(0), UnixNanos(0));
    let pipeline = Pipeline::new(pipeline::Config {
        boot_id: "boot".to_owned(),
        root: Root { trace_id: TraceId::derive("x", &[]), span_id: None, above: None },
        machine: Machine { clock, page_bytes: 4096 },
        sampler: Sampler::default(),
        allow: AllowList::default(),
        limits: Limits::default(),
        instrumented: Instrumented::Leave,
    });
    let unsaid = Unsaid { traced: false, detail: Detail::All };
    let config = Config {
        unsaid,
        wanted: Wanted::default(),
        clock,
        began: BootNanos(0),
        spans_per_pod: MOST,
        limited: Box::new(|cgroup_id| match cgroup_id {
            LIMITED => Limited { execs: 2, forks: 1 },
            _ => Limited::default(),
        }),
        was_told,
    };
    Node::new(config, pipeline)
}

pub(super) fn play(steps: Vec<Step>) -> Played {
    play_after(BootNanos(0), steps, |_| false)
}

/// To an agent that goes on where another ended.
pub(super) fn play_after(
    since: BootNanos,
    steps: Vec<Step>,
    was_told: impl Fn(SpanId) -> bool + 'static,
) -> Played {
    let node = node(Box::new(was_told));
    let mut played = Played { node, spans: Vec::new(), actions: Vec::new() };
    played.node.pipeline_mut().goes_on(since);
    played.node.begin(&mut played.spans);
    for step in steps {
        let Played { node, spans, actions } = &mut played;
        match step {
            Made => {
                node.record(&made_record(CLASS, 0, "burstable"), spans);
                node.record(&made_record(POD, CLASS, &format!("pod{UID}")), spans);
                node.record(&made_record(CONTAINER, POD, ID), spans);
            }
            Gone => [CONTAINER, POD].iter().for_each(|id| node.record(&gone_record(*id), spans)),
            Labelled(label) => {
                let labels = [(TRACE.to_owned(), label.to_owned())].into();
                node.namespace("jobs", Namespace { labels }, spans);
            }
            Step::Pod(pod) => node.pod(pod, spans),
            Deleted(pod) => node.pod_deleted(&pod, BootNanos(3), spans),
            Record(record) => node.record(&record, spans),
            Tick(second) => node.tick(BootNanos(second * 1_000_000_000), spans),
        }
        let is_decided = |action: &Action| {
            matches!(action, Action::Policy(..) | Action::TakeUp | Action::Disown(_))
        };
        actions.extend(node.take_actions().into_iter().filter(is_decided));
        assert!(node.pipeline().ledger().balances(node.held()), "{:?}", node.pipeline().ledger());
    }
    played
}

/// Of a Job, with a container if its runtime named it.
pub(super) fn pod(id: Option<&str>, exit_code: Option<i32>) -> Pod {
    let mut pod = Pod::default();
    pod.meta.uid = Uid(UID.to_owned());
    pod.meta.name = "one-x".to_owned();
    pod.meta.namespace = "jobs".to_owned();
    let owner = Owner { kind: "Job".to_owned(), name: "one".to_owned(), uid: Uid("j".to_owned()) };
    pod.meta.owner = Some(owner);
    pod.spec.restart_policy = "Never".to_owned();
    let mut status = ContainerStatus { name: "main".to_owned(), ..ContainerStatus::default() };
    status.container_id = id.map(|id| format!("containerd://{id}"));
    status.state.terminated =
        exit_code.map(|exit_code| Terminated { exit_code, ..Terminated::default() });
    if exit_code.is_some() {
        pod.status.phase = "Succeeded".to_owned();
    }
    pod.status.container_statuses = vec![status];
    pod
}

pub(super) fn service(id: &str) -> Pod {
    let mut pod = pod(Some(id), None);
    let owner = Owner { kind: "ReplicaSet".to_owned(), ..pod.meta.owner.clone().unwrap() };
    pod.meta.owner = Some(owner);
    pod
}

pub(super) fn named<'a>(spans: &'a [CleanSpan], name: &str) -> &'a Span {
    let found = spans.iter().map(CleanSpan::span).find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

pub(super) fn names(spans: &[CleanSpan]) -> Vec<&str> {
    spans.iter().map(|span| span.span().name.as_str()).collect()
}

pub(super) fn ran() -> [Step; 2] {
    [Record(first_in(CONTAINER, 10, "sh")), Record(exit_record(10, 0, 0))]
}

#[test]
fn a_job_is_a_pod_a_container_and_its_processes() {
    let [exec, exit] = ran();
    let steps = vec![
        Labelled("enabled"),
        Step::Pod(pod(None, None)),
        Made,
        exec,
        Record(exec_record(11, 10, &["ls"], &[])),
        Record(exit_record(11, 10, 0)),
        exit,
        Gone,
        Step::Pod(pod(Some(ID), Some(0))),
    ];
    let played = play(steps);
    let spans = &played.spans;
    assert_eq!(names(spans), ["ls", "sh", "container main", "pod one-x"]);
    let (uid, id) = (Uid(UID.to_owned()), ContainerId(ID.to_owned()));
    let trace_id = run_trace_id(&Uid("j".to_owned()));
    assert!(spans.iter().all(|span| span.span().trace_id == trace_id));
    assert_eq!(named(spans, "pod one-x").span_id, pod_span_id(&uid));
    assert_eq!(named(spans, "container main").parent, Some(pod_span_id(&uid)));
    assert_eq!(named(spans, "sh").parent, Some(container_span_id(&uid, &id)));
    assert_eq!(named(spans, "ls").parent, Some(named(spans, "sh").span_id));
    let container = named(spans, "container main");
    assert_eq!((container.start, container.end), (UnixNanos(10_500), UnixNanos(11_900)));
    assert!(spans.iter().all(|span| span.span().resource.is_some()));
    assert!(played.actions.contains(&Action::Policy(CONTAINER, Policy::TRACED)));
    assert!(!played.actions.contains(&Action::TakeUp), "{:?}", played.actions);
}

#[test]
fn what_comes_before_its_metadata_is_held() {
    let [exec, exit] = ran();
    let before = vec![Made, exec, exit, Gone];
    let after = [Labelled("enabled"), Step::Pod(pod(Some(ID), Some(3)))];
    let played = play(before.into_iter().chain(after).collect());
    assert_eq!(names(&played.spans), ["sh", "container main", "pod one-x"]);
    assert_eq!(played.node.held(), 0);
}

#[test]
fn of_a_pod_that_is_not_selected_nothing_is_told() {
    let [exec, exit] = ran();
    let steps = vec![
        Labelled("disabled"),
        Made,
        exec,
        exit,
        Step::Pod(pod(Some(ID), None)),
        Record(first_in(CONTAINER, 12, "late")),
        Gone,
        Step::Pod(pod(Some(ID), Some(0))),
        Tick(9),
    ];
    let played = play(steps);
    assert_eq!(names(&played.spans), Vec::<&str>::new());
    assert_eq!(played.node.pipeline().ledger().lost(Loss::NotSelected), 3);
    assert!(played.actions.contains(&Action::Policy(POD, Policy::IGNORED)));
    assert!(played.actions.contains(&Action::Disown(CONTAINER)));
}

#[test]
fn a_label_counts_while_pods_run() {
    let steps = vec![
        Labelled("disabled"),
        Step::Pod(pod(Some(ID), None)),
        Made,
        Labelled("enabled"),
        Record(first_in(CONTAINER, 10, "sh")),
        Record(first_in(CONTAINER, 11, "runs")),
        Record(exit_record(10, 0, 0)),
        Labelled("disabled"),
        Record(exit_record(11, 0, 0)),
    ];
    let played = play(steps);
    assert_eq!(names(&played.spans), ["sh", "runs", "container main", "pod one-x"]);
    assert!(played.actions.contains(&Action::TakeUp));
    assert_eq!(played.node.pipeline().ledger().lost(Loss::NotSelected), 1);
}

#[test]
fn what_nobody_explains_is_given_up() {
    let sandbox = vec![
        Labelled("enabled"),
        Step::Pod(pod(Some("other"), None)),
        Made,
        Record(first_in(CONTAINER, 10, "pause")),
        Tick(60),
        Tick(600),
        Record(first_in(CONTAINER, 11, "more")),
    ];
    let played = play(sandbox);
    assert_eq!((names(&played.spans), played.node.held()), (Vec::new(), 0));
    assert_eq!(played.node.pipeline().ledger().lost(Loss::Unplaced), 2);
    assert_eq!(played.actions.last(), Some(&Action::Disown(CONTAINER)));
}

#[test]
fn what_is_named_after_all_is_traced_again() {
    let steps = vec![
        Labelled("enabled"),
        Step::Pod(pod(None, None)),
        Made,
        Record(first_in(CONTAINER, 10, "early")),
        Tick(1),
        Tick(600),
        Step::Pod(pod(Some(ID), None)),
        Record(first_in(CONTAINER, 11, "sh")),
        Record(exit_record(11, 0, 0)),
        Labelled("disabled"),
    ];
    let played = play(steps);
    assert_eq!(names(&played.spans), ["sh", "container main", "pod one-x"]);
    let again = [Action::Policy(CONTAINER, Policy::TRACED), Action::TakeUp];
    assert!(played.actions.windows(2).any(|two| *two == again), "{:?}", played.actions);
    assert_eq!(played.actions.last(), Some(&Action::Disown(CONTAINER)));
}

#[test]
fn control_groups_within_a_container_are_the_container_s() {
    const INNER: u64 = 8;
    let within = || Record(made_record(INNER, CONTAINER, "container"));
    let ran = || [Record(first_in(INNER, 10, "sh")), Record(exit_record(10, 0, 0))];
    let [exec, exit] = ran();
    let before = vec![Made, within(), exec, exit];
    let after = vec![Labelled("enabled"), Step::Pod(pod(Some(ID), None))];
    let played = play(before.into_iter().chain(after).collect());
    assert_eq!(names(&played.spans), ["sh"], "{:?}", played.node.pipeline().ledger());
    let parent = container_span_id(&Uid(UID.to_owned()), &ContainerId(ID.to_owned()));
    assert_eq!(named(&played.spans, "sh").parent, Some(parent));
    let [exec, exit] = ran();
    let unwanted = vec![Labelled("disabled"), Step::Pod(pod(Some(ID), None)), Made, within()];
    let played = play(unwanted.into_iter().chain([exec, exit]).collect());
    assert!(played.actions.contains(&Action::Policy(INNER, Policy::IGNORED)));
    assert_eq!(names(&played.spans), Vec::<&str>::new());
}

#[test]
fn what_is_in_no_container_is_not_told() {
    let played = play(vec![Record(first_in(99, 10, "sshd")), Record(exit_record(10, 0, 0))]);
    assert_eq!(names(&played.spans), Vec::<&str>::new());
    assert_eq!(played.node.pipeline().ledger().lost(Loss::Unplaced), 2);
}

#[test]
fn a_service_has_no_spans_of_its_own() {
    let steps = vec![
        Labelled("enabled"),
        Step::Pod(service(ID)),
        Made,
        Record(first_in(CONTAINER, 10, "server")),
        Record(exec_record(11, 10, &["hook"], &[])),
        Record(exec_record(12, 11, &["below"], &[])),
        Record(exit_record(12, 11, 0)),
        Record(exit_record(11, 10, 0)),
        // As `kubectl exec` starts it.
        Record(first_in(CONTAINER, 13, "bash")),
        Record(exec_record(14, 13, &["ls"], &[])),
        Record(exit_record(14, 13, 0)),
        Record(exit_record(13, 0, 0)),
        Tick(9),
    ];
    let played = play(steps);
    let spans = &played.spans;
    assert_eq!(names(spans), ["below", "hook", "ls", "bash"]);
    let top = |name| {
        let span = named(spans, name);
        assert_eq!(span.parent, None, "{name}");
        span
    };
    let (hook, bash) = (top("hook"), top("bash"));
    assert_ne!(hook.trace_id, bash.trace_id);
    for (child, parent) in [("below", hook), ("ls", bash)] {
        let child = named(spans, child);
        assert_eq!((child.parent, child.trace_id), (Some(parent.span_id), parent.trace_id));
    }
    // The server runs.
    assert_eq!(played.node.held(), 1);
}
