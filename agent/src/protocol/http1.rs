//! The head of an HTTP/1 message, whole or cut (RFC 9112). Which message it is, and how long its
//! body is, the kernel side knows.

use std::borrow::Cow;

use super::{RequestHead, ResponseHead, Version, context::Carriers};

/// Fields that are looked at; those behind them are not.
const MAX_FIELDS: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    Request(Box<RequestHead>, Version),
    Response(ResponseHead, Version),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no head of an HTTP/1 message")]
pub struct NoHead;

/// Reads a head. Of one that was cut, what is there.
pub fn head(bytes: &[u8]) -> Result<Head, NoHead> {
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).ok_or(NoHead)?;
    let bytes = unfolded(bytes.get(start..).unwrap_or_default());
    if bytes.starts_with(b"HTTP/") { response(&bytes) } else { request(&bytes) }
}

/// A field that goes on in the next line (obs-fold, RFC 9112 §5.2) gets a blank instead.
fn unfolded(bytes: &[u8]) -> Cow<'_, [u8]> {
    let folds = |pair: &[u8]| matches!(pair, [b'\n', b' ' | b'\t']);
    if !bytes.windows(2).any(folds) {
        return Cow::Borrowed(bytes);
    }
    let mut bytes = bytes.to_vec();
    let mut before = 0;
    for place in 1..bytes.len() {
        let is_blank = matches!(bytes.get(place), Some(b' ' | b'\t'));
        if is_blank && before == b'\n' {
            for end in [place.checked_sub(1), place.checked_sub(2)].into_iter().flatten() {
                if let Some(byte) = bytes.get_mut(end)
                    && b"\r\n".contains(byte)
                {
                    *byte = b' ';
                }
            }
        }
        before = bytes.get(place).copied().unwrap_or_default();
    }
    Cow::Owned(bytes)
}

fn lenient() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_requests(true)
        .ignore_invalid_headers_in_responses(true);
    config
}

fn request(bytes: &[u8]) -> Result<Head, NoHead> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    // What was parsed before an error or the cut stands.
    let outcome = lenient().parse_request(&mut parsed, bytes);
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Err(NoHead) };
    let mut head = RequestHead {
        method: method.to_owned(),
        target: target.to_owned(),
        ..RequestHead::default()
    };
    let version = version(parsed.version);
    // httparse gives fields of a whole head only.
    if outcome.is_ok_and(|status| status.is_complete()) {
        take_fields(&mut head, parsed.headers.iter().map(|field| (field.name, field.value)));
    } else {
        take_fields(&mut head, lines(bytes));
    }
    Ok(Head::Request(Box::new(head), version))
}

/// The fields of a head that httparse does not take, as far as they are fields.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    // The last line may be cut.
    let end = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    let whole = bytes.get(..end).unwrap_or_default();
    whole.split(|byte| *byte == b'\n').skip(1).take(MAX_FIELDS).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((std::str::from_utf8(name).ok()?.trim(), value.get(1..)?.trim_ascii()))
    })
}

fn take_fields<'a>(head: &mut RequestHead, fields: impl Iterator<Item = (&'a str, &'a [u8])>) {
    let mut carriers = Carriers::default();
    for (name, value) in fields {
        carriers.header(name.as_bytes(), value);
        let place = if name.eq_ignore_ascii_case("host") {
            &mut head.authority
        } else if name.eq_ignore_ascii_case("user-agent") {
            &mut head.user_agent
        } else if name.eq_ignore_ascii_case("content-type") {
            &mut head.content_type
        } else if name.eq_ignore_ascii_case("upgrade") {
            let mut asked = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            head.asks_for_h2c |= asked.any(|one| one.eq_ignore_ascii_case(b"h2c"));
            continue;
        } else {
            continue;
        };
        place.get_or_insert_with(|| String::from_utf8_lossy(value.trim_ascii()).into_owned());
    }
    let found = carriers.found();
    (head.context, head.malformed_context) = (found.context, found.malformed);
}

fn response(bytes: &[u8]) -> Result<Head, NoHead> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let _may_be_cut = lenient().parse_response(&mut parsed, bytes);
    let status = parsed.code.ok_or(NoHead)?;
    Ok(Head::Response(ResponseHead { status }, version(parsed.version)))
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_of(bytes: &str) -> (RequestHead, Version) {
        match head(bytes.as_bytes()) {
            Ok(Head::Request(head, version)) => (*head, version),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_what_it_says() {
        let (head, version) = request_of(
            "\r\nGET /a?b=c HTTP/1.1\r\nhost: api.example:8080\r\nUser-Agent: curl/8\r\n\
             traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
        );
        assert_eq!((head.method.as_str(), head.target.as_str()), ("GET", "/a?b=c"));
        assert_eq!(head.authority.as_deref(), Some("api.example:8080"));
        assert_eq!(head.user_agent.as_deref(), Some("curl/8"));
        assert!(head.context.is_some());
        assert_eq!(version, Version::Http11);
    }

    #[test]
    fn who_wants_http2_says_so() {
        let check = |fields: &str, expected: bool| {
            let (head, _) = request_of(&format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n"));
            assert_eq!(head.asks_for_h2c, expected, "{fields}");
        };
        check("Upgrade: h2c", true);
        check("upgrade: websocket, H2C", true);
        check("Upgrade: h2c\r\nUpgrade: websocket", true);
        check("Upgrade: websocket", false);
        check("X-Upgrade: h2c", false);
    }

    #[test]
    fn servers_tolerate_more_than_they_should_and_so_do_we() {
        let check = |bytes: &str, host: Option<&str>| {
            let (head, _) = request_of(bytes);
            assert_eq!(head.authority.as_deref(), host, "{bytes:?}");
        };
        check("GET / HTTP/1.1\nHost: bare\n\n", Some("bare"));
        check("GET / HTTP/1.1\r\nX: a\r\n  folded\r\nHost: after\r\n\r\n", Some("after"));
        check("GET / HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n", Some("one"));
        check("GET / HTTP/1.0\r\n\r\n", None);
        check("GET / HTTP/1.1\r\nHost: whole\r\nX-Cut: ab", Some("whole"));
        check("GET / HTTP/1.1\r\nHost: cu", None);
    }

    #[test]
    fn a_response_is_its_status() {
        let check = |bytes: &str, expected: Result<u16, NoHead>| {
            let status = head(bytes.as_bytes()).map(|head| match head {
                Head::Response(head, _) => head.status,
                Head::Request(..) => 0,
            });
            assert_eq!(status, expected, "{bytes:?}");
        };
        check("HTTP/1.1 204 No Content\r\n\r\n", Ok(204));
        check("HTTP/1.0 503\r\nx: y\r\n\r\n", Ok(503));
        check("HTTP/1.1 200 OK\r\nX: cu", Ok(200));
        check("HTTP/1.1 2", Err(NoHead));
        check("", Err(NoHead));
        check("\r\n\r\n", Err(NoHead));
        check("nonsense", Err(NoHead));
    }
}
