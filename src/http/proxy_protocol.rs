//! The PROXY protocol, versions 1 and 2: who connected to the proxy in front, told before the first request.
//!
//! Owns the form of the header and nothing else; who may send one is the policy's. Strict where a lenient reading could
//! be smuggled through, and decided at fixed bytes (the signature, the line's end, the binary header), so that how the
//! bytes were split never matters and no more is waited for than the header says. What follows the addresses (TLVs) is
//! skipped. Read next: `reader.rs`, which asks once per connection.
//!
//! Of our own because the crate for it, proxy-header, judges long UNKNOWN lines by how they were split and learns of a
//! wrong address family only when everything behind it has come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::error::{Detail, PeerError};

const V1_PREFIX: &[u8] = b"PROXY ";
/// With its CRLF (the specification's section 2.1).
const V1_MAX: usize = 107;
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = V2_SIGNATURE.len() + 4;

/// Which versions a connection may begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    #[default]
    Off,
    V1,
    V2,
    Auto,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// `TCP4`, `TCP6`; or `LOCAL`, `UNSPEC` and `UNKNOWN`, which tell of no client.
    pub protocol: &'static str,
    pub addresses: Option<Addresses>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub client: SocketAddr,
    /// What the client connected to.
    pub proxy: SocketAddr,
}

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Preface {
    /// It is not clear yet.
    Unclear,
    Absent,
    V1,
    V2,
}

impl ProxyProtocol {
    pub(crate) fn recognise(self, bytes: &[u8]) -> Preface {
        let versions = [
            (matches!(self, Self::V1 | Self::Auto), V1_PREFIX, Preface::V1),
            (matches!(self, Self::V2 | Self::Auto), V2_SIGNATURE, Preface::V2),
        ];
        let mut seen = Preface::Absent;
        for (_, beginning, preface) in versions.into_iter().filter(|(wanted, ..)| *wanted) {
            if bytes.starts_with(beginning) {
                return preface;
            }
            if beginning.starts_with(bytes) {
                seen = Preface::Unclear;
            }
        }
        seen
    }
}

/// Reads the line of version 1. `None` until it is whole; else what it says and how long it is.
pub(crate) fn decode_v1(bytes: &[u8]) -> Result<Option<(Proxied, usize)>, PeerError> {
    let window = bytes.get(..V1_MAX).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if window.len() < V1_MAX { Ok(None) } else { Err(PeerError::ProxyLine(Detail::new(window))) };
    };
    let line = window.get(..end).unwrap_or_default();
    let said = line.strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()).and_then(line_v1);
    let proxied = said.ok_or_else(|| PeerError::ProxyLine(Detail::new(line.trim_ascii_end())))?;
    Ok(Some((proxied, end.saturating_add(1))))
}

fn line_v1(line: &str) -> Option<Proxied> {
    let (protocol, rest) = line.strip_prefix("PROXY ")?.split_once(' ').unwrap_or((line.get(6..)?, ""));
    match protocol {
        "TCP4" => Some(Proxied { protocol: "TCP4", addresses: Some(addresses_v1::<Ipv4Addr>(rest)?) }),
        "TCP6" => Some(Proxied { protocol: "TCP6", addresses: Some(addresses_v1::<Ipv6Addr>(rest)?) }),
        // Whatever follows is to be ignored.
        "UNKNOWN" => Some(Proxied { protocol: "UNKNOWN", addresses: None }),
        _ => None,
    }
}

fn addresses_v1<A: FromStr + Into<IpAddr>>(rest: &str) -> Option<Addresses> {
    let mut words = rest.split(' ');
    let mut address = || words.next()?.parse::<A>().ok().map(Into::into);
    let (client, proxy) = (address()?, address()?);
    let mut port = || words.next().and_then(port_v1);
    let (client_port, proxy_port) = (port()?, port()?);
    let addresses =
        Addresses { client: SocketAddr::new(client, client_port), proxy: SocketAddr::new(proxy, proxy_port) };
    words.next().is_none().then_some(addresses)
}

/// Digits only, and one way to write each number.
fn port_v1(text: &str) -> Option<u16> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

/// Reads the header of version 2. `None` until it is whole; else what it says and how long it is.
pub(crate) fn decode_v2(bytes: &[u8]) -> Result<Option<(Proxied, usize)>, PeerError> {
    let Some(&[command, family, high, low]) = bytes.get(V2_SIGNATURE.len()..V2_FIXED) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let shape = shape_v2(command, family)?;
    if length < shape.size() {
        return Err(PeerError::ProxyHeader("too short for its addresses"));
    }
    let Some(block) = bytes.get(V2_FIXED..).and_then(|rest| rest.get(..length)) else { return Ok(None) };
    let addresses = match shape {
        Shape::Tcp4 => addresses_v2::<4>(block),
        Shape::Tcp6 => addresses_v2::<16>(block),
        Shape::Local | Shape::Unspecified => None,
    };
    Ok(Some((Proxied { protocol: shape.name(), addresses }, V2_FIXED.saturating_add(length))))
}

#[derive(Clone, Copy)]
enum Shape {
    Local,
    Unspecified,
    Tcp4,
    Tcp6,
}

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::Local => "LOCAL",
            Self::Unspecified => "UNSPEC",
            Self::Tcp4 => "TCP4",
            Self::Tcp6 => "TCP6",
        }
    }

    /// Bytes of two addresses and two ports.
    const fn size(self) -> usize {
        match self {
            Self::Local | Self::Unspecified => 0,
            Self::Tcp4 => 12,
            Self::Tcp6 => 36,
        }
    }
}

fn shape_v2(command: u8, family: u8) -> Result<Shape, PeerError> {
    match (command, family) {
        // The proxy speaks for itself, to see if we live.
        (0x20, _) => Ok(Shape::Local),
        (0x21, 0x00 | 0x01) => Ok(Shape::Unspecified),
        (0x21, 0x11) => Ok(Shape::Tcp4),
        (0x21, 0x21) => Ok(Shape::Tcp6),
        (0x21, _) => Err(PeerError::ProxyHeader("neither TCP over IPv4 nor over IPv6")),
        (0x22..=0x2f, _) => Err(PeerError::ProxyHeader("unsupported command")),
        _ => Err(PeerError::ProxyHeader("unsupported version")),
    }
}

fn addresses_v2<const WIDTH: usize>(block: &[u8]) -> Option<Addresses>
where
    IpAddr: From<[u8; WIDTH]>,
{
    let (client, rest) = block.split_first_chunk::<WIDTH>()?;
    let (proxy, rest) = rest.split_first_chunk::<WIDTH>()?;
    let (client_port, rest) = rest.split_first_chunk::<2>()?;
    let (proxy_port, _) = rest.split_first_chunk::<2>()?;
    Some(Addresses {
        client: SocketAddr::new(IpAddr::from(*client), u16::from_be_bytes(*client_port)),
        proxy: SocketAddr::new(IpAddr::from(*proxy), u16::from_be_bytes(*proxy_port)),
    })
}
