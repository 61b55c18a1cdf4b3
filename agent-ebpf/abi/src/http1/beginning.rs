//! What a message is, by its first bytes.

use super::line::{Line, word};

/// Longest method that is believed, bytes.
const METHOD_MAX: u64 = 20;
/// `PRI *`: what tells an HTTP/2 connection.
pub(super) const HTTP2_BYTES: u64 = 5;

/// What a first line begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Too short to tell.
    Open,
    Request,
    Response,
    Http2,
    Nothing,
}

/// A method and the first byte of a target in origin, asterisk or absolute form, or in authority form
/// for CONNECT (RFC 9112 §3.2); or a status line.
#[inline(always)]
pub(super) fn beginning(line: &Line) -> Beginning {
    let [mut rest, mut more, mut most] = line.first;
    let mut at = 0;
    while at < METHOD_MAX {
        let byte = rest as u8;
        if byte.wrapping_sub(b'A') >= 26 && byte != b'-' && byte != b'_' {
            break;
        }
        rest = (rest >> 8) | (more << 56);
        more = (more >> 8) | (most << 56);
        most >>= 8;
        at += 1;
    }
    let is_connect = line.first[0] == word(b"CONNECT ");
    if at >= line.len {
        return Beginning::Open;
    }
    if line.first[0] & 0xff_ffff_ffff == word(b"HTTP/") {
        return Beginning::Response;
    }
    if rest as u8 != b' ' || at < 3 {
        return Beginning::Nothing;
    }
    if at + 1 >= line.len {
        return Beginning::Open;
    }
    if line.first[0] & 0xff_ffff_ffff == word(b"PRI *") {
        return Beginning::Http2;
    }
    let target = (rest >> 8) as u8;
    if target == b'/' || target == b'*' || target == b'h' || is_connect {
        Beginning::Request
    } else {
        Beginning::Nothing
    }
}
