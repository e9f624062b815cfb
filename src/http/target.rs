//! The rules of the request line (RFC 9112 section 3) beyond what httparse asks of it: method, the four target forms;
//! why it was refused; and the percent-decoding of paths. The target stays as it was sent: nothing is normalised.
//! Must never take apart a line that httparse accepted: that is `head_parser.rs`, which asks [`check`].

use std::net::Ipv6Addr;

use super::error::{Detail, PeerError};
use super::field::is_token;

/// Judges method and target, which begin `line`. Gives the target's path and query.
#[inline]
pub(crate) fn check<'a>(
    line: &[u8],
    method: &[u8],
    target: &'a [u8],
) -> Result<(&'a [u8], &'a [u8]), PeerError> {
    check_method(method)?;
    let printable = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
    let parts = if printable { split_target(method, target) } else { None };
    parts.ok_or_else(|| PeerError::RequestLine(Detail::new(text(line))))
}

/// Names the fault of a request line that httparse refused. Exactly two spaces, and nothing else, divide it.
#[cold]
pub(crate) fn refusal(line: &[u8]) -> PeerError {
    let mut parts = text(line).splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
        return PeerError::RequestLine(Detail::new(text(line)));
    };
    check(line, method, target).err().unwrap_or_else(|| PeerError::Version(Detail::new(version)))
}

/// The first line of `lines`, without its CRLF.
fn text(lines: &[u8]) -> &[u8] {
    let line = lines.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Methods are case-sensitive tokens; lower case, `#` and odd lengths are gunicorn's refusals.
fn check_method(method: &[u8]) -> Result<(), PeerError> {
    let usual = (3..=20).contains(&method.len())
        && !method.iter().any(|&byte| byte.is_ascii_lowercase() || byte == b'#')
        && is_token(method);
    if usual { Ok(()) } else { Err(PeerError::Method(Detail::new(method))) }
}

/// Path and query of a target, or `None` if it is none of the forms the method allows.
fn split_target<'a>(method: &[u8], target: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    if target.starts_with(b"/") {
        return Some(split_path(target));
    }
    if target == b"*" {
        return (method == b"OPTIONS").then(|| target.split_at(1));
    }
    if let Some(authority_at) = scheme_end(target) {
        let rest = target.get(authority_at..)?;
        let len = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(len)?;
        return is_authority(authority).then(|| split_path(path));
    }
    // Authority-form has neither path nor query.
    (method == b"CONNECT" && is_authority(target)).then_some((&[], &[]))
}

/// The path, up to the first `?` or `#`, and the query, from there to the first `#`.
#[inline]
fn split_path(rest: &[u8]) -> (&[u8], &[u8]) {
    let Some(mark) = memchr::memchr2(b'?', b'#', rest) else { return (rest, &[]) };
    let (path, query) = rest.split_at_checked(mark).unwrap_or((rest, &[]));
    match query {
        [b'?', query @ ..] => (path, query.split(|&byte| byte == b'#').next().unwrap_or_default()),
        _ => (path, &[]),
    }
}

/// Where the authority of an absolute-form begins: after `scheme://`.
fn scheme_end(target: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', target)?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    let named = scheme.first()?.is_ascii_alphabetic()
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    (named && rest.starts_with(b"://")).then_some(colon + 3)
}

/// Brackets may only surround an IPv6 literal; the rest of the authority is the application's business.
fn is_authority(authority: &[u8]) -> bool {
    let brackets = authority.iter().filter(|byte| matches!(byte, b'[' | b']')).count();
    if brackets == 0 {
        return true;
    }
    let Some(open) = memchr::memchr(b'[', authority) else { return false };
    let Some(close) = memchr::memchr(b']', authority) else { return false };
    let before = authority.get(..open).unwrap_or_default();
    let after = authority.get(close + 1..).unwrap_or_default();
    let literal = authority.get(open + 1..close).and_then(|bytes| std::str::from_utf8(bytes).ok());
    brackets == 2
        && (before.is_empty() || before.ends_with(b"@"))
        && (after.is_empty() || after.starts_with(b":"))
        && literal.is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
}

/// Appends `path` with its escapes decoded (PATH_INFO); what is not an escape of two hex digits stays as it is.
pub fn percent_decode(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let Some((plain, escape)) = rest.split_at_checked(at) else { break };
        out.extend_from_slice(plain);
        let (byte, len) = match escape {
            [_, high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            _ => (b'%', 1),
        };
        out.push(byte);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The value of a hex digit.
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{check, percent_decode};

    fn parts(line: &str) -> Option<(&str, &str, &str)> {
        let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
        let (path, query) = check(line.as_bytes(), method.as_bytes(), target.as_bytes()).ok()?;
        Some((target, std::str::from_utf8(path).unwrap(), std::str::from_utf8(query).unwrap()))
    }

    #[test]
    fn target_forms() {
        for (target, path, query) in [
            ("/", "/", ""),
            ("//x//y?q", "//x//y", "q"),
            ("/a#b?c", "/a", ""),
            ("/a?b#c?d", "/a", "b"),
            ("/?", "/", ""),
            ("http://h/x?y#z", "/x", "y"),
            ("HTTP://h", "", ""),
            ("http://h?x=1", "", "x=1"),
            ("ftp://u@h:1/p", "/p", ""),
            ("http://[::1]:80/x", "/x", ""),
        ] {
            assert_eq!(parts(&format!("GET {target} HTTP/1.1")), Some((target, path, query)), "{target}");
        }
        assert_eq!(parts("OPTIONS * HTTP/1.1"), Some(("*", "*", "")));
        assert_eq!(parts("CONNECT a:80 HTTP/1.1"), Some(("a:80", "", "")));
        assert_eq!(parts("CONNECT  HTTP/1.1"), None);
        for bad in
            ["x", "a:80", "*", "?x", "#f", "http:/x", "http://[::1/x", "http://[zz]/", "mailto:x", "1p://x"]
        {
            assert_eq!(parts(&format!("GET {bad} HTTP/1.1")), None, "{bad}");
        }
    }

    #[test]
    fn escapes() {
        for (path, decoded) in [
            ("/a%20b", "/a b"),
            ("%00", "\0"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%%41", "%A"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            percent_decode(path.as_bytes(), &mut out);
            assert_eq!(out, decoded.as_bytes(), "{path}");
        }
    }
}
