//! What is told by an agent that goes on where another one ended.

use super::tests::{
    CONTAINER, Gone, ID, Labelled, Made, POD, Record, Step, Tick, UID, named, names, play,
    play_after, pod,
};
use crate::{
    correlate::process_span_id,
    event::BootNanos,
    kube::{
        identity::{container_span_id, pod_span_id},
        name::{ContainerId, Uid},
    },
    loss::Loss,
    record::tests::{exec_in, exit_in, exit_record, task},
};

/// Later than every record.
const SINCE: BootNanos = BootNanos(1_000_000);

fn begun() -> Vec<Step> {
    vec![Labelled("enabled"), Step::Pod(pod(Some(ID), None)), Made]
}

#[test]
fn a_process_whose_exec_was_told_to_another_is_told_in_its_container() {
    let records = [
        Record(exec_in(CONTAINER, 11, 10, &["ls"], &[], 11_500)),
        Record(exit_record(11, 10, 0)),
        Record(exit_in(CONTAINER, 10, 0)),
        Gone,
        Step::Pod(pod(Some(ID), Some(0))),
    ];
    let steps = begun().into_iter().chain(records).collect();
    let played = play_after(SINCE, steps, |_| false);
    let spans = &played.spans;
    assert_eq!(names(spans), ["ls", "comm", "container main", "pod one-x"]);
    let (uid, id) = (Uid(UID.to_owned()), ContainerId(ID.to_owned()));
    let shell = named(spans, "comm");
    assert_eq!(shell.parent, Some(container_span_id(&uid, &id)));
    assert_eq!(named(spans, "ls").parent, Some(process_span_id("boot", task(10))));
    assert_eq!(shell.span_id, process_span_id("boot", task(10)));
    // From its fork on.
    assert_eq!(named(spans, "container main").start, shell.start);
    assert_eq!(played.node.held(), 0);
}

#[test]
fn nobody_is_above_a_process_whose_parent_was_never_told() {
    let records =
        [Record(exec_in(CONTAINER, 11, 10, &["ls"], &[], 11_500)), Record(exit_record(11, 10, 0))];
    let played = play(begun().into_iter().chain(records).collect());
    let (uid, id) = (Uid(UID.to_owned()), ContainerId(ID.to_owned()));
    assert_eq!(named(&played.spans, "ls").parent, Some(container_span_id(&uid, &id)));
}

#[test]
fn what_another_told_is_not_told_again() {
    let (uid, id) = (Uid(UID.to_owned()), ContainerId(ID.to_owned()));
    let told = [container_span_id(&uid, &id), pod_span_id(&uid)];
    let steps = vec![Labelled("enabled"), Step::Pod(pod(Some(ID), Some(0))), Tick(9)];
    let played = play_after(SINCE, steps, move |span_id| told.contains(&span_id));
    assert_eq!(names(&played.spans), Vec::<&str>::new());
    let steps = vec![Labelled("enabled"), Step::Pod(pod(Some(ID), Some(0))), Tick(9)];
    assert_eq!(names(&play(steps).spans), ["container main", "pod one-x"]);
}

#[test]
fn an_end_in_no_container_that_is_known_is_lost() {
    let played = play(vec![Record(exit_in(POD + 100, 10, 0))]);
    assert_eq!(played.node.pipeline().ledger().lost(Loss::Unplaced), 1);
}
