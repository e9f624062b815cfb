//! Hosts and authorities (RFC 9110 section 7.2, RFC 3986 section 3.2): the value of Host, the authority of an absolute-form,
//! the target of a CONNECT. Applications build links from them and caches choose by them, so what is not in the grammar
//! is refused. Never resolves, never normalises.

use std::net::Ipv6Addr;

/// The value of a Host field: `uri-host [ ":" port ]`, or nothing.
pub(crate) fn is_host(value: &[u8]) -> bool {
    value.is_empty() || parts(value).is_some()
}

/// The authority of an absolute-form. It names a host, and no user: `http://trusted@evil/` is read in two ways
/// (RFC 9110 section 4.2.4).
pub(crate) fn is_authority(authority: &[u8]) -> bool {
    parts(authority).is_some()
}

/// The target of a CONNECT (RFC 9112 section 3.2.3): a host and its port.
pub(crate) fn is_host_and_port(target: &[u8]) -> bool {
    parts(target).is_some_and(|(_, port)| port.is_some_and(|port| !port.is_empty()))
}

/// Host and port of a valid authority without user information, with a host in it. Nearly all hosts are letters and digits,
/// which cost one look each.
fn parts(authority: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let end = authority.iter().position(|&byte| !is_usual(byte)).unwrap_or(authority.len());
    match authority.split_at_checked(end)? {
        ([_, ..], []) => Some((authority, None)),
        (host @ [_, ..], [b':', port @ ..]) => is_port(port).then_some((host, Some(port))),
        _ => unusual_parts(authority),
    }
}

/// The same where there is an escape or a bracket.
#[cold]
fn unusual_parts(authority: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let end = match authority {
        [b'[', ..] => memchr::memchr(b']', authority)?.checked_add(1)?,
        _ => memchr::memchr(b':', authority).unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(end)?;
    let port = match rest {
        [] => None,
        [b':', port @ ..] => Some(port),
        _ => return None,
    };
    let valid = if let [b'[', literal @ .., b']'] = host { is_literal(literal) } else { is_name(host) };
    (valid && port.is_none_or(is_port)).then_some((host, port))
}

/// `unreserved` and `sub-delims` (RFC 3986 section 2).
// A mistake in it would be an error of the compiler's.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
static USUAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};

fn is_usual(byte: u8) -> bool {
    USUAL.get(usize::from(byte)) == Some(&true)
}

/// `reg-name`, but not an empty one; IPv4 addresses look like names.
fn is_name(host: &[u8]) -> bool {
    let mut rest = host;
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            _ if is_usual(*byte) => after,
            _ => return false,
        };
    }
    !host.is_empty()
}

/// What stands in brackets: an IPv6 address, or `v1.anything` of an address family to come.
fn is_literal(literal: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = literal {
        let mut parts = future.splitn(2, |&byte| byte == b'.');
        let version = parts.next().unwrap_or_default();
        let address = parts.next().unwrap_or_default();
        let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(byte);
        let hex = !version.is_empty() && version.iter().all(u8::is_ascii_hexdigit);
        return hex && !address.is_empty() && address.iter().all(usual);
    }
    std::str::from_utf8(literal).is_ok_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
}

/// A number of 16 bits in digits, or nothing, which is the scheme's own port.
fn is_port(port: &[u8]) -> bool {
    let mut number = 0_u32;
    port.iter().all(|byte| {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        // It cannot wrap: what was here before had 16 bits.
        number = number.wrapping_mul(10).wrapping_add(digit);
        digit <= 9 && number <= u32::from(u16::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::{is_authority, is_host, is_host_and_port};

    #[test]
    fn hosts() {
        for good in [
            "example.com",
            "a_b.example",
            "h:80",
            "h:",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:80",
            "[v1.a:b]",
            "%41.b",
            "xn--bcher-kva.example",
            "a.",
            "h:00080",
        ] {
            assert!(is_host(good.as_bytes()) && is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "a:80:90",
            ":80",
            "::1",
            "[::1",
            "[zz]",
            "[::1]x",
            "[]",
            "h:99999",
            "h:+80",
            "h:-1",
            "a,\tb",
            "b\u{fc}cher",
            "a?b",
            "a#b",
            "a\\b",
            "%4",
            "%zz",
            "<a>",
            "\"a\"",
            "[v.a]",
            "[vz.a]",
            "[v1.]",
            "[::1%25eth0]",
        ] {
            assert!(!is_host(bad.as_bytes()) && !is_authority(bad.as_bytes()), "{bad}");
        }
        assert!(is_host(b"") && !is_authority(b""));
    }

    #[test]
    fn connect_wants_a_port() {
        assert!(is_host_and_port(b"h:443") && is_host_and_port(b"[::1]:443"));
        for bad in ["h", "h:", ":443", "/", "", "http://h:1", "*"] {
            assert!(!is_host_and_port(bad.as_bytes()), "{bad}");
        }
    }
}
