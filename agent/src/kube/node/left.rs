//! What is told of a pod that is left while it runs, or that does too much.

use super::{
    Action,
    tests::{
        CONTAINER, Deleted, Gone, ID, LIMITED, Labelled, MOST, Made, POD, Record, Step, Tick,
        named, names, play, pod, ran, service,
    },
};
use crate::{
    event::BootNanos,
    loss::Loss,
    record::tests::{exec_record, exit_record, first_in, made_record},
    span::{Span, Value, key},
};

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match span.attribute(key) {
        Some(Value::Str(text)) => Some(text),
        Some(Value::Int(_) | Value::Bool(_) | Value::StrList(_)) | None => None,
    }
}

/// In a selected pod a shell runs, and a program below it is told.
fn begun(object: crate::kube::object::Pod) -> Vec<Step> {
    vec![
        Labelled("enabled"),
        Step::Pod(object),
        Made,
        Record(first_in(CONTAINER, 10, "sh")),
        Record(exec_record(11, 10, &["ls"], &[])),
        Record(exit_record(11, 10, 0)),
    ]
}

#[test]
fn all_that_is_above_what_was_told_is_told_when_a_pod_is_left() {
    let left = [Labelled("disabled"), Record(exit_record(10, 0, 0)), Gone];
    let over = [Step::Pod(pod(Some(ID), Some(0))), Tick(9), Deleted(pod(Some(ID), Some(0)))];
    let steps = begun(pod(Some(ID), None)).into_iter().chain(left).chain(over);
    let played = play(steps.collect());
    assert_eq!(names(&played.spans), ["ls", "sh", "container main", "pod one-x"]);
    let still = Some(key::STILL_RUNNING);
    assert_eq!(text(named(&played.spans, "sh"), key::UNFINISHED), still);
    assert_eq!(text(named(&played.spans, "container main"), key::CONTAINER_UNFINISHED), still);
    assert_eq!(text(named(&played.spans, "pod one-x"), key::POD_UNFINISHED), still);
    assert_eq!(played.node.held(), 0);
    // The end of the shell.
    assert_eq!(played.node.pipeline().ledger().lost(Loss::NotSelected), 1);
}

#[test]
fn what_ended_when_a_pod_is_left_does_not_run() {
    let left = [Record(exit_record(10, 0, 0)), Gone, Labelled("disabled"), Tick(9)];
    let steps = begun(pod(Some(ID), None)).into_iter().chain(left);
    let played = play(steps.collect());
    assert_eq!(names(&played.spans), ["ls", "sh", "container main", "pod one-x"]);
    assert_eq!(text(named(&played.spans, "container main"), key::CONTAINER_UNFINISHED), None);
    assert_eq!(
        text(named(&played.spans, "pod one-x"), key::POD_UNFINISHED),
        Some(key::STILL_RUNNING)
    );
}

#[test]
fn a_pod_that_is_left_is_above_the_containers_that_were_told() {
    let mut object = pod(Some(ID), Some(0));
    // Its first container ended, and nothing of it was seen.
    object.status.phase = "Running".to_owned();
    let steps = vec![Labelled("enabled"), Step::Pod(object), Tick(1), Labelled("disabled")];
    assert_eq!(names(&play(steps).spans), ["container main", "pod one-x"]);
}

#[test]
fn a_pod_that_is_selected_again_has_its_spans_once() {
    let steps = begun(pod(Some(ID), None)).into_iter().chain([
        Labelled("disabled"),
        Labelled("enabled"),
        Record(first_in(CONTAINER, 12, "more")),
        Record(exit_record(12, 0, 0)),
        Gone,
        Step::Pod(pod(Some(ID), Some(0))),
    ]);
    let played = play(steps.collect());
    assert_eq!(names(&played.spans), ["ls", "sh", "container main", "pod one-x", "more"]);
}

#[test]
fn of_a_pod_in_which_nothing_was_told_nothing_is_told() {
    let steps = vec![
        Labelled("enabled"),
        Step::Pod(pod(Some(ID), None)),
        Made,
        Labelled("disabled"),
        Gone,
        Step::Pod(pod(Some(ID), Some(0))),
    ];
    assert_eq!(names(&play(steps).spans), Vec::<&str>::new());
    let served = begun(service(ID)).into_iter().chain([Labelled("disabled")]);
    assert_eq!(names(&play(served.collect()).spans), ["ls", "sh"]);
}

/// So many programs, one after the other.
fn programs(count: u64) -> impl Iterator<Item = Step> {
    let pids = (0..count).map(|nth| 20 + u32::try_from(nth).unwrap());
    pids.flat_map(|pid| {
        [Record(exec_record(pid, 10, &["one"], &[])), Record(exit_record(pid, 10, 0))]
    })
}

#[test]
fn a_pod_that_ends_gets_so_many_spans_and_says_so() {
    let after = [
        Tick(1),
        Record(exec_record(90, 10, &["after"], &[])),
        Record(exit_record(90, 10, 0)),
        Tick(2),
        Record(exit_record(10, 0, 0)),
        Gone,
        Step::Pod(pod(Some(ID), Some(0))),
    ];
    let steps = begun(pod(Some(ID), None)).into_iter().chain(programs(MOST - 1)).chain(after);
    let played = play(steps.collect());
    let expected = ["ls", "one", "one", "sh", "container main", "pod one-x"];
    assert_eq!(names(&played.spans), expected);
    let [event] = &named(&played.spans, "pod one-x").events[..] else { panic!("no event") };
    assert_eq!(event.name, key::EVENT_SPENT);
    assert_eq!(event.attributes[0].value, Value::Int(i64::try_from(MOST).unwrap()));
    assert!(played.actions.contains(&Action::Disown(POD)), "{:?}", played.actions);
    assert_eq!(played.node.held(), 0);
}

#[test]
fn a_service_has_no_number_of_spans_in_all() {
    let steps = begun(service(ID)).into_iter().chain(programs(MOST)).chain([Tick(1)]);
    let steps = steps.chain(programs(2)).chain([Tick(2)]);
    assert_eq!(play(steps.collect()).spans.len() as u64, 1 + MOST + 2);
}

#[test]
fn what_was_beyond_the_limit_of_a_second_is_said_of_the_container() {
    let [exec, exit] = ran();
    let steps = vec![
        Labelled("enabled"),
        Step::Pod(pod(Some(ID), None)),
        Made,
        // It counts for the container that made it.
        Record(made_record(LIMITED, CONTAINER, "inner")),
        exec,
        exit,
        Gone,
        Step::Pod(pod(Some(ID), Some(0))),
    ];
    let played = play(steps);
    let [event] = &named(&played.spans, "container main").events[..] else { panic!("no event") };
    let counts: Vec<_> =
        event.attributes.iter().map(|one| (one.key.as_ref(), one.value.clone())).collect();
    let expected = [(key::LIMITED_EXECS, Value::Int(2)), (key::LIMITED_FORKS, Value::Int(1))];
    assert_eq!((event.name, &counts[..]), (key::EVENT_LIMITED, &expected[..]));
}

#[test]
fn control_groups_that_a_walk_does_not_find_are_gone() {
    let mut played = play(begun(pod(Some(ID), None)));
    let (node, spans) = (&mut played.node, &mut played.spans);
    node.only(&[5, POD, CONTAINER].into(), BootNanos(0));
    assert!(node.knows(CONTAINER));
    node.only(&[5, POD].into(), BootNanos(0));
    assert!(!node.knows(CONTAINER) && node.knows(POD));
    node.tick(BootNanos(9_000_000_000), spans);
    node.pod(pod(Some(ID), Some(0)), spans);
    assert_eq!(names(spans), ["ls", "sh", "container main", "pod one-x"]);
    assert_eq!(text(named(spans, "sh"), key::UNFINISHED), Some(key::END_LOST));
}
