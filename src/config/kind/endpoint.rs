//! Kinds that name a server of somebody else's: where syslog and statsd listen.
//!
//! Owns the grammar, which is gunicorn's, and nothing of sockets: no name is resolved here. Read next: `log/remote.rs`.

use std::fmt;
use std::path::PathBuf;

use super::{Kind, Reject, Takes, text_of};
use crate::config::raw::Raw;

const SYSLOG_PORT: u16 = 514;
const STATSD_PORT: u16 = 8125;

/// How a server of somebody else's is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Udp(String, u16),
    Tcp(String, u16),
    Unix(PathBuf, UnixKind),
}

/// The kind of a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnixKind {
    Datagram,
    Stream,
    /// Whatever it turns out to be.
    Any,
}

/// As the syslog setting has it.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Udp(host, port) => ("udp", host, port),
            Self::Tcp(host, port) => ("tcp", host, port),
            Self::Unix(path, kind) => {
                let kind = match kind {
                    UnixKind::Datagram => "#dgram",
                    UnixKind::Stream => "#stream",
                    UnixKind::Any => "",
                };
                return write!(f, "unix://{}{kind}", path.display());
            }
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

pub struct SyslogServer;

impl Kind for SyslogServer {
    type Value = Endpoint;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Endpoint, Reject> {
        let text = text_of(raw)?;
        if let Some(path) = text.strip_prefix("unix://") {
            let (path, kind) = match path.split_once('#') {
                None => (path, UnixKind::Any),
                Some((path, "dgram")) => (path, UnixKind::Datagram),
                Some((path, "stream")) => (path, UnixKind::Stream),
                Some((_, other)) => {
                    return Err(Reject::Because(format!("'#{other}' is neither #dgram nor #stream")));
                }
            };
            return unix(path, kind);
        }
        if let Some(authority) = text.strip_prefix("udp://") {
            return authority_of(authority, SYSLOG_PORT).map(|(host, port)| Endpoint::Udp(host, port));
        }
        let authority = text.strip_prefix("tcp://").ok_or(Reject::Kind)?;
        authority_of(authority, SYSLOG_PORT).map(|(host, port)| Endpoint::Tcp(host, port))
    }

    fn to_raw(value: &Endpoint) -> Raw {
        Raw::Str(value.to_string())
    }

    fn allowed() -> String {
        "udp://HOST:PORT, tcp://HOST:PORT, unix://PATH, unix://PATH#dgram or unix://PATH#stream".to_owned()
    }
}

pub struct StatsdServer;

impl Kind for StatsdServer {
    type Value = Option<Endpoint>;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Option<Endpoint>, Reject> {
        if *raw == Raw::None {
            return Ok(None);
        }
        match text_of(raw)? {
            "" => Ok(None),
            text => match text.strip_prefix("unix://") {
                Some(path) => unix(path, UnixKind::Datagram).map(Some),
                None => authority_of(text, STATSD_PORT).map(|(host, port)| Some(Endpoint::Udp(host, port))),
            },
        }
    }

    fn to_raw(value: &Option<Endpoint>) -> Raw {
        match value {
            None => Raw::None,
            Some(Endpoint::Unix(path, _)) => Raw::Str(format!("unix://{}", path.display())),
            Some(other) => {
                let text = other.to_string();
                Raw::from(text.strip_prefix("udp://").unwrap_or(&text))
            }
        }
    }

    fn allowed() -> String {
        "HOST:PORT, HOST, unix://PATH or None".to_owned()
    }
}

fn unix(path: &str, kind: UnixKind) -> Result<Endpoint, Reject> {
    // Longer ones do not fit into an address of unix(7).
    if path.is_empty() || path.contains('\0') || path.len() > 107 {
        return Err(Reject::because("the path must have 1 to 107 bytes and no NUL byte"));
    }
    Ok(Endpoint::Unix(PathBuf::from(path), kind))
}

fn authority_of(text: &str, default_port: u16) -> Result<(String, u16), Reject> {
    let bad_port = |port: &str| Reject::Because(format!("'{port}' is not a valid port number."));
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(|| Reject::because("']' is missing"))?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => port.parse().map_err(|_| bad_port(port))?,
        Some(port) => return Err(bad_port(port)),
        None if rest.is_empty() => default_port,
        None => return Err(Reject::Because(format!("'{rest}' follows the host"))),
    };
    if host.chars().any(|c| c.is_whitespace() || c.is_control() || "/@".contains(c)) {
        return Err(Reject::Because(format!("'{host}' is not a host name")));
    }
    let host = if host.is_empty() { "localhost" } else { host };
    Ok((host.to_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syslog(text: &str) -> String {
        match SyslogServer::parse(&Raw::from(text)) {
            Ok(endpoint) => endpoint.to_string(),
            Err(reject) => format!("{reject:?}"),
        }
    }

    #[test]
    fn syslog_servers_are_written_as_gunicorn_has_them() {
        for (text, meant) in [
            ("udp://LocalHost", "udp://localhost:514"),
            ("tcp://10.0.0.1:1514", "tcp://10.0.0.1:1514"),
            ("udp://[::1]:99", "udp://[::1]:99"),
            ("udp://", "udp://localhost:514"),
            ("unix:///dev/log", "unix:///dev/log"),
            ("unix:///dev/log#dgram", "unix:///dev/log#dgram"),
            ("unix:///dev/log#stream", "unix:///dev/log#stream"),
        ] {
            assert_eq!(syslog(text), meant);
            assert_eq!(syslog(meant), meant, "what is shown is accepted");
        }
        for bad in [
            "/dev/log",
            "localhost:514",
            "http://x",
            "udp://h:x",
            "tcp://h:",
            "unix://",
            "unix:///l#raw",
            "udp://[::1",
        ] {
            assert!(SyslogServer::parse(&Raw::from(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn statsd_servers_need_no_scheme() {
        for (text, meant) in [
            ("127.0.0.1", Raw::from("127.0.0.1:8125")),
            ("metrics:9125", Raw::from("metrics:9125")),
            ("[::1]:5", Raw::from("[::1]:5")),
            ("unix:///run/statsd", Raw::from("unix:///run/statsd")),
            ("", Raw::None),
        ] {
            let parsed = StatsdServer::parse(&Raw::from(text)).unwrap();
            assert_eq!(StatsdServer::to_raw(&parsed), meant);
        }
        for bad in ["h:abc", "h:99999", "udp://h:1", "a b:1"] {
            assert!(StatsdServer::parse(&Raw::from(bad)).is_err(), "{bad}");
        }
    }
}
