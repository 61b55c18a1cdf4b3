//! What ended is told, also where nobody says how.

use super::tests::{
    CONTAINER, Deleted, Gone, ID, Labelled, Made, Record, Step, Tick, named, names, play, pod, ran,
};
use crate::record::tests::{exit_record, first_in};

#[test]
fn a_container_without_an_end_is_told_all_the_same() {
    let [exec, exit] = ran();
    let steps = vec![
        Labelled("enabled"),
        Made,
        Step::Pod(pod(Some(ID), None)),
        exec,
        exit,
        Gone,
        Deleted(pod(Some(ID), None)),
        Tick(5),
        Tick(500),
    ];
    let played = play(steps);
    assert_eq!(names(&played.spans), ["sh", "container main", "pod one-x"]);
    let played = play(vec![
        Labelled("enabled"),
        Made,
        Step::Pod(pod(Some(ID), None)),
        Record(first_in(CONTAINER, 10, "sh")),
        Deleted(pod(Some(ID), None)),
        Record(exit_record(10, 0, 0)),
        Gone,
        Tick(9),
    ]);
    assert_eq!(names(&played.spans), ["sh", "container main", "pod one-x"]);
}

#[test]
fn a_run_that_the_api_never_named_again_is_told_before_its_pod() {
    let [exec, exit] = ran();
    let next = "b".repeat(64);
    let over = || Step::Pod(pod(Some(&next), Some(0)));
    let begun = [Labelled("enabled"), Made, Step::Pod(pod(Some(ID), None)), exec];
    let played = play(begun.into_iter().chain([exit, Gone, over()]).collect());
    let expected = ["sh", "container main", "container main", "pod one-x"];
    assert_eq!(names(&played.spans), expected);
    let [exec, exit] = ran();
    let begun = [Labelled("enabled"), Made, Step::Pod(pod(Some(ID), None)), exec];
    let played = play(begun.into_iter().chain([over(), exit, Gone, Tick(9)]).collect());
    assert_eq!(names(&played.spans), ["container main", "sh", "container main", "pod one-x"]);
}

#[test]
fn the_process_that_lost_its_end_is_told_when_its_container_is_gone() {
    let steps = vec![
        Labelled("enabled"),
        Step::Pod(pod(Some(ID), None)),
        Made,
        Record(first_in(CONTAINER, 10, "sh")),
        Gone,
        Tick(1),
        Tick(9),
    ];
    let played = play(steps);
    assert_eq!(names(&played.spans), ["sh"]);
    assert!(named(&played.spans, "sh").attribute("lynceus.process.unfinished").is_some());
}
