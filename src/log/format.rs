//! The layout of a plain line: literals and atoms, `%(NAME)s`.
//!
//! Owns the atoms' names and what each becomes. A value that is absent is `-`. Read next: `access_log.rs`, `escape.rs`.

use super::access_log::{Record, Surroundings, Variable};
use super::basic_user::basic_user;
use super::escape;
use super::json::fraction;

/// A compiled format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Format {
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
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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

    /// Appends the line of one request.
    pub(super) fn append(&self, record: &impl Record, around: &Surroundings, line: &mut Vec<u8>) {
        for piece in &self.pieces {
            piece.append(record, around, line);
        }
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
                // Names have no case. Keys of CGI are in capitals, those of servers have a dot and are not.
                "e" if !key.contains('.') => Self::Environ(key.to_ascii_uppercase()),
                "e" => Self::Environ(key.to_owned()),
                _ => Self::Unknown,
            };
        }
        let known = ATOMS.iter().find(|(letter, _)| *letter == name);
        known.map_or(Self::Unknown, |(_, atom)| Self::Atom(*atom))
    }

    fn append(&self, record: &impl Record, around: &Surroundings, line: &mut Vec<u8>) {
        let found = match self {
            Self::Literal(text) => return line.extend_from_slice(text.as_bytes()),
            Self::Atom(atom) => atom.append(record, around, line),
            Self::RequestField(name) => maybe(record.request_field(name), line),
            Self::ResponseField(name) => maybe(record.response_field(name), line),
            Self::Environ(key) => record.environ(key, escape::plain, line),
            Self::Unknown => false,
        };
        if !found {
            line.push(b'-');
        }
    }
}

impl Atom {
    /// False if there is no value.
    fn append(self, record: &impl Record, around: &Surroundings, line: &mut Vec<u8>) -> bool {
        let variable = |of, line: &mut Vec<u8>| record.variable(of, escape::plain, line);
        let elapsed = record.elapsed();
        let whole = match self {
            Self::RemoteAddr => return variable(Variable::RemoteAddr, line),
            Self::Method => return variable(Variable::Method, line),
            Self::Path => return variable(Variable::PathInfo, line),
            Self::Query => return variable(Variable::QueryString, line),
            Self::Ident => return false,
            Self::User => {
                let user = record.request_field("authorization").and_then(basic_user);
                return maybe(user.as_deref(), line);
            }
            Self::Time => return bytes(around.stamp.common(), line),
            Self::RequestLine => {
                variable(Variable::Method, line);
                line.push(b' ');
                escape::plain(record.target(), line);
                line.push(b' ');
                return bytes(record.protocol().as_bytes(), line);
            }
            Self::Protocol => return bytes(record.protocol().as_bytes(), line),
            Self::Referer => return maybe(record.request_field("referer"), line),
            Self::UserAgent => return maybe(record.request_field("user-agent"), line),
            Self::Process => {
                line.push(b'<');
                number(around.pid.into(), line);
                return bytes(b">", line);
            }
            Self::Status => record.status().into(),
            Self::Bytes => record.sent(),
            Self::Seconds | Self::DecimalSeconds => elapsed.as_secs(),
            Self::Milliseconds => elapsed.as_millis() as u64,
            Self::Microseconds => elapsed.as_micros() as u64,
        };
        number(whole, line);
        if self == Self::DecimalSeconds {
            fraction(elapsed.subsec_micros(), line);
        }
        true
    }
}

fn maybe(value: Option<&[u8]>, line: &mut Vec<u8>) -> bool {
    value.map(|value| escape::plain(value, line)).is_some()
}

fn bytes(value: &[u8], line: &mut Vec<u8>) -> bool {
    line.extend_from_slice(value);
    true
}

fn number(value: u64, line: &mut Vec<u8>) {
    line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::super::escape::Escape;
    use super::*;

    pub(in crate::log) struct Sample<'a> {
        pub(in crate::log) agent: Option<&'a [u8]>,
        pub(in crate::log) id: Option<&'a str>,
    }

    impl Default for Sample<'_> {
        fn default() -> Self {
            Self { agent: Some(b"curl \"8\" \\"), id: None }
        }
    }

    impl Record for Sample<'_> {
        fn variable(&self, variable: Variable, escape: Escape, line: &mut Vec<u8>) -> bool {
            let value: &[u8] = match variable {
                Variable::RemoteAddr => b"127.0.0.1",
                Variable::Method => b"GET",
                Variable::PathInfo => b"/a\nb",
                Variable::QueryString => b"x=1",
            };
            escape(value, line);
            true
        }
        fn target(&self) -> &[u8] {
            b"/a%0Ab?x=1"
        }
        fn path(&self) -> &[u8] {
            b"/a%0Ab"
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
        fn request_field(&self, name: &str) -> Option<&[u8]> {
            self.agent.filter(|_| name == "user-agent")
        }
        fn response_field(&self, name: &str) -> Option<&[u8]> {
            (name == "X-Id").then_some(b"7")
        }
        fn environ(&self, key: &str, escape: Escape, line: &mut Vec<u8>) -> bool {
            let known = key == "REMOTE_PORT";
            if known {
                escape(b"5", line);
            }
            known
        }
        fn request_id(&self) -> Option<&str> {
            self.id
        }
    }

    fn rendered(format: &str) -> String {
        let around = Surroundings { pid: 7, ..Surroundings::default() };
        let mut line = Vec::new();
        Format::parse(format).unwrap().append(&Sample::default(), &around, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn the_default_format() {
        let format = r#"%(h)s %(l)s %(u)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;
        let line = r#"127.0.0.1 - - "GET /a%0Ab?x=1 HTTP/1.1" 200 13 "-" "curl \"8\" \\""#;
        assert_eq!(rendered(format), line);
    }

    #[test]
    fn times_fields_and_unknown_atoms() {
        assert_eq!(rendered("%(T)s %(M)s %(D)s %(L)s %(p)s"), "1 1002 1002003 1.002003 <7>");
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
