//! Threads that serve and ask, and the causes that come of it.

use super::{Exchanges, Told};
use crate::{
    decode::decode,
    event::{BootNanos, CloseReason, Closed, ConnectionId, Event, Head, Way},
    record::tests::{exec_record, task},
};

/// `tid verb connection`, by one process after the other.
#[derive(Clone, Copy)]
enum Step {
    /// The thread read a request, or answered it.
    Reads(u32, u64, u32),
    Answers(u32, u64, u32),
    /// The thread made a request, or read the answer to it.
    Asks(u32, u64),
    Hears(u32, u64),
    Closes(u64),
    Runs(&'static str),
}
use Step::{Answers, Asks, Closes, Hears, Reads, Runs};

fn head<'a>(tid: u32, sock: u64, ordinal: u32, way: Way, bytes: &'a str) -> Head<'a> {
    Head {
        process: task(10),
        owner: task(10),
        connection: ConnectionId { sock, since_ns: 1 },
        time: BootNanos(sock),
        tid,
        way,
        offset: 0,
        bytes: bytes.as_bytes(),
        head_ended: true,
        message_ended: true,
        is_cut: false,
        has_untold: false,
        ordinal,
    }
}

fn take(exchanges: &mut Exchanges, step: Step, agent: &str, out: &mut Vec<Told>) {
    let request = format!("GET / HTTP/1.1\r\nUser-Agent: {agent}\r\n\r\n");
    let answer = "HTTP/1.1 204 X\r\n\r\n";
    let head = match step {
        Reads(tid, sock, ordinal) => head(tid, sock, ordinal, Way::Received, &request),
        Answers(tid, sock, ordinal) => head(tid, sock, ordinal, Way::Sent, answer),
        Asks(tid, sock) => head(tid, sock, 1, Way::Sent, &request),
        Hears(tid, sock) => head(tid, sock, 1, Way::Received, answer),
        Closes(sock) => {
            let closed = Closed {
                connection: ConnectionId { sock, since_ns: 1 },
                reason: CloseReason::Socket,
                error: 0,
                sent_body_bytes: 0,
                received_body_bytes: 0,
                last: BootNanos(sock),
                sent_cut: false,
                received_cut: false,
            };
            assert_eq!(exchanges.closed(&closed, out).unpaired, 0);
            return;
        }
        Runs(program) => {
            let record = exec_record(10, 0, &[program], &[]);
            let Ok(Event::Exec(exec)) = decode(&record) else { panic!("no exec") };
            return exchanges.exec(&exec);
        }
    };
    assert_eq!(exchanges.head(&head, out).unpaired, 0);
}

/// The connections and numbers of what the client's exchanges were made for, in the order of their ends.
fn check_of(agent: &str, steps: &[Step], expected: &[Option<(u64, u64)>]) {
    let (mut exchanges, mut out) = (Exchanges::default(), Vec::new());
    for step in steps {
        let mut told = Vec::new();
        take(&mut exchanges, *step, agent, &mut told);
        out.extend(told);
    }
    let causes: Vec<_> = out
        .iter()
        .filter_map(|told| match told {
            Told::Exchange(exchange) if exchange.connection.sock >= 100 => {
                let cause = exchange.cause.as_ref();
                Some(cause.map(|cause| (cause.connection.sock, cause.ordinal)))
            }
            Told::Exchange(_) | Told::Refused(_) => None,
        })
        .collect();
    assert_eq!(causes, expected);
}

fn check(steps: &[Step], expected: &[Option<(u64, u64)>]) {
    check_of("x", steps, expected);
}

#[test]
fn a_thread_that_serves_asks_for_what_it_serves() {
    check(
        &[Reads(1, 7, 1), Asks(1, 100), Hears(1, 100), Asks(1, 101), Hears(1, 101)],
        &[Some((7, 1)), Some((7, 1))],
    );
    let kept = [Reads(1, 7, 1), Answers(1, 7, 1), Reads(1, 7, 2), Asks(1, 100), Hears(1, 100)];
    check(&kept, &[Some((7, 2))]);
    let two = [
        Reads(1, 7, 1),
        Reads(2, 8, 1),
        Asks(1, 100),
        Asks(2, 101),
        Hears(2, 101),
        Hears(1, 100),
        Answers(2, 8, 1),
        Answers(1, 7, 1),
    ];
    check(&two, &[Some((8, 1)), Some((7, 1))]);
}

#[test]
fn what_is_asked_before_or_behind_is_for_nothing() {
    check(&[Asks(1, 100), Hears(1, 100), Reads(1, 7, 1)], &[None]);
    check(&[Reads(1, 7, 1), Answers(1, 7, 1), Asks(1, 100), Hears(1, 100)], &[None]);
    check(&[Reads(1, 7, 1), Closes(7), Asks(1, 100), Hears(1, 100)], &[None]);
    check(&[Reads(1, 7, 1), Asks(2, 100), Hears(2, 100)], &[None]);
}

#[test]
fn of_several_requests_in_one_thread_it_is_none() {
    let piped = [Reads(1, 7, 1), Reads(1, 7, 2), Asks(1, 100), Hears(1, 100)];
    check(&piped, &[None]);
    // Those of one connection are answered in their order: one is left.
    let left = [Reads(1, 7, 1), Reads(1, 7, 2), Answers(1, 7, 1), Asks(1, 100), Hears(1, 100)];
    check(&left, &[Some((7, 2))]);
}

#[test]
fn a_loop_is_one_for_good() {
    let then = |first: &[Step], causes: usize| {
        let later = [Reads(3, 9, 1), Asks(3, 110), Hears(3, 110)];
        check(&[first, &later].concat(), &vec![None; causes + 1]);
    };
    // Two to answer.
    then(&[Reads(1, 7, 1), Reads(1, 8, 1), Answers(1, 7, 1), Answers(1, 8, 1)], 0);
    // Two of its own.
    then(&[Asks(1, 100), Asks(1, 101), Hears(1, 100), Hears(1, 101)], 2);
    // What it did before is not certain either.
    then(&[Reads(1, 7, 1), Asks(1, 100), Reads(1, 8, 1), Hears(1, 100)], 1);
}

#[test]
fn where_work_moves_between_threads_nothing_is_said() {
    let later = [Reads(3, 9, 1), Asks(3, 110), Hears(3, 110)];
    check(&[&[Reads(1, 7, 1), Asks(1, 100), Hears(2, 100)][..], &later].concat(), &[None, None]);
    check(&[&[Reads(1, 7, 1), Answers(2, 7, 1)][..], &later].concat(), &[None]);
}

#[test]
fn known_programs_and_libraries_are_believed() {
    let steps = [Reads(1, 7, 1), Asks(1, 100), Hears(1, 100)];
    check_of("Go-http-client/1.1", &steps, &[None]);
    check(&[&[Runs("node")][..], &steps].concat(), &[None]);
    check(&[&[Runs("node"), Runs("python3")][..], &steps].concat(), &[Some((7, 1))]);
}
