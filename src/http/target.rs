//! The rules of the request line (RFC 9112 section 3) beyond what httparse asks of it: method, the four target forms, other
//! versions; why it was refused; and the percent-decoding of paths. The target stays as it was sent: nothing is normalised.
//! Must never take apart a line that httparse accepted: that is `head_parser.rs`, which asks [`check`].

use super::error::{Detail, PeerError};
use super::field::is_token;
use super::head::Version;
use super::host::{is_authority, is_host_and_port};
use super::policy::Leniency;

/// The parts of a request line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) version: Version,
}

/// The parts of a target. Authority-form has none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) query: &'a [u8],
    /// Of an absolute-form.
    pub(crate) authority: &'a [u8],
}

/// Judges method and target, which begin `line`. Gives the target's parts.
#[inline]
pub(crate) fn check<'a>(
    line: &[u8],
    method: &[u8],
    target: &'a [u8],
    leniency: Leniency,
) -> Result<Parts<'a>, PeerError> {
    check_method(method, leniency)?;
    // Without a way out of the loop, many bytes are looked at together.
    let printable = target.iter().fold(!target.is_empty(), |yes, byte| yes & byte.is_ascii_graphic());
    let parts = if printable { split_target(method, target, leniency) } else { None };
    parts.ok_or_else(|| refusal(line, method, target))
}

/// Takes apart a request line that httparse refused, for what it does not know: other versions. Exactly two spaces, and
/// nothing else, divide it.
#[cold]
pub(crate) fn parse(line: &[u8], leniency: Leniency) -> Result<RequestLine<'_>, PeerError> {
    let mut parts = text(line).splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(PeerError::RequestLine(Detail::new(text(line))));
    };
    check(line, method, target, leniency)?;
    let spoken = parse_version(version, leniency);
    let version = spoken.ok_or_else(|| PeerError::Version(Detail::new(version)))?;
    Ok(RequestLine { method, target, version })
}

/// A later HTTP/1.x is answered as 1.1 (RFC 9110 section 2.5). Other versions, if they are permitted at all, are taken for
/// the nearest one.
fn parse_version(version: &[u8], leniency: Leniency) -> Option<Version> {
    let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = version else { return None };
    if !(major.is_ascii_digit() && minor.is_ascii_digit()) {
        return None;
    }
    match (major, minor) {
        (b'1', b'0') => Some(Version::Http10),
        (b'1', _) => Some(Version::Http11),
        _ if !leniency.unconventional_version => None,
        (b'0', _) => Some(Version::Http10),
        _ => Some(Version::Http11),
    }
}

/// Why a line with a valid method is none.
#[cold]
fn refusal(line: &[u8], method: &[u8], target: &[u8]) -> PeerError {
    // RFC 9113 section 3.4: what a client sends first that takes this for an HTTP/2 server.
    if method == b"PRI" && target == b"*" && text(line).ends_with(b" HTTP/2.0") {
        return PeerError::Http2Preface;
    }
    PeerError::RequestLine(Detail::new(text(line)))
}

/// The first line of `lines`, without its CRLF.
fn text(lines: &[u8]) -> &[u8] {
    let line = lines.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Methods are case-sensitive tokens; lower case, `#` and odd lengths are gunicorn's refusals.
fn check_method(method: &[u8], leniency: Leniency) -> Result<(), PeerError> {
    let usual = leniency.unconventional_method
        || ((3..=20).contains(&method.len())
            && !method.iter().any(|&byte| byte.is_ascii_lowercase() || byte == b'#'));
    if usual && is_token(method) { Ok(()) } else { Err(PeerError::Method(Detail::new(method))) }
}

/// The parts of a target, or `None` if it is none of the forms the method allows.
fn split_target<'a>(method: &[u8], target: &'a [u8], leniency: Leniency) -> Option<Parts<'a>> {
    // RFC 9112 section 3.2.3: for CONNECT there is no other form.
    if leniency.is_method(method, b"CONNECT") {
        return is_host_and_port(target).then(Parts::default);
    }
    if target.starts_with(b"/") {
        return Some(split_path(target));
    }
    if target == b"*" {
        let asterisk = Parts { path: target, ..Parts::default() };
        return leniency.is_method(method, b"OPTIONS").then_some(asterisk);
    }
    let rest = target.get(scheme_end(target)?..)?;
    let len = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(len)?;
    is_authority(authority).then(|| Parts { authority, ..split_path(path) })
}

/// The path, up to the first `?` or `#`, and the query, from there to the first `#`.
#[inline]
fn split_path(rest: &[u8]) -> Parts<'_> {
    let mark = memchr::memchr2(b'?', b'#', rest).unwrap_or(rest.len());
    let (path, query) = rest.split_at_checked(mark).unwrap_or((rest, &[]));
    let query = match query {
        [b'?', query @ ..] => query.split(|&byte| byte == b'#').next().unwrap_or_default(),
        _ => &[],
    };
    Parts { path, query, authority: &[] }
}

/// Where the authority of an absolute-form begins: after `scheme://`.
fn scheme_end(target: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', target)?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    let named = scheme.first()?.is_ascii_alphabetic()
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if named && rest.starts_with(b"://") { colon.checked_add(3) } else { None }
}

/// Appends `path` with its escapes decoded (PATH_INFO); what is not an escape of two hex digits stays as it is.
pub fn percent_decode(path: &[u8], out: &mut Vec<u8>) {
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let Some((plain, escape)) = rest.split_at_checked(at) else { break };
        out.extend_from_slice(plain);
        let (byte, len) = match escape {
            [_, high, low, ..] => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => ((high << 4) | low, 3),
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
        b'0'..=b'9' => byte.checked_sub(b'0'),
        b'a'..=b'f' => byte.checked_sub(b'a' - 10),
        b'A'..=b'F' => byte.checked_sub(b'A' - 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Parts, check, parse_version, percent_decode};
    use crate::http::head::Version;
    use crate::http::policy::Leniency;

    fn parts<'a>(method: &str, target: &'a str) -> Option<Parts<'a>> {
        check(b"", method.as_bytes(), target.as_bytes(), Leniency::default()).ok()
    }

    #[test]
    fn target_forms() {
        for (target, path, query, authority) in [
            ("/", "/", "", ""),
            ("//x//y?q", "//x//y", "q", ""),
            ("/a#b?c", "/a", "", ""),
            ("/a?b#c?d", "/a", "b", ""),
            ("/?", "/", "", ""),
            ("/a;b=c?d?e", "/a;b=c", "d?e", ""),
            ("http://h/x?y#z", "/x", "y", "h"),
            ("HTTP://h", "", "", "h"),
            ("http://h?x=1", "", "x=1", "h"),
            ("ftp://h:1/p", "/p", "", "h:1"),
            ("http://[::1]:80/x", "/x", "", "[::1]:80"),
        ] {
            let found = parts("GET", target).unwrap();
            let expected =
                Parts { path: path.as_bytes(), query: query.as_bytes(), authority: authority.as_bytes() };
            assert_eq!(found, expected, "{target}");
        }
        assert_eq!(parts("OPTIONS", "*").unwrap().path, b"*");
        assert_eq!(parts("CONNECT", "a:80"), Some(Parts::default()));
        for bad in ["", "/", "*", "a", "http://a:80/"] {
            assert_eq!(parts("CONNECT", bad), None, "{bad}");
        }
        for bad in [
            "x",
            "a:80",
            "*",
            "?x",
            "#f",
            "http:/x",
            "http://[::1/x",
            "http://[zz]/",
            "mailto:x",
            "1p://x",
            "http://",
            "http:///x",
            "http://u@h/",
        ] {
            assert_eq!(parts("GET", bad), None, "{bad}");
        }
    }

    #[test]
    fn versions() {
        let lenient = Leniency { unconventional_version: true, ..Leniency::default() };
        for (version, strict, permitted) in [
            ("HTTP/1.0", Some(Version::Http10), Some(Version::Http10)),
            ("HTTP/1.9", Some(Version::Http11), Some(Version::Http11)),
            ("HTTP/0.9", None, Some(Version::Http10)),
            ("HTTP/3.0", None, Some(Version::Http11)),
            ("HTTP/1.10", None, None),
            ("HTTP/1", None, None),
            ("http/1.1", None, None),
            ("HTTP/1.\u{661}", None, None),
        ] {
            assert_eq!(parse_version(version.as_bytes(), Leniency::default()), strict, "{version}");
            assert_eq!(parse_version(version.as_bytes(), lenient), permitted, "{version}");
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
