//! Answers that end before the request that they answer.

use super::{
    Ending, Exchanges, Released, Told,
    late::MAX_LATE_NS,
    tests::{answer, client, closed, end_of, get, piece, play},
};
use crate::event::BootNanos;

/// The head of a request with a body.
fn post(ordinal: u32) -> Vec<u8> {
    piece(1, ordinal, 0, 1, "POST /early HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 100)
}

/// The whole of an answer without a body, at 200.
fn answered(ordinal: u32) -> Vec<u8> {
    answer(ordinal, 409, 3)
}

/// The body of the request is complete.
fn sent(ordinal: u32, time_ns: u64) -> Vec<u8> {
    end_of(1, ordinal, 9, time_ns)
}

/// `ordinal status request-body/response-body last records`.
fn lines(told: &[Told]) -> Vec<String> {
    let line = |told: &Told| match told {
        Told::Exchange(one) => {
            assert_eq!(one.ending, Ending::Whole);
            let status = one.response.map_or(0, |response| response.status);
            let size = |bytes: Option<u64>| {
                bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string())
            };
            let (request, response) = (size(one.request_body_bytes), size(one.response_body_bytes));
            format!("{} {status} {request}/{response} {} {}", one.ordinal, one.last.0, one.records)
        }
        Told::Refused(_) => "refused".to_owned(),
    };
    told.iter().map(line).collect()
}

/// Nothing is lost.
fn check(records: &[Vec<u8>], expected: &[&str]) {
    let (told, lost) = play(&mut Exchanges::default(), records);
    assert_eq!((lines(&told), lost), (expected.iter().map(|&one| one.to_owned()).collect(), 0));
}

#[test]
fn it_is_told_with_the_end_of_its_request_and_ends_with_its_answer() {
    check(&[client(), post(1), answered(1)], &[]);
    check(&[client(), post(1), answered(1), sent(1, 300)], &["1 409 9/0 200 4"]);
    let with_body = [client(), post(1), answer(1, 200, 1), end_of(0, 1, 2, 250), sent(1, 300)];
    check(&with_body, &["1 200 9/2 250 5"]);
    let next = [&with_body[..], &[post(2), sent(2, 310), answered(2)]].concat();
    check(&next, &["1 200 9/2 250 5", "2 409 9/0 200 3"]);
}

#[test]
fn what_is_sent_before_it_is_answered_does_not_wait() {
    check(&[client(), get(1), answered(1)], &["1 409 0/0 200 3"]);
    check(&[client(), post(1), sent(1, 150), answered(1)], &["1 409 9/0 200 4"]);
    // The end of the first was lost on the way.
    check(&[client(), post(1), get(2), answered(1)], &["1 409 -/0 200 3"]);
}

#[test]
fn the_next_request_ends_the_wait() {
    let torn = piece(1, 0, 0, 0, "GET /b HT", 290);
    check(&[client(), post(1), answered(1), torn], &["1 409 -/0 200 3"]);
    let records = [client(), post(1), answered(1), get(2), answered(2)];
    check(&records, &["1 409 -/0 200 3", "2 409 0/0 200 2"]);
    // An answer to nobody does not change it.
    let interim = [client(), post(1), answered(1), answer(1, 409, 0), sent(1, 300)];
    check(&interim, &["1 409 9/0 200 4"]);
}

#[test]
fn the_end_of_the_connection_ends_the_wait() {
    let records = |reason| [client(), post(1), answered(1), closed(reason, 104)];
    check(&records(0), &["1 409 -/0 200 4"]);
    check(&records(2), &["1 409 -/0 200 4"]);
}

#[test]
fn the_end_of_the_run_ends_the_wait() {
    let mut exchanges = Exchanges::default();
    let (mut told, lost) = play(&mut exchanges, &[client(), post(1), answered(1)]);
    assert_eq!((told.len(), lost, exchanges.held()), (0, 0, 3));
    assert_eq!(exchanges.finish(BootNanos(900), &mut told), Released::default());
    assert_eq!(lines(&told), ["1 409 -/0 200 3"]);
}

#[test]
fn none_waits_for_ever_and_what_comes_then_is_not_lost() {
    let on_another = |time_ns| {
        let mut record = piece(0, 0, 0, 0, "GET /other", time_ns);
        // The field `connection`.
        record[48..56].copy_from_slice(&9_u64.to_le_bytes());
        record
    };
    let asked = [client(), post(1), answered(1)];
    check(&[&asked[..], &[on_another(200 + MAX_LATE_NS)]].concat(), &[]);
    let overdue = [&asked[..], &[on_another(201 + MAX_LATE_NS)]].concat();
    check(&overdue, &["1 409 -/0 200 3"]);
    let after = [&overdue[..], &[sent(1, MAX_LATE_NS + 300), get(2), answered(2)]].concat();
    check(&after, &["1 409 -/0 200 3", "2 409 0/0 200 3"]);
    let closed_after = [&overdue[..], &[sent(1, MAX_LATE_NS + 300), closed(0, 0)]].concat();
    check(&closed_after, &["1 409 -/0 200 3"]);
}

#[test]
fn so_many_wait_and_no_more() {
    let mut late = super::late::Late::default();
    let id = super::tests::ID;
    let mut due = Vec::new();
    for nth in 0..20_000 {
        late.awaits(BootNanos(7), id, nth);
        due.extend(late.due(BootNanos(8)).map(|(_, ordinal)| ordinal));
    }
    assert_eq!(due, (0..20_000 - 16 * 1024).collect::<Vec<_>>());
}
