//! Records of conversations, and the exchanges that come of them.

use abi::{
    WIRE_VERSION,
    header::{Header, Kind},
    socket as wire,
};
use zerocopy::IntoBytes as _;

use super::{Ending, Exchanges, Released, Told};
use crate::{
    decode::decode,
    event::{BootNanos, Event},
    record::tests::task,
};

pub(super) const ID: wire::ConnectionId = wire::ConnectionId { sock: 0xffff_8000, since_ns: 5 };

fn header(kind: Kind, len: usize, time_ns: u64) -> Header {
    Header { kind, version: WIRE_VERSION, len_bytes: u32::try_from(len).unwrap(), time_ns }
}

pub(super) fn announced(role: wire::Role, local_port: u16, remote_port: u16, sock: u64) -> Vec<u8> {
    let mut local = [0; 16];
    local[..4].copy_from_slice(&[127, 0, 0, 1]);
    let fixed = wire::Connection {
        header: header(Kind::CONNECTION, size_of::<wire::Connection>(), 10),
        process: task(10),
        owner: task(10),
        connection: wire::ConnectionId { sock, ..ID },
        role,
        family: 2,
        local_port,
        remote_port,
        error: 0,
        connect_ns: 4,
        connected_ns: 9,
        local,
        remote: local,
        path_len: 0,
        path: [0; wire::PATH_MAX],
    };
    fixed.as_bytes().to_vec()
}

pub(super) fn client() -> Vec<u8> {
    announced(wire::Role::CLIENT, 40_000, 80, ID.sock)
}

/// A piece of a head at `offset`; the flags are those of [`wire::flag`].
pub(super) fn piece(
    sent: u32,
    ordinal: u32,
    offset: u32,
    flags: u32,
    bytes: &str,
    time_ns: u64,
) -> Vec<u8> {
    let fixed = wire::Head {
        header: header(Kind::HEAD, size_of::<wire::Head>() + bytes.len(), time_ns),
        process: task(10),
        owner: task(10),
        connection: ID,
        tid: 10,
        sent,
        offset,
        head_len: u32::try_from(bytes.len()).unwrap(),
        flags,
        ordinal,
    };
    [fixed.as_bytes(), bytes.as_bytes()].concat()
}

pub(super) fn get(ordinal: u32) -> Vec<u8> {
    piece(1, ordinal, 0, 3, "GET /a HTTP/1.1\r\n\r\n", 100)
}

pub(super) fn answer(ordinal: u32, status: u16, flags: u32) -> Vec<u8> {
    piece(0, ordinal, 0, flags, &format!("HTTP/1.1 {status} X\r\n\r\n"), 200)
}

fn end(ordinal: u32, body_bytes: u64) -> Vec<u8> {
    end_of(0, ordinal, body_bytes, 300)
}

pub(super) fn end_of(sent: u32, ordinal: u32, body_bytes: u64, time_ns: u64) -> Vec<u8> {
    let fixed = wire::End {
        header: header(Kind::END, size_of::<wire::End>(), time_ns),
        connection: ID,
        sent,
        ordinal,
        body_bytes,
    };
    fixed.as_bytes().to_vec()
}

pub(super) fn closed(reason: u32, error: u32) -> Vec<u8> {
    closed_with(reason, error, 0)
}

/// `cut` as in the record.
fn closed_with(reason: u32, error: u32, cut: u32) -> Vec<u8> {
    let fixed = wire::Closed {
        header: header(Kind::CLOSED, size_of::<wire::Closed>(), 400),
        connection: ID,
        reason,
        error,
        sent_body_bytes: 0,
        received_body_bytes: 70,
        last_ns: 350,
        cut,
        _pad: 0,
    };
    fixed.as_bytes().to_vec()
}

/// What is told, and how many records are lost; the account is checked after each record.
pub(super) fn play(exchanges: &mut Exchanges, records: &[Vec<u8>]) -> (Vec<Told>, u32) {
    let (mut told, mut account) = (Vec::new(), (0, 0, 0));
    for (nth, record) in (1..).zip(records) {
        let mut out = Vec::new();
        let released = match decode(record) {
            Ok(Event::Connection(connection)) => exchanges.connection(&connection, &mut out),
            Ok(Event::Head(head)) => exchanges.head(&head, &mut out),
            Ok(Event::Frames(frames)) => exchanges.frames(&frames, &mut out),
            Ok(Event::End(end)) => exchanges.end(&end, &mut out),
            Ok(Event::Closed(closed)) => exchanges.closed(&closed, &mut out),
            other => panic!("{other:?}"),
        };
        let Released { settled, unpaired, refused, over_budget } = released;
        account.0 += out.iter().map(Told::records).sum::<u32>();
        account.1 += settled;
        account.2 += unpaired + refused + over_budget;
        let all = u64::from(account.0 + account.1 + account.2) + exchanges.held();
        assert_eq!(all, nth, "after record {nth}");
        told.extend(out);
    }
    (told, account.2)
}

/// `ordinal status ending response-body` of each exchange.
fn check(records: &[Vec<u8>], expected: &[&str], lost: u32) {
    let (told, found_lost) = play(&mut Exchanges::default(), records);
    let shown: Vec<String> = told
        .iter()
        .map(|told| match told {
            Told::Exchange(exchange) => format!(
                "{} {:?} {:?} {:?}",
                exchange.ordinal,
                exchange.response.map(|response| response.status),
                exchange.ending,
                exchange.response_body_bytes
            ),
            Told::Refused(connection) => format!("refused {}", connection.error),
        })
        .collect();
    assert_eq!(shown, expected);
    assert_eq!(found_lost, lost, "{expected:?}");
}

#[test]
fn a_request_and_its_response_are_an_exchange() {
    let whole = "1 Some(204) Whole Some(0)";
    check(&[client(), get(1), answer(1, 204, 3), closed(0, 0)], &[whole], 0);
    let long = "1 Some(200) Whole Some(5)";
    check(&[client(), get(1), answer(1, 200, 1), end(1, 5)], &[long], 0);
}

#[test]
fn a_body_may_end_with_the_connection() {
    let records = [client(), get(1), answer(1, 200, 1), closed_with(0, 0, 1)];
    check(&records, &["1 Some(200) Closed(0) Some(70)"], 0);
    let records = [client(), get(1), answer(1, 200, 1), closed(0, 0)];
    check(&records, &["1 Some(200) Whole Some(70)"], 0);
    let records = [client(), get(1), answer(1, 200, 1), closed(0, 104)];
    check(&records, &["1 Some(200) Closed(104) Some(70)"], 0);
}

#[test]
fn interim_responses_answer_nothing() {
    let records = [client(), get(1), answer(0, 103, 3), answer(1, 200, 3)];
    check(&records, &["1 Some(200) Whole Some(0)"], 0);
}

#[test]
fn pipelined_requests_find_their_responses_by_number() {
    let records = [client(), get(1), get(2), get(3), answer(1, 200, 3), answer(3, 404, 3)];
    check(&records, &["1 Some(200) Whole Some(0)", "3 Some(404) Whole Some(0)"], 0);
}

#[test]
fn an_unanswered_request_is_told_as_that() {
    check(&[client(), get(1), closed(0, 0)], &["1 None Closed(0) None"], 0);
    check(&[client(), get(1), closed(2, 0)], &["1 None Unseen None"], 0);
}

#[test]
fn what_goes_with_nothing_is_no_exchange() {
    check(&[client(), answer(1, 200, 3), closed(0, 0)], &[], 3);
    check(&[end(1, 5)], &[], 1);
    check(&[closed(0, 0)], &[], 1);
    // The rest of the first head was lost.
    let torn = piece(1, 1, 0, 0, "GET /", 90);
    check(&[client(), torn, get(1), answer(1, 200, 3)], &["1 Some(200) Whole Some(0)"], 1);
}

#[test]
fn a_head_in_pieces_is_one() {
    let one = piece(1, 0, 0, 0, "GET /a HT", 90);
    let other = piece(1, 1, 9, 3, "TP/1.1\r\n\r\n", 95);
    check(&[client(), one, other, answer(1, 200, 3)], &["1 Some(200) Whole Some(0)"], 0);
}

#[test]
fn a_connection_that_could_not_be_opened_is_told() {
    let failed = |error: u32, time_ns: u64| {
        let mut failed = client();
        // The fields `header.time_ns` and `error`.
        failed[8..16].copy_from_slice(&time_ns.to_le_bytes());
        failed[76..80].copy_from_slice(&error.to_le_bytes());
        failed
    };
    check(&[failed(111, 10)], &["refused 111"], 0);
    check(&[failed(125, 1_000_000_004)], &["refused 125"], 0);
    check(&[failed(125, 1_000_000_003)], &[], 0);
}

/// The record, on a connection of another socket that was first seen at another time.
pub(super) fn on(mut record: Vec<u8>, since_ns: u64) -> Vec<u8> {
    record[48..56].copy_from_slice(&8_u64.to_le_bytes());
    record[56..64].copy_from_slice(&since_ns.to_le_bytes());
    record
}

#[test]
fn a_client_that_is_gone_before_it_is_read_is_that_of_a_connection_it_outlived() {
    let is_joined = |since_ns| {
        let records = [
            client(),
            get(1),
            answer(1, 204, 3),
            // It moved its last byte at 350.
            closed(0, 0),
            on(announced(wire::Role::SERVER, 80, 40_000, 0), since_ns),
            on(piece(0, 1, 0, 3, "GET /a HTTP/1.1\r\n\r\n", 500), since_ns),
            on(piece(1, 1, 0, 3, "HTTP/1.1 204 X\r\n\r\n", 510), since_ns),
        ];
        let mut exchanges = Exchanges::default();
        let (mut told, _) = play(&mut exchanges, &records);
        assert_eq!(exchanges.tick(BootNanos(u64::MAX), &mut told), Released::default());
        let [_, Told::Exchange(served)] = &told[..] else { panic!("{told:?}") };
        served.peer.is_some()
    };
    assert!(is_joined(300));
    assert!(!is_joined(360));
}

#[test]
fn what_is_open_at_the_end_is_told_as_unseen() {
    let mut exchanges = Exchanges::default();
    let mut out = Vec::new();
    for record in [client(), get(1)] {
        let released = match decode(&record) {
            Ok(Event::Connection(connection)) => exchanges.connection(&connection, &mut out),
            Ok(Event::Head(head)) => exchanges.head(&head, &mut out),
            other => panic!("{other:?}"),
        };
        assert_eq!(released, Released::default());
    }
    assert_eq!(exchanges.held(), 2);
    assert_eq!(exchanges.finish(BootNanos(900), &mut out), Released::default());
    assert!(
        matches!(&out[..], [Told::Exchange(one)] if one.ending == Ending::Unseen && one.records == 2)
    );
    assert_eq!(exchanges.held(), 0);
}
