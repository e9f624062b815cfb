//! The `Forwarded` field (RFC 7239): the proxies that a request came through, each with what it saw.
//!
//! Every proxy adds its element at the end, so only the last one is known to be by the peer itself; those before it are
//! worth as much as the proxy that passed them on. Whose word counts is decided in [`client_hop`]. The grammar is held to
//! the letter: a field that a trusted proxy wrote wrongly is refused, not guessed at.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::field::{is_token, is_value, trim};
use super::host::is_host;
use super::trusted::TrustedPeers;

/// One element: what one proxy said of who had sent the request to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    /// `None` too for `unknown` and for names that hide an address.
    pub(crate) client: Option<Client>,
    pub(crate) host: Option<Cow<'a, [u8]>>,
    pub(crate) proto: Option<Cow<'a, [u8]>>,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub ip: IpAddr,
    pub port: Option<u16>,
}

/// The element that speaks of the client: the last one, or, while that names a proxy of ours, the one before it. `None` if
/// there is no element, and an error for a field that is not in the grammar. Only one element is kept at a time: a client
/// may send many.
pub(crate) fn client_hop<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    proxies: &TrustedPeers,
) -> Result<Option<Hop<'a>>, ()> {
    let mut found = None;
    for value in values {
        let take = |hop: Hop<'a>| {
            // So the last that names no proxy stays, or the very first.
            if found.is_none() || !hop.client.is_some_and(|client| proxies.lists(client.ip)) {
                found = Some(hop);
            }
        };
        parse(value, take).ok_or(())?;
    }
    Ok(found)
}

/// Gives the elements of one field line, in order. Empty ones are passed over (RFC 9110 section 5.6.1).
fn parse<'a>(value: &'a [u8], mut take: impl FnMut(Hop<'a>)) -> Option<()> {
    let mut rest = value;
    loop {
        let mut hop = Hop::default();
        let mut seen = Seen::default();
        loop {
            rest = trim(rest);
            if !matches!(rest, [] | [b',' | b';', ..]) {
                rest = trim(pair(rest, &mut hop, &mut seen)?);
            }
            match rest {
                [b';', after @ ..] => rest = after,
                _ => break,
            }
        }
        if seen.any {
            take(hop);
        }
        match rest {
            [] => return Some(()),
            [b',', after @ ..] => rest = after,
            _ => return None,
        }
    }
}

/// Which parameters an element has had: none may come twice.
#[derive(Default)]
struct Seen {
    any: bool,
    by: bool,
    node: bool,
}

/// `token "=" ( token / quoted-string )`; what follows it.
fn pair<'a>(rest: &'a [u8], hop: &mut Hop<'a>, seen: &mut Seen) -> Option<&'a [u8]> {
    let (name, rest) = rest.split_at_checked(memchr::memchr(b'=', rest)?)?;
    let (value, rest) = pair_value(rest.strip_prefix(b"=")?)?;
    let again = if name.eq_ignore_ascii_case(b"for") {
        hop.client = node(&value)?;
        std::mem::replace(&mut seen.node, true)
    } else if name.eq_ignore_ascii_case(b"by") {
        node(&value)?;
        std::mem::replace(&mut seen.by, true)
    } else if name.eq_ignore_ascii_case(b"host") {
        is_host(&value).then_some(())?;
        hop.host.replace(value).is_some()
    } else if name.eq_ignore_ascii_case(b"proto") {
        is_token(&value).then_some(())?;
        hop.proto.replace(value).is_some()
    } else {
        // An extension; that it comes twice harms nobody.
        !is_token(name)
    };
    seen.any = true;
    (!again).then_some(rest)
}

fn pair_value(rest: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    if let [b'"', quoted @ ..] = rest {
        return unquoted(quoted);
    }
    let len = rest.iter().position(|byte| matches!(byte, b';' | b',' | b' ' | b'\t')).unwrap_or(rest.len());
    let (value, rest) = rest.split_at_checked(len)?;
    is_token(value).then_some((Cow::Borrowed(value), rest))
}

/// A quoted-string, from after its opening quote (RFC 9110 section 5.6.4).
fn unquoted(mut rest: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut value = Vec::new();
    loop {
        let byte = match rest {
            [b'"', after @ ..] => return Some((Cow::Owned(value), after)),
            [b'\\', byte, ..] | [byte, ..] if is_value(&[*byte]) => *byte,
            _ => return None,
        };
        let len = if rest.starts_with(b"\\") { 2 } else { 1 };
        value.push(byte);
        rest = rest.get(len..)?;
    }
}

/// RFC 7239 section 6: `Some(None)` for what is no address but may stand in its place.
fn node(text: &[u8]) -> Option<Option<Client>> {
    let (name, port) = match text {
        [b'[', ..] => text.split_at_checked(memchr::memchr(b']', text)?.checked_add(1)?)?,
        _ => text.split_at_checked(memchr::memchr(b':', text).unwrap_or(text.len()))?,
    };
    let port = match port {
        [] => None,
        [b':', port @ ..] if is_obfuscated(port) => None,
        [b':', port @ ..] if (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit) => {
            Some(std::str::from_utf8(port).ok()?.parse().ok()?)
        }
        _ => return None,
    };
    if name.eq_ignore_ascii_case(b"unknown") || is_obfuscated(name) {
        return Some(None);
    }
    let text = std::str::from_utf8(name).ok()?;
    let ip = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(literal) => IpAddr::V6(literal.parse::<Ipv6Addr>().ok()?),
        None => IpAddr::V4(text.parse::<Ipv4Addr>().ok()?),
    };
    Some(Some(Client { ip, port }))
}

fn is_obfuscated(name: &[u8]) -> bool {
    let rest = name.strip_prefix(b"_").unwrap_or_default();
    !rest.is_empty() && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::client_hop;
    use crate::http::trusted::TrustedPeers;

    /// What the field says: client, host and proto, `-` for what is not said.
    fn said(value: &str) -> Result<String, ()> {
        let proxies = TrustedPeers::parse("10.0.0.0/8,::1").unwrap();
        let hop = client_hop(value.split('|').map(str::as_bytes), &proxies)?;
        let Some(hop) = hop else { return Ok("nothing".to_owned()) };
        let client = hop.client.map_or("-".to_owned(), |client| {
            let port = client.port.map(|port| format!(" {port}")).unwrap_or_default();
            format!("{}{port}", client.ip)
        });
        let text = |part: Option<std::borrow::Cow<'_, [u8]>>| {
            part.map_or("-".to_owned(), |part| String::from_utf8(part.into_owned()).unwrap())
        };
        Ok(format!("{client} {} {}", text(hop.host), text(hop.proto)))
    }

    #[test]
    fn the_last_element_counts_unless_it_names_a_proxy() {
        for (value, meaning) in [
            ("for=192.0.2.1;proto=https;by=203.0.113.43", "192.0.2.1 - https"),
            ("for=6.6.6.6, for=192.0.2.1;host=a.example", "192.0.2.1 a.example -"),
            ("for=6.6.6.6, for=192.0.2.1;proto=https, for=10.1.1.1;proto=http", "192.0.2.1 - https"),
            ("for=10.0.0.1, for=10.0.0.2;proto=http", "10.0.0.1 - -"),
            ("for=6.6.6.6|for=192.0.2.1", "192.0.2.1 - -"),
            ("for=6.6.6.6, for=unknown;proto=https", "- - https"),
            ("For=\"[2001:db8::17]:4711\" ; HOST=\"a:80\"", "2001:db8::17 4711 a:80 -"),
            ("for=\"192.0.2.1:_x\"", "192.0.2.1 - -"),
            ("for=_hidden, , ;", "- - -"),
            ("host=\"a\\.example\";x=y", "- a.example -"),
            ("secret=\"a,b;c\";proto=http", "- - http"),
            ("", "nothing"),
            (" , ;; ,", "nothing"),
        ] {
            assert_eq!(said(value).as_deref(), Ok(meaning), "{value}");
        }
    }

    #[test]
    fn what_is_not_in_the_grammar_is_refused() {
        for bad in [
            "for",
            "for=",
            "for=1.2.3.4:80",
            "for=[::1]",
            "for=\"::1\"",
            "for=\"1.2.3.4",
            "for=\"1.2.3.4\"x",
            "for=1.2.3",
            "for = 1.2.3.4",
            "for=1.2.3.4 proto=http",
            "for=a.example",
            "for=1.2.3.4;for=5.6.7.8",
            "host=\"a b\"",
            "host=\"a/b\"",
            "proto=\"a b\"",
            "proto=a;proto=b",
            "by=x",
            "for=\"[::1]:70000\"",
            "for=_",
            "=x",
            "f r=x",
            "for=\"1.2.3.4\\",
            "for=1.2.3.4;by=_a;by=_b",
            "for=\"1.2.3.4:+5\"",
        ] {
            assert_eq!(said(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn if_everybody_is_a_proxy_the_last_element_counts() {
        let all = TrustedPeers::parse("*").unwrap();
        let hop = client_hop([&b"for=6.6.6.6, for=192.0.2.1"[..]].into_iter(), &all).unwrap().unwrap();
        assert_eq!(hop.client.unwrap().ip.to_string(), "192.0.2.1");
    }
}
