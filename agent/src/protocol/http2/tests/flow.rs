//! Exchanges of connections that are seen whole.

use super::*;

fn check(wire: &Wire, expected: &[&str]) {
    let seen = wire.seen().closed().counted(Counts::default());
    assert_eq!(seen.lines(), expected);
}

#[test]
fn a_request_and_its_answer() {
    let mut wire = Wire::new();
    let head = block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "a.example:8443"),
        (":path", "/p?q=1"),
        ("user-agent", "curl/8"),
        ("content-type", "text/plain"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ]);
    wire.headers(Request, 0, 1, &head).data(Request, 0, 1, b"12345").data(Request, 1, 1, b"678");
    wire.headers(Response, 0, 1, &status("201")).data(Response, 1, 1, b"four");
    let seen = wire.seen().counted(Counts::default());
    assert_eq!(seen.lines(), ["0 POST /p?q=1 201 8/4"]);
    let exchange = &seen.out[0];
    assert_eq!((exchange.request_first, exchange.request_last), (BootNanos(6), BootNanos(8)));
    let (first, last) = (Some(BootNanos(9)), Some(BootNanos(10)));
    assert_eq!((exchange.response_first, exchange.response_last), (first, last));
    assert_eq!((exchange.end, exchange.grpc), (BootNanos(10), None));
    let request = &exchange.request;
    assert_eq!(request.scheme.as_deref(), Some("https"));
    assert_eq!(request.authority.as_deref(), Some("a.example:8443"));
    assert_eq!(request.user_agent.as_deref(), Some("curl/8"));
    assert_eq!(request.content_type.as_deref(), Some("text/plain"));
    assert_eq!(&*request.context.as_ref().unwrap().trace_state, "a=1,b=2");
}

#[test]
fn padding_priority_continuations_and_frames_of_no_matter_are_passed_over() {
    let mut wire = Wire::new();
    let head = get("/padded");
    let (start, rest) = head.split_at(20);
    let (middle, end) = rest.split_at(1);
    let padded = [&[3, 0, 0, 0, 0, 16][..], start, &[0; 3]].concat();
    wire.frame(Request, HEADERS, 0x20 | PADDED | END_STREAM, 1, &padded);
    wire.frame(Request, CONTINUATION, 0, 1, middle).frame(Request, CONTINUATION, 0, 1, &[]);
    wire.frame(Request, CONTINUATION, END_HEADERS, 1, end);
    wire.frame(Request, 2, 0, 1, &[0; 5]).frame(Request, 8, 0, 0, &[0, 0, 1, 0]);
    wire.frame(Response, 0xfe, 0xff, 77, b"what is this").frame(Response, PING, 0, 0, &[0; 8]);
    wire.headers(Response, 0, 1, &status("103")).headers(Response, 0, 1, &status("200"));
    wire.data(Response, PADDED, 1, &[9; 20]).frame(Response, DATA, END_STREAM, 1, b"");
    check(&wire, &["0 GET /padded 200 0/20"]);
}

#[test]
fn informational_answers_are_not_the_answer() {
    let mut wire = Wire::new();
    wire.headers(Request, END_STREAM, 1, &get("/")).headers(Response, 0, 1, &status("100"));
    wire.headers(Response, 0, 1, &status("103")).headers(Response, END_STREAM, 1, &status("204"));
    let seen = wire.seen();
    assert_eq!(seen.lines(), ["0 GET / 204 0/0"]);
    assert_eq!(seen.out[0].response_first, Some(BootNanos(9)));
}

#[test]
fn an_exchange_can_end_before_it_is_whole() {
    let check = |frames: &dyn Fn(&mut Wire), expected: &str| {
        let mut wire = Wire::new();
        wire.headers(Request, END_STREAM, 1, &get("/"));
        frames(&mut wire);
        check(&wire, &[expected]);
    };
    let reset = |direction: Direction, code: u8| {
        move |wire: &mut Wire| {
            wire.frame(direction, RST_STREAM, 0, 1, &[0, 0, 0, code]);
        }
    };
    check(&|_| (), "0 GET / - 0/0 Closed");
    check(&reset(Request, 8), "0 GET / - 0/0 Cancelled");
    check(&reset(Response, 7), "0 GET / - 0/0 Refused");
    check(&reset(Response, 2), "0 GET / - 0/0 Reset");
    check(&reset(Response, 0), "0 GET / - 0/0 Reset");
    let goaway = |last: u8| {
        move |wire: &mut Wire| {
            wire.frame(Response, GOAWAY, 0, 0, &[0x80, 0, 0, last, 0, 0, 0, 0, b'?']);
        }
    };
    check(&goaway(0), "0 GET / - 0/0 GoAway");
    check(&goaway(1), "0 GET / - 0/0 Closed");
    let partly = |wire: &mut Wire| {
        wire.headers(Response, 0, 1, &status("200")).data(Response, 0, 1, b"abc");
    };
    check(&partly, "0 GET / 200 0/3 Closed");
}

#[test]
fn what_comes_after_a_whole_answer_does_not_fail_it() {
    for end in [0, 8] {
        let mut wire = Wire::new();
        wire.headers(Request, 0, 1, &get("/early")).data(Request, 0, 1, b"abc");
        wire.headers(Response, END_STREAM, 1, &status("413"));
        wire.frame(Response, RST_STREAM, 0, 1, &[0, 0, 0, end]);
        wire.headers(Response, END_STREAM, 1, &block(&[("late", "trailer")]));
        wire.data(Request, 1, 1, b"more");
        check(&wire, &["0 GET /early 413 3/0"]);
    }
    let mut wire = Wire::new();
    wire.headers(Request, 0, 1, &get("/open")).headers(Response, END_STREAM, 1, &status("200"));
    let seen = wire.seen().closed();
    assert_eq!(seen.lines(), ["0 GET /open 200 0/0"]);
    assert_eq!(seen.out[0].end, BootNanos(7));
}

#[test]
fn requests_behind_a_goaway_are_not_answered() {
    let mut wire = Wire::new();
    wire.headers(Request, END_STREAM, 1, &get("/1"));
    wire.frame(Response, GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    wire.headers(Request, END_STREAM, 3, &get("/3"));
    wire.frame(Response, GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    wire.headers(Request, END_STREAM, 5, &get("/5"));
    wire.headers(Response, END_STREAM, 1, &status("200"));
    check(&wire, &["1 GET /3 - 0/0 GoAway", "2 GET /5 - 0/0 GoAway", "0 GET /1 200 0/0"]);
}

#[test]
fn a_pushed_answer_belongs_to_what_was_promised() {
    let mut wire = Wire::new();
    let promise = [&[0, 0, 0, 2][..], &get("/pushed")].concat();
    wire.headers(Request, END_STREAM, 1, &get("/page"));
    wire.frame(Response, PUSH_PROMISE, END_HEADERS, 1, &promise);
    wire.headers(Response, END_STREAM, 1, &status("200"));
    wire.headers(Response, 0, 2, &status("200")).data(Response, END_STREAM, 2, b"css");
    let refused = [&[0, 0, 0, 4][..], &get("/unwanted")].concat();
    wire.frame(Response, PUSH_PROMISE, END_HEADERS, 1, &refused);
    wire.frame(Request, RST_STREAM, 0, 4, &[0, 0, 0, 8]);
    let unwanted = "2 GET /unwanted - 0/0 Cancelled";
    check(&wire, &["0 GET /page 200 0/0", "1 GET /pushed 200 0/3", unwanted]);
}

#[test]
fn connect_has_no_target() {
    let mut wire = Wire::new();
    let connect = block(&[(":method", "CONNECT"), (":authority", "b.example:443")]);
    wire.headers(Request, 0, 1, &connect).headers(Response, 0, 1, &status("200"));
    wire.data(Request, 1, 1, b"up").data(Response, 1, 1, b"down");
    check(&wire, &["0 CONNECT  200 2/4"]);
}

#[test]
fn an_upgraded_request_is_stream_1() {
    let mut seen = Seen::of(Connection::upgraded(Upgrade {
        ordinal: 4,
        request: RequestHead {
            method: "GET".into(),
            target: "/up".into(),
            ..RequestHead::default()
        },
        request_first: BootNanos(1),
        request_last: BootNanos(2),
        request_body_bytes: 6,
    }));
    let mut wire = Wire::joined();
    // The client allowed a larger table in its request.
    let larger = [&b"\x3f\xe1\x7f"[..], &status("200")].concat();
    wire.frame(Response, SETTINGS, 0, 0, b"").headers(Response, END_STREAM, 1, &larger);
    wire.raw(Request, PREFACE).frame(Request, SETTINGS, 0, 0, b"");
    wire.headers(Request, END_STREAM, 3, &get("/3"));
    wire.headers(Response, END_STREAM, 3, &status("404"));
    wire.runs.iter().for_each(|run| seen.run(run));
    assert_eq!(seen.lines(), ["4 GET /up 200 6/0", "5 GET /3 404 0/0"]);
    seen.counted(Counts::default());
}

#[test]
fn table_sizes_hold_from_their_acknowledgement_on() {
    let resize = |bytes: &[u8]| [bytes, &get("/")].concat();
    let check = |acknowledged: bool, update: &[u8], malformed: u64| {
        let mut wire = Wire::new();
        // 8192 bytes, by the server; then settings that say nothing of it.
        wire.frame(Response, SETTINGS, 0, 0, b"\0\x01\0\0\x20\0");
        wire.frame(Response, SETTINGS, 0, 0, b"");
        if acknowledged {
            wire.frame(Request, SETTINGS, 1, 0, b"");
        }
        wire.headers(Request, END_STREAM, 1, &resize(update));
        let unreadable = Counts {
            blocks_malformed: malformed,
            requests_unreadable: malformed,
            ..Counts::default()
        };
        wire.seen().counted(unreadable);
    };
    check(false, b"\x3f\xe1\x1f", 0); // 4096
    check(false, b"\x3f\xe1\x3f", 1); // 8192
    check(true, b"\x3f\xe1\x3f", 0);
    check(true, b"\x3f\xe2\x3f", 1); // 8193
}

#[test]
fn a_thousand_streams_at_once_lose_nothing() {
    let mut wire = Wire::new();
    let streams = || (0..1000_u32).map(|index| 2 * index + 1);
    for stream in streams() {
        wire.headers(Request, 0, stream, &get(&format!("/{stream}")));
    }
    for stream in streams().rev() {
        wire.data(Request, 1, stream, &[0; 7]).headers(Response, 0, stream, &status("200"));
    }
    for stream in streams().filter(|stream| stream % 3 != 0) {
        wire.data(Response, 1, stream, &[0; 9]);
    }
    for stream in streams().filter(|stream| stream % 3 == 0) {
        wire.data(Response, 1, stream, &[0; 9]);
    }
    let seen = wire.seen().counted(Counts::default());
    assert_eq!(seen.connection.open(), 0);
    let mut out = seen.out;
    out.sort_by_key(|exchange| exchange.ordinal);
    for (index, (exchange, stream)) in out.iter().zip(streams()).enumerate() {
        assert_eq!(line(exchange), format!("{index} GET /{stream} 200 7/9"));
    }
    assert_eq!(out.len(), 1000);
}

#[test]
fn beyond_a_bound_requests_are_refused_and_counted() {
    let mut wire = Wire::new();
    let more = 10;
    let max = u32::try_from(limit::MAX_STREAMS).unwrap();
    for index in 0..max + more {
        wire.headers(Request, END_STREAM, 2 * index + 1, &get("/"));
    }
    for index in 0..max + more {
        wire.headers(Response, END_STREAM, 2 * index + 1, &status("200"));
    }
    let more = u64::from(more);
    let refused = Counts { streams_refused: more, responses_unmatched: more, ..Counts::default() };
    assert_eq!(wire.seen().counted(refused).out.len(), limit::MAX_STREAMS);
}

#[test]
fn long_blocks_and_texts_are_bounded() {
    let mut wire = Wire::new();
    // A path of 10 000 bytes, as a literal of its own length.
    let path = [&b"\x04\x7f\x91\x4d"[..], &[b'p'; 10_000]].concat();
    wire.headers(Request, END_STREAM, 1, &[&block(&[(":method", "GET")])[..], &path].concat());
    wire.frame(Request, HEADERS, END_STREAM, 3, &get("/long"));
    for _ in 0..5 {
        wire.frame(Request, CONTINUATION, 0, 3, &[0; 16_000]);
    }
    wire.frame(Request, CONTINUATION, END_HEADERS, 3, &[]);
    wire.headers(Request, END_STREAM, 5, &vec![0; 70_000]);
    wire.headers(Request, END_STREAM, 7, &[&b"\x3f\xe1\xff\x07"[..], &get("/next")].concat());
    let counts =
        Counts { texts_cut: 1, blocks_too_long: 2, requests_unreadable: 2, ..Counts::default() };
    let seen = wire.seen().counted(counts).closed();
    assert_eq!(seen.out[0].request.target.len(), limit::MAX_TARGET_BYTES + 3);
    assert_eq!(seen.lines()[1..], ["1 GET /next - 0/0 Closed"]);
}
