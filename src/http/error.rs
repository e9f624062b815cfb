//! The faults of HTTP/1.x, by culprit: `PeerError` (the client broke the protocol) and `AppError` (the application did).
//!
//! Each peer fault knows its status and its sentence here and nowhere else; the sentences are gunicorn's, since people
//! search their logs for them. What the peer sent is shown escaped and cut ([`Detail`]): a log line can be neither
//! forged nor flooded. Read next: `status.rs` for the reason phrases.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use super::status;

/// How much of a peer's bytes an error keeps.
const DETAIL_MAX: usize = 256;

/// A piece of what was received, kept for an error message. Displayed as a quoted, escaped, printable string.
#[derive(Clone, PartialEq, Eq)]
pub struct Detail {
    bytes: Box<[u8]>,
    cut: bool,
}

impl Detail {
    pub fn new(bytes: &[u8]) -> Self {
        let kept = bytes.get(..DETAIL_MAX).unwrap_or(bytes);
        Self { bytes: kept.into(), cut: kept.len() < bytes.len() }
    }

    /// As [`Detail::new`], in upper case: how a field is named in gunicorn's messages.
    pub(crate) fn upper(bytes: &[u8]) -> Self {
        let mut detail = Self::new(bytes);
        detail.bytes.make_ascii_uppercase();
        detail
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.bytes.contains(&b'\'') && !self.bytes.contains(&b'"') { '"' } else { '\'' };
        f.write_char(quote)?;
        for &byte in &self.bytes {
            match byte {
                b'\r' => f.write_str("\\r")?,
                b'\n' => f.write_str("\\n")?,
                b'\t' => f.write_str("\\t")?,
                b'\\' => f.write_str("\\\\")?,
                0x20..=0x7e if char::from(byte) == quote => write!(f, "\\{quote}")?,
                0x20..=0x7e => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        if self.cut {
            f.write_str("...")?;
        }
        f.write_char(quote)
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The peer broke HTTP, or asked for something refused. The connection is not used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerError {
    RequestLine(Detail),
    Method(Detail),
    Version(Detail),
    RequestLineTooLong {
        size: usize,
        limit: usize,
    },
    TooManyFields,
    FieldTooLarge,
    HeadTooLarge,
    BodyTooLarge {
        limit: u64,
    },
    Http2Preface,
    Field(Detail),
    FieldName(Detail),
    ObsoleteFolding(Detail),
    TransferCoding(Detail),
    Expectation(Detail),
    SchemeConflict,
    ChunkSize(Detail),
    ChunkExtension(&'static str),
    ChunkTerminator(Detail),
    /// The path is not under the SCRIPT_NAME in force: a fault of the proxy or of the deployment.
    ScriptName {
        path: Detail,
        prefix: Detail,
    },
    /// The line of the PROXY protocol, version 1.
    ProxyLine(Detail),
    /// Its header, version 2.
    ProxyHeader(&'static str),
    /// A PROXY header from a peer that may not speak for others.
    ProxyForbidden(IpAddr),
    /// The head did not come in time.
    HeadTimeout,
    /// The body did not come in time.
    BodyTimeout,
    /// Its connection is needed for somebody else.
    Crowded,
    /// EOF inside a head. Nobody is told: the peer left.
    HeadTruncated,
    /// EOF inside a body: what was read is not the whole.
    BodyTruncated,
}

impl PeerError {
    pub fn status(&self) -> u16 {
        match self {
            Self::RequestLineTooLong { .. } => 414,
            Self::BodyTooLarge { .. } => 413,
            Self::TooManyFields | Self::FieldTooLarge | Self::HeadTooLarge => 431,
            Self::Expectation(_) => 417,
            Self::ProxyForbidden(_) => 403,
            Self::HeadTimeout | Self::BodyTimeout | Self::Crowded => 408,
            Self::TransferCoding(_) => 501,
            Self::ScriptName { .. } => 500,
            _ => 400,
        }
    }

    pub fn reason(&self) -> &'static str {
        status::reason(self.status())
    }

    /// The peer is gone: no answer is owed, and the log line belongs at debug level.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Self::HeadTruncated | Self::BodyTruncated)
    }

    /// The peer was slow, which is no breach of HTTP.
    pub fn is_slowness(&self) -> bool {
        matches!(self, Self::HeadTimeout | Self::BodyTimeout | Self::Crowded)
    }

    /// The sentence of the error page, which wraps the log's sentence for some faults.
    pub fn page_message(&self) -> String {
        match self {
            Self::RequestLine(_) => format!("Invalid Request Line '{self}'"),
            Self::Method(_) => format!("Invalid Method '{self}'"),
            Self::Version(_) => format!("Invalid HTTP Version '{self}'"),
            Self::TooManyFields | Self::FieldTooLarge | Self::HeadTooLarge => {
                format!("Error parsing headers: '{self}'")
            }
            Self::ProxyLine(_) | Self::ProxyHeader(_) => format!("'{self}'"),
            Self::ProxyForbidden(_) => "Request forbidden".to_owned(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestLine(line) => write!(f, "Invalid HTTP request line: {line}"),
            Self::Method(method) => write!(f, "Invalid HTTP method: {method}"),
            Self::Version(version) => write!(f, "Invalid HTTP Version: {version}"),
            Self::RequestLineTooLong { size, limit } => {
                write!(f, "Request Line is too large ({size} > {limit})")
            }
            Self::TooManyFields => f.write_str("limit request headers fields"),
            Self::FieldTooLarge => f.write_str("limit request headers fields size"),
            Self::HeadTooLarge => f.write_str("max buffer headers"),
            Self::BodyTooLarge { limit } => write!(f, "Request body is too large (> {limit})"),
            Self::Http2Preface => f.write_str("HTTP/2 is not spoken on this address, only HTTP/1.1"),
            Self::Field(field) => write!(f, "Invalid HTTP Header: {field}"),
            Self::FieldName(name) => write!(f, "Invalid HTTP header name: {name}"),
            Self::ObsoleteFolding(name) => write!(f, "Obsolete line folding is unacceptable: {name}"),
            Self::TransferCoding(value) => write!(f, "Unsupported transfer coding: {value}"),
            Self::Expectation(value) => write!(f, "Unable to comply with expectation: {value}"),
            Self::SchemeConflict => f.write_str("Contradictory scheme headers"),
            Self::ChunkSize(size) => write!(f, "Invalid chunk size: b{size}"),
            Self::ChunkExtension(why) => write!(f, "Invalid chunk extension: {why}"),
            Self::ChunkTerminator(found) => {
                write!(f, "Invalid chunk terminator is not '\\r\\n': b{found}")
            }
            Self::ScriptName { path, prefix } => {
                write!(
                    f,
                    "Configuration problem: Request path {path} does not start with SCRIPT_NAME {prefix}"
                )
            }
            Self::ProxyLine(line) => write!(f, "Invalid PROXY line: {line}"),
            Self::ProxyHeader(why) => write!(f, "Invalid PROXY header: {why}"),
            Self::ProxyForbidden(peer) => write!(f, "Proxy request from '{peer}' not allowed"),
            Self::HeadTimeout => f.write_str("the request's head did not come in time"),
            Self::BodyTimeout => f.write_str("the request's body did not come in time"),
            Self::Crowded => f.write_str("the request did not come before its connection was needed"),
            Self::HeadTruncated => f.write_str("connection closed inside the request head"),
            Self::BodyTruncated => f.write_str("connection closed inside the request body"),
        }
    }
}

impl std::error::Error for PeerError {}

/// The application broke HTTP or PEP 3333: a 500. Values are never shown, they may be secrets; names are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppError {
    Status(Detail),
    FieldName(Detail),
    FieldValue(Detail),
    ContentLength(Detail),
    ContentLengthConflict,
    InformationalStatus(u16),
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "Invalid status {status}"),
            Self::FieldName(name) => {
                write!(f, "Invalid response header name from the application: {name}")
            }
            Self::FieldValue(name) => write!(f, "Invalid response header from the application: {name}"),
            Self::ContentLength(value) => write!(f, "Invalid Content-Length from the application: {value}"),
            Self::ContentLengthConflict => f.write_str("two different Content-Length from the application"),
            Self::InformationalStatus(status) => write!(f, "{status} is not an informational status"),
        }
    }
}

impl std::error::Error for AppError {}

#[cfg(test)]
mod tests {
    use super::{Detail, PeerError};

    #[test]
    fn details_are_printable_and_bounded() {
        assert_eq!(Detail::new(b"a\r\n\x1b\x80'").to_string(), "\"a\\r\\n\\x1b\\x80'\"");
        assert_eq!(Detail::new(b"'\"").to_string(), "'\\'\"'");
        let long = Detail::new(&[b'x'; 5000]).to_string();
        assert_eq!(long.len(), 256 + 5);
    }

    #[test]
    fn pages_wrap_the_sentence() {
        let fault = PeerError::Method(Detail::new(b"ge"));
        assert_eq!(fault.page_message(), "Invalid Method 'Invalid HTTP method: 'ge''");
        assert_eq!((fault.status(), fault.reason()), (400, "Bad Request"));
    }
}
