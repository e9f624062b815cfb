//! The access log: a format compiled once, and one line a request.
//!
//! Owns: the atoms, and the escaping that keeps a request from forging a line. Cost when it is off: none, for the caller
//! asks `Option<AccessLog>` before it collects anything.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::basic_user::basic_user;
use super::sink::Sink;
use crate::sys::clock::{self, LocalTime};

/// What a line can tell of a request. Names are looked up only if the format asks for them.
pub trait Record {
    fn remote_addr(&self) -> &str;
    fn method(&self) -> &str;
    /// The request-target as sent.
    fn target(&self) -> &[u8];
    /// The path, percent-decoded.
    fn path(&self) -> Vec<u8>;
    fn query(&self) -> &[u8];
    /// `HTTP/1.1`.
    fn protocol(&self) -> &str;
    fn status(&self) -> u16;
    /// Bytes of the response's body.
    fn sent(&self) -> u64;
    fn elapsed(&self) -> Duration;
    fn request_field(&self, name: &str) -> Option<Vec<u8>>;
    fn response_field(&self, name: &str) -> Option<Vec<u8>>;
    fn environ(&self, key: &str) -> Option<Vec<u8>>;
}

/// An open access log.
pub struct AccessLog {
    format: Format,
    sink: Arc<Sink>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    second: u64,
    stamp: String,
}

impl AccessLog {
    pub fn new(format: Format, sink: Arc<Sink>) -> Self {
        Self { format, sink, line: Mutex::default() }
    }

    pub const fn sink(&self) -> &Arc<Sink> {
        &self.sink
    }

    /// Writes the line of one request.
    pub fn write(&self, record: &dyn Record) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.stamp_at(clock::wall_coarse().as_secs());
        let Line { bytes, stamp, .. } = &mut *line;
        bytes.clear();
        for piece in &self.format.pieces {
            piece.append(record, stamp, bytes);
        }
        bytes.push(b'\n');
        self.sink.write_line(bytes);
    }
}

impl Line {
    /// `[10/Oct/2026:13:55:36 +0000]`, made anew each second.
    fn stamp_at(&mut self, second: u64) {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        if self.second == second && !self.stamp.is_empty() {
            return;
        }
        let now = LocalTime::at(second);
        let month = usize::try_from(now.month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"???");
        let (day, year, zone) = (now.day, now.year, now.zone());
        self.second = second;
        self.stamp = format!(
            "[{day:02}/{month}/{year:04}:{:02}:{:02}:{:02} {zone}]",
            now.hour, now.minute, now.second
        );
    }
}

/// A compiled `access_log_format`.
#[derive(Debug, PartialEq, Eq)]
pub struct Format {
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Atom(Atom),
    RequestField(String),
    ResponseField(String),
    Environ(String),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Atom {
    RemoteAddr,
    Ident,
    User,
    Time,
    RequestLine,
    Method,
    Path,
    Query,
    Protocol,
    Status,
    Bytes,
    Referer,
    UserAgent,
    Seconds,
    Milliseconds,
    Microseconds,
    DecimalSeconds,
    Process,
}

/// Letter and meaning, as gunicorn documents them.
const ATOMS: &[(&str, Atom)] = &[
    ("h", Atom::RemoteAddr),
    ("l", Atom::Ident),
    ("u", Atom::User),
    ("t", Atom::Time),
    ("r", Atom::RequestLine),
    ("m", Atom::Method),
    ("U", Atom::Path),
    ("q", Atom::Query),
    ("H", Atom::Protocol),
    ("s", Atom::Status),
    ("B", Atom::Bytes),
    ("b", Atom::Bytes),
    ("f", Atom::Referer),
    ("a", Atom::UserAgent),
    ("T", Atom::Seconds),
    ("M", Atom::Milliseconds),
    ("D", Atom::Microseconds),
    ("L", Atom::DecimalSeconds),
    ("p", Atom::Process),
];

impl Format {
    /// Compiles `%(name)s` atoms. Fails with a sentence that shows the faulty place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let (literal, tail) = rest.split_at(at);
            push_literal(&mut pieces, literal);
            if let Some(after) = tail.strip_prefix("%%") {
                push_literal(&mut pieces, "%");
                rest = after;
                continue;
            }
            let fault = || format!("'%' must begin '%(name)s' or '%%', at \"{tail}\"");
            let (name, after) =
                tail.strip_prefix("%(").and_then(|tail| tail.split_once(')')).ok_or_else(fault)?;
            rest = after.strip_prefix(['s', 'd']).ok_or_else(fault)?;
            pieces.push(Piece::named(name));
        }
        push_literal(&mut pieces, rest);
        Ok(Self { pieces })
    }
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Literal(literal)) => literal.push_str(text),
        _ => pieces.push(Piece::Literal(text.to_owned())),
    }
}

impl Piece {
    fn named(name: &str) -> Self {
        if let Some((key, kind)) = name.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')) {
            return match kind {
                "i" => Self::RequestField(key.to_owned()),
                "o" => Self::ResponseField(key.to_owned()),
                "e" => Self::Environ(key.to_owned()),
                _ => Self::Unknown,
            };
        }
        let known = ATOMS.iter().find(|(letter, _)| *letter == name);
        known.map_or(Self::Unknown, |(_, atom)| Self::Atom(*atom))
    }

    fn append(&self, record: &dyn Record, stamp: &str, line: &mut Vec<u8>) {
        match self {
            Self::Literal(text) => line.extend_from_slice(text.as_bytes()),
            Self::Atom(atom) => atom.append(record, stamp, line),
            Self::RequestField(name) => append_or_dash(record.request_field(name), line),
            Self::ResponseField(name) => append_or_dash(record.response_field(name), line),
            Self::Environ(key) => append_or_dash(record.environ(key), line),
            Self::Unknown => line.push(b'-'),
        }
    }
}

impl Atom {
    fn append(self, record: &dyn Record, stamp: &str, line: &mut Vec<u8>) {
        let elapsed = record.elapsed();
        // Writing to a Vec cannot fail.
        let _ = match self {
            Self::RemoteAddr => return escape(record.remote_addr().as_bytes(), line),
            Self::Ident => return line.push(b'-'),
            Self::User => {
                let user = record.request_field("authorization").and_then(|value| basic_user(&value));
                return append_or_dash(user, line);
            }
            Self::Time => return line.extend_from_slice(stamp.as_bytes()),
            Self::RequestLine => {
                line.extend_from_slice(record.method().as_bytes());
                line.push(b' ');
                escape(record.target(), line);
                line.push(b' ');
                return line.extend_from_slice(record.protocol().as_bytes());
            }
            Self::Method => return line.extend_from_slice(record.method().as_bytes()),
            Self::Path => return escape(&record.path(), line),
            Self::Query => return escape(record.query(), line),
            Self::Protocol => return line.extend_from_slice(record.protocol().as_bytes()),
            Self::Referer => return append_or_dash(record.request_field("referer"), line),
            Self::UserAgent => return append_or_dash(record.request_field("user-agent"), line),
            Self::Status => write!(line, "{}", record.status()),
            Self::Bytes => write!(line, "{}", record.sent()),
            Self::Seconds => write!(line, "{}", elapsed.as_secs()),
            Self::Milliseconds => write!(line, "{}", elapsed.as_millis()),
            Self::Microseconds => write!(line, "{}", elapsed.as_micros()),
            Self::DecimalSeconds => write!(line, "{}.{:06}", elapsed.as_secs(), elapsed.subsec_micros()),
            Self::Process => write!(line, "<{}>", std::process::id()),
        };
    }
}

fn append_or_dash(value: Option<Vec<u8>>, line: &mut Vec<u8>) {
    match value {
        Some(value) => escape(&value, line),
        None => line.push(b'-'),
    }
}

/// Appends what a client or an application chose, so that it can end neither its quotes nor the line.
fn escape(value: &[u8], line: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'"' => line.extend_from_slice(b"\\\""),
            b'\\' => line.extend_from_slice(b"\\\\"),
            0x20..=0x7e | 0x80.. => line.push(*byte),
            _ => {
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl Record for Sample {
        fn remote_addr(&self) -> &str {
            "127.0.0.1"
        }
        fn method(&self) -> &str {
            "GET"
        }
        fn target(&self) -> &[u8] {
            b"/a%0Ab?x=1"
        }
        fn path(&self) -> Vec<u8> {
            b"/a\nb".to_vec()
        }
        fn query(&self) -> &[u8] {
            b"x=1"
        }
        fn protocol(&self) -> &str {
            "HTTP/1.1"
        }
        fn status(&self) -> u16 {
            200
        }
        fn sent(&self) -> u64 {
            13
        }
        fn elapsed(&self) -> Duration {
            Duration::from_micros(1_002_003)
        }
        fn request_field(&self, name: &str) -> Option<Vec<u8>> {
            (name == "user-agent").then(|| b"curl \"8\" \\".to_vec())
        }
        fn response_field(&self, name: &str) -> Option<Vec<u8>> {
            (name == "X-Id").then(|| b"7".to_vec())
        }
        fn environ(&self, key: &str) -> Option<Vec<u8>> {
            (key == "REMOTE_PORT").then(|| b"5".to_vec())
        }
    }

    fn rendered(format: &str) -> String {
        let mut line = Vec::new();
        for piece in Format::parse(format).unwrap().pieces {
            piece.append(&Sample, "[now]", &mut line);
        }
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn the_default_format() {
        let format = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;
        let line = r#"127.0.0.1 - - [now] "GET /a%0Ab?x=1 HTTP/1.1" 200 13 "-" "curl \"8\" \\""#;
        assert_eq!(rendered(format), line);
    }

    #[test]
    fn times_fields_and_unknown_atoms() {
        assert_eq!(rendered("%(T)s %(M)s %(D)s %(L)s"), "1 1002 1002003 1.002003");
        assert_eq!(rendered("%({user-agent}i)s %({X-Id}o)s %({REMOTE_PORT}e)s"), r#"curl \"8\" \\ 7 5"#);
        assert_eq!(rendered("100%% %(Z)s %({x}z)s %({none}i)s"), "100% - - -");
    }

    #[test]
    fn no_value_can_end_the_line() {
        assert_eq!(rendered("%(U)s"), r"/a\x0ab");
    }

    #[test]
    fn faulty_formats_are_refused_with_the_place() {
        for bad in ["%", "a %(h", "%(h)x", "%h"] {
            assert!(Format::parse(bad).unwrap_err().contains('%'), "{bad}");
        }
    }
}
