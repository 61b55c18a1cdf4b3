//! The part of a value that must not be seen, given what its name says.

use std::ops::Range;

use super::name::Meaning;
use super::token;

impl Meaning {
    /// The part of `value` that must not be seen.
    pub(super) fn secret(self, value: &[u8]) -> Option<Range<usize>> {
        if value.is_empty() || is_expansion(value) {
            return None;
        }
        let whole = Some(0..value.len());
        match self {
            Self::Plain | Self::InQuery | Self::RandomInQuery => None,
            Self::Secret => whole,
            Self::SecretOrPath => whole.filter(|_| !is_path(value)),
            Self::Pass => pass(value),
            Self::Pwd => whole.filter(|_| !matches!(value, [b'/' | b'.', ..])),
            Self::Cookie => whole.filter(|_| value.contains(&b'=')),
            Self::Authorization => Some(scheme_bytes(value)..value.len()),
            Self::Credentials if is_method(value) => None,
            Self::Credentials => match scheme_bytes(value) {
                0 => user_and(b':', value).or(whole),
                scheme => Some(scheme..value.len()),
            },
        }
    }

    /// The same for a value that is the content of a header or a variable, never an option's.
    pub(super) fn whole(self, value: &[u8]) -> Option<Range<usize>> {
        match self {
            Self::Cookie | Self::Credentials => Some(scheme_bytes(value)..value.len()),
            Self::Plain
            | Self::Secret
            | Self::SecretOrPath
            | Self::Pass
            | Self::Pwd
            | Self::Authorization
            | Self::InQuery
            | Self::RandomInQuery => self.secret(value),
        }
    }

    /// The same for a value that follows `?key=` or `&key=`.
    pub(super) fn in_query(self, value: &[u8]) -> Option<Range<usize>> {
        match self {
            Self::InQuery => Some(0..value.len()),
            Self::RandomInQuery => token::is_random(value, 20).then_some(0..value.len()),
            Self::Plain
            | Self::Secret
            | Self::SecretOrPath
            | Self::Pass
            | Self::Pwd
            | Self::Credentials
            | Self::Authorization
            | Self::Cookie => self.secret(value),
        }
    }
}

/// `user:pass` with the pass to be masked; a token that stands for the user, too.
pub(super) fn user_and(separator: u8, value: &[u8]) -> Option<Range<usize>> {
    let user = value.iter().position(|byte| *byte == separator)?;
    if value.get(..user).is_some_and(|user| token::is_random(user, 20)) {
        return Some(0..value.len());
    }
    Some(user + 1..value.len()).filter(|range| !range.is_empty())
}

/// Names a value that the shell will compute: there is nothing to see. A bare `$name` may be one,
/// or a password.
fn is_expansion(value: &[u8]) -> bool {
    if value == b"$" || value.starts_with(b"$(") {
        return true;
    }
    let inner = value.strip_prefix(b"${").and_then(|rest| rest.strip_suffix(b"}"));
    inner.is_some_and(|name| name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'))
}

fn is_path(value: &[u8]) -> bool {
    let path = [&b"/"[..], b"./", b"../", b"~/", b"@", b"file:", b"fileb:"];
    path.iter().any(|start| value.starts_with(start))
        && !value.iter().any(|byte| matches!(byte, b'+' | b'=') || byte.is_ascii_whitespace())
}

/// OpenSSL's pass phrase arguments, and the number of a pass.
pub(super) fn pass(value: &[u8]) -> Option<Range<usize>> {
    if let Some(secret) = value.strip_prefix(b"pass:") {
        return Some(value.len() - secret.len()..value.len());
    }
    let elsewhere = [&b"file:"[..], b"env:", b"fd:"].iter().any(|start| value.starts_with(start));
    let number = value.len() <= 2 && value.iter().all(u8::is_ascii_digit);
    (!elsewhere && !number && value != b"stdin").then_some(0..value.len())
}

fn is_method(value: &[u8]) -> bool {
    let methods = [
        "basic",
        "digest",
        "bearer",
        "none",
        "ntlm",
        "kerberos",
        "negotiate",
        "oauth",
        "oauth2",
        "ldap",
        "jwt",
        "token",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "sha1",
        "sha256",
        "sha512",
        "md5",
    ];
    methods.iter().any(|method| value.eq_ignore_ascii_case(method.as_bytes()))
}

/// How much of the value is a known authentication scheme and the blanks after it.
fn scheme_bytes(value: &[u8]) -> usize {
    let schemes = [
        "bearer",
        "basic",
        "token",
        "digest",
        "negotiate",
        "ntlm",
        "apikey",
        "key",
        "oauth",
        "aws4-hmac-sha256",
        "ssws",
        "geniekey",
        "splunk",
        "googlelogin",
        "jwt",
        "dpop",
        "bot",
    ];
    let word = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let blanks = value.iter().skip(word).take_while(|byte| **byte == b' ').count();
    let scheme = value.get(..word).unwrap_or_default();
    let known = schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
    if known && word + blanks < value.len() { word + blanks } else { 0 }
}
