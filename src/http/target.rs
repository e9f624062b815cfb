//! The request line and its request-target (RFC 9112 section 3): method, the four target forms, version; and the
//! percent-decoding of paths. The target stays as it was sent: its parts are ranges, nothing is normalised.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::error::{Detail, PeerError};
use super::field::is_token;
use super::head::Version;

/// A request line by ranges into the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestLine {
    pub(crate) method: Range<usize>,
    pub(crate) target: Range<usize>,
    pub(crate) path: Range<usize>,
    pub(crate) query: Range<usize>,
    pub(crate) version: Version,
}

/// Takes apart a request line without its CRLF. Exactly two spaces, and nothing else, divide it.
pub(crate) fn parse(line: &[u8]) -> Result<RequestLine, PeerError> {
    let bad = || PeerError::RequestLine(Detail::new(line));
    let method_end = memchr::memchr(b' ', line).ok_or_else(bad)?;
    let (method, rest) = line.split_at_checked(method_end).ok_or_else(bad)?;
    let rest = rest.get(1..).unwrap_or_default();
    let target_len = memchr::memchr(b' ', rest).ok_or_else(bad)?;
    let (target, version) = rest.split_at_checked(target_len).ok_or_else(bad)?;
    check_method(method)?;
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(bad());
    }
    let (path, query) = split_target(method, target).ok_or_else(bad)?;
    let version = parse_version(version.get(1..).unwrap_or_default())?;
    let at = method_end + 1;
    Ok(RequestLine {
        method: 0..method_end,
        target: at..at + target_len,
        path: at + path.start..at + path.end,
        query: at + query.start..at + query.end,
        version,
    })
}

/// Methods are case-sensitive tokens; lower case, `#` and odd lengths are gunicorn's refusals.
fn check_method(method: &[u8]) -> Result<(), PeerError> {
    let usual = (3..=20).contains(&method.len())
        && !method.iter().any(|&byte| byte.is_ascii_lowercase() || byte == b'#')
        && is_token(method);
    if usual { Ok(()) } else { Err(PeerError::Method(Detail::new(method))) }
}

fn parse_version(version: &[u8]) -> Result<Version, PeerError> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        _ => Err(PeerError::Version(Detail::new(version))),
    }
}

/// Path and query of a target, or `None` if it is none of the forms the method allows.
fn split_target(method: &[u8], target: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    if target.starts_with(b"/") {
        return Some(split_path(0, target));
    }
    if target == b"*" {
        return (method == b"OPTIONS").then_some((0..1, 1..1));
    }
    if let Some(authority_at) = scheme_end(target) {
        let authority_and_rest = target.get(authority_at..)?;
        let len = authority_and_rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let path_at = authority_at + len.unwrap_or(authority_and_rest.len());
        return is_authority(target.get(authority_at..path_at)?).then(|| split_path(path_at, target));
    }
    // Authority-form has neither path nor query.
    (method == b"CONNECT" && is_authority(target)).then_some((0..0, 0..0))
}

/// The path from `at` to the first `?` or `#`, and the query from there to the first `#`.
fn split_path(at: usize, target: &[u8]) -> (Range<usize>, Range<usize>) {
    let rest = target.get(at..).unwrap_or_default();
    let end = memchr::memchr(b'#', rest).map_or(target.len(), |fragment| at + fragment);
    let rest = rest.get(..end - at).unwrap_or_default();
    match memchr::memchr(b'?', rest) {
        Some(mark) => (at..at + mark, at + mark + 1..end),
        None => (at..end, end..end),
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
    use super::{parse, percent_decode};

    fn parts(line: &str) -> Option<(&str, &str, &str)> {
        let parsed = parse(line.as_bytes()).ok()?;
        Some((&line[parsed.target], &line[parsed.path], &line[parsed.query]))
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
