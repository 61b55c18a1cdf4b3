//! Processes, their ancestors, and the contexts in their environments.

use super::*;
use crate::{
    decode::decode,
    environ::{self, AllowList},
    event::Event,
    record::tests::{exec_record, exit_of, exit_record, task},
};

const ABOVE: &str = "TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b8-00";

fn correlator(span_id: Option<SpanId>) -> Correlator {
    let trace_id = run_trace_id("boot", 1, 2);
    Correlator::new("boot".to_owned(), Root { trace_id, span_id, above: None })
}

fn exec(correlator: &mut Correlator, pid: u32, parent: u32, env: &[&str]) -> Placement {
    let record = exec_record(pid, parent, &["x"], env);
    let Ok(Event::Exec(exec)) = decode(&record) else { panic!("no exec") };
    correlator.exec(&exec, &mut environ::read(&exec.env, &AllowList::default()))
}

fn exit(correlator: &mut Correlator, record: &[u8]) -> Placement {
    let Ok(Event::Exit(exit)) = decode(record) else { panic!("no exit") };
    correlator.exit(&exit)
}

#[test]
fn a_child_stands_below_its_owner_in_the_root_s_trace() {
    let mut correlator = correlator(None);
    let root = exec(&mut correlator, 10, 0, &[]);
    assert_eq!((root.parent, root.trace_id), (None, run_trace_id("boot", 1, 2)));
    let child = exec(&mut correlator, 11, 10, &[]);
    assert_eq!((child.parent, child.trace_id), (Some(root.span_id), root.trace_id));
}

#[test]
fn a_context_counts_where_it_differs_from_the_parent_s() {
    let mut correlator = correlator(None);
    let root = exec(&mut correlator, 10, 0, &[ABOVE]);
    assert_eq!(root.parent.unwrap().to_string(), "00f067aa0ba902b7");
    assert!(root.parent_is_remote);
    let same = exec(&mut correlator, 11, 10, &[ABOVE]);
    assert_eq!((same.parent, same.trace_id), (Some(root.span_id), root.trace_id));
    assert_eq!(same.upstream, Upstream::Sampled);
    let other = exec(&mut correlator, 12, 10, &[OTHER]);
    assert_eq!(other.parent.unwrap().to_string(), "00f067aa0ba902b8");
    assert_eq!(other.upstream, Upstream::NotSampled);
    let below = exec(&mut correlator, 13, 12, &[OTHER]);
    assert_eq!((below.parent, below.trace_id), (Some(other.span_id), other.trace_id));
    let dropped = exec(&mut correlator, 14, 12, &[]);
    assert_eq!(dropped.parent, Some(other.span_id));
}

#[test]
fn the_context_of_the_span_itself_is_not_its_parent() {
    let given = SpanId::new([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    let mut correlator = correlator(given);
    let root = exec(&mut correlator, 10, 0, &[ABOVE]);
    assert_eq!((Some(root.span_id), root.parent), (given, None));
    let child = exec(&mut correlator, 11, 10, &[ABOVE]);
    assert_eq!(child.parent, given);
    assert_eq!(exec(&mut correlator, 10, 0, &[ABOVE]).span_id, root.span_id);
}

#[test]
fn what_a_process_left_running_still_stands_below_it() {
    let mut correlator = correlator(None);
    let root = exec(&mut correlator, 10, 0, &[ABOVE]);
    assert_eq!(exit(&mut correlator, &exit_record(10, 0, 0)), root);
    let orphan = exec(&mut correlator, 11, 10, &[ABOVE]);
    assert_eq!((orphan.parent, orphan.trace_id), (Some(root.span_id), root.trace_id));
    let forked = exit(&mut correlator, &exit_of(12, 10, 10, 0));
    assert_eq!(forked.parent, Some(root.span_id));
    let forgotten = exec(&mut correlator, 14, 13, &[]);
    assert_eq!(forgotten.parent, Some(process_span_id("boot", task(13))));
}
