//! An address to listen on, in every form `--bind` takes.
//!
//! Owns the grammar and its error texts, nothing of sockets: host names are not resolved and paths not
//! touched here. Stricter than gunicorn where gunicorn would listen somewhere else than the text says. Read
//! next: `kind/list.rs`, `Binds`.

use std::fmt;
use std::net::Ipv6Addr;
use std::os::fd::RawFd;
use std::path::PathBuf;

const DEFAULT_PORT: u16 = 8000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or an IPv4 address, in lower case.
    Tcp {
        host: String,
        port: u16,
    },
    /// An IPv6 address without its brackets; a `%zone` may follow.
    Tcp6 {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
    /// Linux's abstract namespace: the name after the NUL byte.
    Abstract(Vec<u8>),
    /// A listening socket the process was started with.
    Fd(RawFd),
    /// The same, by the name a service manager gave to it.
    Named(String),
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(number) = text.strip_prefix("fd://") {
            return fd(number);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path.strip_prefix("//").unwrap_or(path));
        }
        let authority = text.strip_prefix("tcp://").unwrap_or(text);
        if let Some((scheme, _)) = authority.split_once("://") {
            return Err(format!("a bind address does not start with '{scheme}://'"));
        }
        match authority.strip_prefix('[') {
            Some(rest) => bracketed(rest),
            None => host_and_port(authority),
        }
    }
}

impl Address {
    /// As `parse` reads it.
    pub fn text(&self) -> String {
        match self {
            Self::Tcp { host, port } => format!("{host}:{port}"),
            Self::Tcp6 { host, port } => format!("[{host}]:{port}"),
            Self::Unix(path) => format!("unix:{}", path.display()),
            Self::Abstract(name) => format!("unix:\0{}", String::from_utf8_lossy(name)),
            Self::Fd(number) => format!("fd://{number}"),
            Self::Named(name) => format!("fd://{name}"),
        }
    }
}

/// As gunicorn's log lines show it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "http://{host}:{port}"),
            Self::Tcp6 { host, port } => write!(f, "http://[{host}]:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{}", String::from_utf8_lossy(name)),
            Self::Fd(number) => write!(f, "fd://{number}"),
            Self::Named(name) => write!(f, "fd://{name}"),
        }
    }
}

/// A number, or what systemd.socket(5) takes for `FileDescriptorName=`.
fn fd(text: &str) -> Result<Address, String> {
    let number = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let name = text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    match text.parse() {
        Ok(number @ 0..) => Ok(Address::Fd(number)),
        _ if name && !number && text.len() <= 255 => Ok(Address::Named(text.to_owned())),
        _ => Err(format!("'{text}' is not a file descriptor or the name of one")),
    }
}

fn unix(path: &str) -> Result<Address, String> {
    match path.strip_prefix('\0') {
        Some(name) => Ok(Address::Abstract(name.as_bytes().to_vec())),
        None if path.is_empty() => Err("a path must follow 'unix:'".to_owned()),
        None if path.contains('\0') => Err("a path cannot contain a NUL byte".to_owned()),
        None => Ok(Address::Unix(PathBuf::from(path))),
    }
}

fn bracketed(rest: &str) -> Result<Address, String> {
    let (host, tail) = rest.split_once(']').ok_or("']' is missing")?;
    let (literal, zone) = host.split_once('%').unwrap_or((host, "eth0"));
    if literal.parse::<Ipv6Addr>().is_err() || zone.is_empty() {
        return Err(format!("'{host}' is not an IPv6 address"));
    }
    let port = match tail.strip_prefix(':') {
        Some(text) => port(text)?,
        None if tail.is_empty() => DEFAULT_PORT,
        None => return Err(format!("'{tail}' follows ']'")),
    };
    Ok(Address::Tcp6 { host: host.to_ascii_lowercase(), port })
}

fn host_and_port(text: &str) -> Result<Address, String> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address needs brackets: '[{text}]:{DEFAULT_PORT}'"));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, text)) => (host, port(text)?),
        None => (text, DEFAULT_PORT),
    };
    // To the resolver 8000 is 0.0.31.64; nobody means that.
    if !host.is_empty() && host.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("'{host}' is a port without its colon; write ':{host}' or '127.0.0.1:{host}'"));
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control() || "/,[]@".contains(c)) {
        return Err(format!("'{host}' is not a host name"));
    }
    let host = if host.is_empty() { "0.0.0.0".to_owned() } else { host.to_lowercase() };
    Ok(Address::Tcp { host, port })
}

fn port(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if digits { text.parse().ok() } else { None };
    let range = if digits { " The highest is 65535." } else { "" };
    parsed.ok_or_else(|| format!("'{text}' is not a valid port number.{range}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        let cases = [
            ("127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("LocalHost:80", "http://localhost:80"),
            ("example.org", "http://example.org:8000"),
            (":9000", "http://0.0.0.0:9000"),
            ("", "http://0.0.0.0:8000"),
            (" :0 ", "http://0.0.0.0:0"),
            ("tcp://0.0.0.0:80", "http://0.0.0.0:80"),
            ("tcp://[::1]:80", "http://[::1]:80"),
            ("[::]:8000", "http://[::]:8000"),
            ("[FE80::1%eth0]:80", "http://[fe80::1%eth0]:80"),
            ("[::1]", "http://[::1]:8000"),
            ("unix:run/app.sock", "unix:run/app.sock"),
            ("unix:///run/app.sock", "unix:/run/app.sock"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:\0app", "unix:@app"),
            ("fd://3", "fd://3"),
            ("fd://web.socket", "fd://web.socket"),
        ];
        for (text, shown) in cases {
            assert_eq!(
                Address::parse(text).map(|address| address.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
            let parsed = Address::parse(text).unwrap();
            assert_eq!(Address::parse(&parsed.text()), Ok(parsed), "{text}");
        }
        assert_eq!(Address::parse("unix:\0app"), Ok(Address::Abstract(b"app".to_vec())));
        assert_eq!(Address::parse("fd://3"), Ok(Address::Fd(3)));
        assert_eq!(Address::parse("fd://3a"), Ok(Address::Named("3a".to_owned())));
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let cases = [
            ("8000", "write ':8000'"),
            ("8000:80", "write ':8000'"),
            ("localhost:abc", "'abc' is not a valid port number."),
            ("localhost:99999", "'99999' is not a valid port number."),
            ("localhost:", "'' is not a valid port number."),
            ("localhost:+80", "'+80' is not a valid port number."),
            ("localhost:80:90", "'80:90' is not a valid port number."),
            ("::1", "'[::1]:8000'"),
            ("[::1", "']' is missing"),
            ("[::1]80", "'80' follows ']'"),
            ("[127.0.0.1]:80", "is not an IPv6 address"),
            ("http://localhost", "'http://'"),
            ("localhost/app:80", "is not a host name"),
            ("a b:80", "is not a host name"),
            ("unix:", "a path must follow"),
            ("unix:a\0b", "NUL byte"),
            ("fd://", "is not a file descriptor"),
            ("fd://-1", "is not a file descriptor"),
            ("fd://99999999999", "is not a file descriptor"),
            ("fd://a:b", "is not a file descriptor"),
            ("fd://a b", "is not a file descriptor"),
        ];
        for (text, part) in cases {
            let error = Address::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
