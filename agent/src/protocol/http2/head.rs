//! The fields of a header block -> what is kept of them: the heads, and what trailers say of a call.

use super::{
    grpc,
    hpack::Field,
    limit::{Counts, MAX_FIELDS, MAX_TARGET_BYTES, MAX_VALUE_BYTES},
};
use crate::protocol::{RequestHead, ResponseHead, context::Carriers};

/// The fields that mean something to us. The first of a name counts.
#[derive(Debug, Default)]
pub(super) struct Fields {
    method: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    host: Option<String>,
    user_agent: Option<String>,
    content_type: Option<String>,
    status: Option<ResponseHead>,
    grpc_status: Option<Option<u32>>,
    timeout_ns: Option<u64>,
    carriers: Carriers,
    seen: u32,
    left_out: u32,
    unknown: u32,
    cut: u32,
}

impl Fields {
    pub(super) fn field(&mut self, field: Field<'_>) {
        if self.seen == MAX_FIELDS {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.seen += 1;
        let (Some(name), Some(value)) = (field.name, field.value) else {
            self.unknown += 1;
            return;
        };
        let (slot, max) = match name {
            b":method" => (&mut self.method, MAX_VALUE_BYTES),
            b":scheme" => (&mut self.scheme, MAX_VALUE_BYTES),
            b":authority" => (&mut self.authority, MAX_VALUE_BYTES),
            b":path" => (&mut self.path, MAX_TARGET_BYTES),
            b"host" => (&mut self.host, MAX_VALUE_BYTES),
            b"user-agent" => (&mut self.user_agent, MAX_VALUE_BYTES),
            b"content-type" => (&mut self.content_type, MAX_VALUE_BYTES),
            b":status" => {
                self.status = self.status.or_else(|| status(value));
                return;
            }
            b"grpc-status" => {
                self.grpc_status.get_or_insert_with(|| grpc::status(value));
                return;
            }
            b"grpc-timeout" => {
                self.timeout_ns = self.timeout_ns.or_else(|| grpc::timeout_ns(value));
                return;
            }
            _ => return self.carriers.header(name, value),
        };
        if slot.is_none() {
            self.cut += u32::from(value.len() > max);
            *slot = Some(text(value, max));
        }
    }

    pub(super) fn count(&self, counts: &mut Counts) {
        counts.fields_unknown += u64::from(self.unknown);
        counts.fields_left_out += u64::from(self.left_out);
        counts.texts_cut += u64::from(self.cut);
    }

    /// Whether a field that was to be read could not be: what is not there may be that one.
    pub(super) fn has_unknown(&self) -> bool {
        self.unknown > 0
    }

    /// `None` if nothing in it is of a request, which trailers never have.
    pub(super) fn request(self) -> Option<RequestHead> {
        let is_request = self.method.is_some() || self.scheme.is_some() || self.path.is_some();
        let found = self.carriers.found();
        is_request.then(|| RequestHead {
            method: self.method.unwrap_or_default(),
            scheme: self.scheme,
            // RFC 9113 §8.3.1: who translates from HTTP/1 may leave it in `host`.
            authority: self.authority.or(self.host),
            target: self.path.unwrap_or_default(),
            user_agent: self.user_agent,
            content_type: self.content_type,
            asks_for_h2c: false,
            timeout_ns: self.timeout_ns,
            context: found.context,
            malformed_context: found.malformed,
            is_cut: false,
        })
    }

    pub(super) fn response(&self) -> Option<ResponseHead> {
        self.status
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.content_type.as_deref().is_some_and(grpc::is_content_type)
    }

    pub(super) fn grpc_status(&self) -> Option<u32> {
        self.grpc_status.flatten()
    }
}

/// RFC 9110 §15: three digits.
fn status(value: &[u8]) -> Option<ResponseHead> {
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = value else { return None };
    let digit = |byte: &u8| u16::from(*byte - b'0');
    Some(ResponseHead { status: digit(a) * 100 + digit(b) * 10 + digit(c) })
}

fn text(value: &[u8], max: usize) -> String {
    let Some(start) = value.get(..max).filter(|_| value.len() > max) else {
        return String::from_utf8_lossy(value).into_owned();
    };
    let mut text = String::from_utf8_lossy(start).into_owned();
    text.push('\u{2026}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in list {
            let known = |text: &'static str| (text != "?").then_some(text.as_bytes());
            let (name, value) = (name.to_string().leak(), value.to_string().leak());
            fields.field(Field { name: known(name), value: known(value) });
        }
        fields
    }

    #[test]
    fn a_request_is_what_has_one_of_its_fields() {
        let check = |list: &[(&str, &str)], expected: Option<(&str, &str, Option<&str>)>| {
            let head = fields(list).request();
            let found = head.as_ref().map(|head| {
                (head.method.as_str(), head.target.as_str(), head.authority.as_deref())
            });
            assert_eq!(found, expected, "{list:?}");
        };
        check(&[(":method", "GET"), (":path", "/"), ("host", "a")], Some(("GET", "/", Some("a"))));
        check(
            &[(":method", "GET"), ("host", "a"), (":authority", "b")],
            Some(("GET", "", Some("b"))),
        );
        check(&[(":method", "GET"), (":method", "PUT")], Some(("GET", "", None)));
        check(&[(":scheme", "http"), ("?", "?")], Some(("", "", None)));
        check(&[("?", "?"), ("host", "a")], None);
        check(&[("grpc-status", "0")], None);
        check(&[], None);
    }

    #[test]
    fn a_status_is_three_digits() {
        let check = |value: &str, expected: Option<u16>| {
            let response = fields(&[(":status", value)]).response();
            assert_eq!(response.map(|head| head.status), expected, "{value}");
        };
        check("200", Some(200));
        check("999", Some(999));
        check("099", None);
        check("20", None);
        check("2000", None);
        check("2x0", None);
        check("?", None);
    }

    #[test]
    fn what_is_beyond_a_bound_is_counted() {
        let mut long = fields(&[(":path", &"/".repeat(MAX_TARGET_BYTES + 1)), ("?", "x")]);
        for _ in 0..MAX_FIELDS {
            long.field(Field { name: Some(b"host"), value: Some(b"x") });
        }
        let mut counts = Counts::default();
        long.count(&mut counts);
        let expected =
            Counts { texts_cut: 1, fields_unknown: 1, fields_left_out: 2, ..Counts::default() };
        assert_eq!(counts, expected);
        let head = long.request().unwrap();
        assert_eq!(head.target.chars().count(), MAX_TARGET_BYTES + 1);
        assert!(head.target.ends_with('\u{2026}'));
    }
}
