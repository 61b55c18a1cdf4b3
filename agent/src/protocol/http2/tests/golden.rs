//! Bytes of real peers, recorded by `golden/record.mjs`, which says how.

use super::*;

fn check(recorded: &str, expected: &[&str]) -> Seen {
    let mut seen = Seen::of(Connection::new());
    for (time, line) in (0..).zip(recorded.lines()) {
        let mut fields = line.split(' ');
        let direction = if fields.next() == Some(">") { Request } else { Response };
        let offset = fields.next().unwrap().parse().unwrap();
        let bytes = hpack::vectors::unhex(fields.next().unwrap());
        seen.run(&Run { direction, time, offset, bytes });
    }
    let seen = seen.closed().counted(Counts::default());
    assert_eq!(seen.lines(), expected);
    seen
}

#[test]
fn curl_and_node() {
    let seen = check(include_str!("golden/curl.txt"), &["0 POST /one?x=1 200 5/5"]);
    let request = &seen.out[0].request;
    assert_eq!(request.user_agent.as_deref(), Some("curl/7.88.1"));
    let context = request.context.as_ref().unwrap();
    assert_eq!(context.span_id.to_string(), "00f067aa0ba902b7");
}

/// Three requests at once, one of which is answered with a push and one with trailers; one with an
/// answer of class 1xx first; one that is cancelled.
#[test]
fn node_and_node() {
    let expected = [
        "0 GET /page 200 0/5",
        "2 POST /post 200 40000/9",
        "3 GET /style.css 200 0/6",
        "1 GET /trailers 200 0/13",
        "4 GET /hint 200 0/5",
        "5 GET /never - 0/0 Cancelled",
    ];
    check(include_str!("golden/node.txt"), &expected);
}

/// The service `health` of grpc-go 1.81.1 and its client, through a proxy that writes down what it
/// reads: `Check` of a service that is there, of one that is not and of the server; `Watch` of the
/// first, cancelled after its state changed; `Check` again; the client closes.
#[test]
fn grpc_go() {
    let expected = [
        "0 POST /grpc.health.v1.Health/Check 200 8/7 grpc 0 1/1",
        "1 POST /grpc.health.v1.Health/Check 200 14/0 grpc 5 1/0",
        "2 POST /grpc.health.v1.Health/Check 200 5/7 grpc 0 1/1",
        "3 POST /grpc.health.v1.Health/Watch 200 8/14 grpc ? 1/2 Cancelled",
        "4 POST /grpc.health.v1.Health/Check 200 8/7 grpc 0 1/1",
    ];
    check(include_str!("golden/grpc_go.txt"), &expected);
}
