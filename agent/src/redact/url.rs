//! Passwords and tokens before the `@` of a URL.

use std::ops::Range;

use super::token;

/// How far a password with a raw `/` in it is sought.
const FAR_BYTES: usize = 256;

/// What to mask in the authority that starts at `start`, just after `://`.
pub(super) fn userinfo(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    let blank = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`<>".contains(byte);
    let ends = |byte: &u8| blank(byte) || b"/?#".contains(byte);
    let authority = rest.get(..rest.iter().position(ends).unwrap_or(rest.len()))?;
    let at = match authority.iter().rposition(|byte| *byte == b'@') {
        Some(at) => at,
        // `user:pa/ss@host`: what follows the colon is no port, so the `@` is further on.
        None => {
            let colon = authority.iter().position(|byte| *byte == b':')?;
            let port = authority.get(colon + 1..)?;
            if port.is_empty() || port.iter().all(u8::is_ascii_digit) || authority.starts_with(b"[")
            {
                return None;
            }
            let far = rest.get(..FAR_BYTES.min(rest.len()))?;
            let far = far.get(..far.iter().position(blank).unwrap_or(far.len()))?;
            far.iter().rposition(|byte| *byte == b'@')?
        }
    };
    let secret = user_and_pass(rest.get(..at)?)?;
    Some(start + secret.start..start + secret.end)
}

/// The pass of `user:pass`; all, where the user is a token.
fn user_and_pass(userinfo: &[u8]) -> Option<Range<usize>> {
    let user = userinfo.iter().position(|byte| *byte == b':').unwrap_or(userinfo.len());
    if userinfo.get(..user).is_some_and(|user| token::is_random(user, 20)) {
        return Some(0..userinfo.len());
    }
    Some(user + 1..userinfo.len()).filter(|range| !range.is_empty() && range.start < range.end)
}

/// The same without a scheme, as the proxy of curl: `user:pass@host:port`.
pub(super) fn bare_userinfo(text: &[u8]) -> Option<Range<usize>> {
    let at = text.iter().rposition(|byte| *byte == b'@')?;
    let authority = memchr::memmem::find(text, b"://").map_or(0, |scheme| scheme + 3);
    let secret = user_and_pass(text.get(authority..at)?)?;
    Some(authority + secret.start..authority + secret.end)
}
