//! Connections that speak HTTP/1, as two ends of them may.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    http2,
    script::{CONTEXT, Part, Script, body, bytes},
};
use crate::protocol::Direction::{Request, Response};

#[derive(Debug, Clone)]
enum Body {
    None,
    Length(usize),
    Chunks { sizes: Vec<usize>, with_more: bool },
}

/// How the end of the request and the answer go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// The answer follows.
    Plain,
    /// An interim answer comes between the head and the body.
    Continue,
    /// The answer does not wait for the end of the request.
    Early,
}

#[derive(Debug, Clone)]
struct Exchange {
    method: &'static str,
    /// Bytes of a field that is in the way.
    filler: usize,
    line_end: &'static str,
    /// Empty lines before the request.
    blank: usize,
    is_traced: bool,
    up: Body,
    status: u16,
    down: Body,
    pace: Pace,
}

/// What becomes of the connection.
#[derive(Debug, Clone)]
enum Last {
    Closed,
    UntilClose(usize),
    /// The answer is longer than it gets to be.
    CutShort(usize),
    Unanswered,
    Tunnel(usize),
    WebSocket(usize),
    Http2(http2::Plan),
}

fn bodies() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::None),
        (0..300_usize).prop_map(Body::Length),
        (vec(1..60_usize, 0..6), any::<bool>())
            .prop_map(|(sizes, with_more)| Body::Chunks { sizes, with_more }),
    ]
}

fn exchanges() -> impl Strategy<Value = Exchange> {
    let method = select(vec!["GET", "HEAD", "POST", "PUT", "OPTIONS", "PURGE"]);
    let filler = prop_oneof![6 => 0..1_usize, 6 => 1..200_usize, 1 => 3000..10_000_usize];
    let line_end = prop_oneof![4 => Just("\r\n"), 1 => Just("\n")];
    let blank = prop_oneof![4 => Just(0), 1 => 1..3_usize];
    let status = select(vec![200_u16, 201, 204, 304, 404, 503]);
    let pace = select(vec![Pace::Plain, Pace::Plain, Pace::Continue, Pace::Early]);
    let framing = (filler, line_end, blank);
    let parts = (method, framing, any::<bool>(), bodies(), status, bodies(), pace);
    parts.prop_map(|(method, (filler, line_end, blank), is_traced, up, status, down, pace)| {
        Exchange { method, filler, line_end, blank, is_traced, up, status, down, pace }
    })
}

fn lasts() -> impl Strategy<Value = Last> {
    prop_oneof![
        3 => Just(Last::Closed),
        1 => (0..200_usize).prop_map(Last::UntilClose),
        1 => (0..200_usize).prop_map(Last::CutShort),
        1 => Just(Last::Unanswered),
        1 => (0..200_usize).prop_map(Last::Tunnel),
        1 => (0..200_usize).prop_map(Last::WebSocket),
        1 => http2::plans().prop_map(Last::Http2),
    ]
}

/// A request, and then the answer.
pub(super) fn alone() -> impl Strategy<Value = Script> {
    exchanges().prop_map(|one| {
        let mut script = Script::default();
        Exchange { pace: Pace::Plain, ..one }.alone(&mut script);
        script
    })
}

/// Connections with their requests one by one.
pub(super) fn one_by_one() -> impl Strategy<Value = Script> {
    vec(exchanges(), 1..4).prop_map(|exchanges| {
        let mut script = Script::default();
        exchanges.iter().for_each(|one| one.alone(&mut script));
        script.expected = exchanges.iter().map(Exchange::line).collect();
        script
    })
}

/// Connections with their requests one by one or several at once.
pub(super) fn scripts() -> impl Strategy<Value = Script> {
    (vec(exchanges(), 0..5), 1..4_usize, lasts()).prop_map(|(exchanges, at_once, last)| {
        let mut script = Script::default();
        for several in exchanges.chunks(at_once) {
            match several {
                [one] => one.alone(&mut script),
                _ => {
                    script.say(Request, several.iter().flat_map(Exchange::request));
                    script.say(Response, several.iter().flat_map(Exchange::response));
                }
            }
            script.expected.extend(several.iter().map(Exchange::line));
        }
        last.say(&mut script);
        script
    })
}

impl Exchange {
    fn request_head(&self) -> Part {
        let Self { method, filler, line_end, blank, is_traced, up, .. } = self;
        let (before, framing) = ("\n".repeat(*blank), up.framing());
        let filler = field("X-Filler", *filler);
        let context = if *is_traced { format!("Traceparent: {CONTEXT}\n") } else { String::new() };
        let text = format!(
            "{before}{method} /a?b HTTP/1.1\nHost: a.example\n{filler}{framing}{context}\n"
        );
        shown(&text, line_end)
    }

    fn request(&self) -> Vec<Part> {
        [vec![self.request_head()], self.up.parts()].concat()
    }

    fn response(&self) -> Vec<Part> {
        let Self { method, filler, line_end, status, down, .. } = self;
        let has_none = *method == "HEAD" || [204, 304].contains(status);
        let framing = if has_none || down.len() > 0 || matches!(down, Body::Chunks { .. }) {
            down.framing()
        } else {
            "content-length:0\n".to_owned()
        };
        let filler = field("Set-Cookie", filler / 2);
        let head = shown(&format!("HTTP/1.1 {status} X\n{filler}{framing}\n"), line_end);
        let body = if has_none { Vec::new() } else { down.parts() };
        [vec![head], body].concat()
    }

    fn alone(&self, script: &mut Script) {
        match self.pace {
            Pace::Plain => {
                script.say(Request, self.request());
                script.say(Response, self.response());
            }
            Pace::Continue => {
                script.say(Request, [self.request_head()]);
                let interim = "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: </x>\n\n";
                script.say(Response, [shown(interim, self.line_end)]);
                script.say(Request, self.up.parts());
                script.say(Response, self.response());
            }
            Pace::Early => {
                script.say(Request, [self.request_head()]);
                script.say_both(self.up.parts(), self.response());
            }
        }
    }

    fn line(&self) -> String {
        let has_none = self.method == "HEAD" || [204, 304].contains(&self.status);
        let down = if has_none { 0 } else { self.down.len() };
        let method = if self.method == "PURGE" { "_OTHER" } else { self.method };
        format!("{method} {} {}/{down}", self.status, self.up.len())
    }
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Length(len) => *len,
            Self::Chunks { sizes, .. } => sizes.iter().sum(),
        }
    }

    fn framing(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Length(len) => format!("CONTENT-Length:  {len} \n"),
            Self::Chunks { .. } => "Transfer-encoding: gzip, Chunked\n".to_owned(),
        }
    }

    fn parts(&self) -> Vec<Part> {
        match self {
            Self::None => Vec::new(),
            Self::Length(len) => vec![body(*len)],
            Self::Chunks { sizes, with_more } => {
                let extension = if *with_more { ";name=\"c4n4ry\"" } else { "" };
                let trailers = if *with_more { "Checksum: c4n4ry\r\n" } else { "" };
                let chunk = |size: &usize| {
                    let line = Part::Passed(format!("{size:X}{extension}\r\n").into());
                    [line, body(*size), Part::Passed(b"\r\n".into())]
                };
                let end = Part::Passed(format!("0\r\n{trailers}\r\n").into());
                sizes.iter().flat_map(chunk).chain([end]).collect()
            }
        }
    }
}

impl Last {
    fn say(&self, script: &mut Script) {
        let ask = |script: &mut Script, head: &str| script.say(Request, [shown(head, "\r\n")]);
        let answer = |script: &mut Script, head: &str, rest: Vec<Part>| {
            script.say(Response, [vec![shown(head, "\r\n")], rest].concat());
        };
        let get = "GET / HTTP/1.1\n\n";
        let line = match self {
            Self::Closed => return,
            Self::UntilClose(len) => {
                ask(script, get);
                answer(script, "HTTP/1.0 200 OK\n\n", vec![body(*len)]);
                format!("GET 200 0/{len}")
            }
            Self::CutShort(len) => {
                ask(script, get);
                let head = format!("HTTP/1.1 200 OK\nContent-Length: {}\n\n", len + 7);
                answer(script, &head, vec![body(*len)]);
                format!("GET 200 0/{len} connection_closed")
            }
            Self::Unanswered => {
                ask(script, get);
                "GET - 0/- connection_closed".to_owned()
            }
            Self::Tunnel(len) => {
                ask(script, "CONNECT a.example:443 HTTP/1.1\n\n");
                answer(script, "HTTP/1.1 200 OK\n\n", vec![passed(*len)]);
                script.say_both(vec![passed(*len)], vec![passed(*len)]);
                "CONNECT 200 0/0".to_owned()
            }
            Self::WebSocket(len) => {
                ask(script, "GET / HTTP/1.1\nConnection: Upgrade\nUpgrade: websocket\n\n");
                answer(script, "HTTP/1.1 101 X\nUpgrade: websocket\n\n", vec![passed(*len)]);
                script.say_both(vec![passed(*len)], vec![passed(*len)]);
                "GET 101 0/0".to_owned()
            }
            Self::Http2(plan) => {
                ask(
                    script,
                    "GET / HTTP/1.1\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\n\n",
                );
                answer(script, "HTTP/1.1 101 X\nConnection: Upgrade\nUpgrade: h2c\n\n", Vec::new());
                return plan.say(script, http2::Start::Upgraded);
            }
        };
        script.expected.push(line);
    }
}

/// Of what is no HTTP.
fn passed(len: usize) -> Part {
    Part::Passed(bytes(len))
}

fn field(name: &str, len: usize) -> String {
    if len == 0 { String::new() } else { format!("{name}: {}\n", "x".repeat(len)) }
}

fn shown(text: &str, line_end: &str) -> Part {
    Part::Shown(text.replace('\n', line_end).into())
}
