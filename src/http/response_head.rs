//! The status and fields an application gives (PEP 3333 start_response), checked and encoded as they are given.
//!
//! Invariant: nothing an application says can end a line early, name the framing, or speak for the connection: CR, LF,
//! NUL and other controls are refused, and fields that belong to the server are dropped. What is kept is already in
//! wire form, so `writer.rs` only copies it.

use std::ops::Range;

use super::error::{AppError, Detail};
use super::field::{is_token, is_value, trim};
use super::framing::decimal;

/// The head of one response, before the server's own fields. Reused through [`ResponseHead::clear`].
#[derive(Debug, Default)]
pub struct ResponseHead {
    code: u16,
    /// Status code, a space, the phrase.
    status: Vec<u8>,
    /// Field lines with their CRLF.
    lines: Vec<u8>,
    /// Where in `lines` the Content-Length line is, and what it says.
    length: Option<(u64, Range<usize>)>,
    upgrade: bool,
}

/// What becomes of a field the application set.
enum Fate {
    Keep,
    Drop,
    Length(u64),
    Upgrade,
}

impl ResponseHead {
    pub fn new() -> Self {
        Self::default()
    }

    /// Back to empty, memory kept.
    pub fn clear(&mut self) {
        self.code = 0;
        self.status.clear();
        self.lines.clear();
        self.length = None;
        self.upgrade = false;
    }

    /// Whether a status was set: an application that never called start_response left none.
    pub fn is_set(&self) -> bool {
        self.code != 0
    }

    /// `ddd` or `ddd phrase`, latin-1. RFC 9112 section 4 wants the space even without a phrase.
    pub fn set_status(&mut self, status: &[u8]) -> Result<(), AppError> {
        let bad = || AppError::Status(Detail::new(status));
        let (digits, rest) = status.split_at_checked(3).ok_or_else(bad)?;
        let code = decimal(digits).and_then(|code| u16::try_from(code).ok()).ok_or_else(bad)?;
        let phrase = match rest {
            [] => rest,
            [b' ', phrase @ ..] => phrase,
            _ => return Err(bad()),
        };
        if code < 100 || !is_value(phrase) {
            return Err(bad());
        }
        self.code = code;
        self.status.clear();
        self.status.extend_from_slice(digits);
        self.status.push(b' ');
        self.status.extend_from_slice(phrase);
        Ok(())
    }

    pub fn status(&self) -> u16 {
        self.code
    }

    /// Code, space and phrase, as they go on the wire.
    pub fn status_line(&self) -> &[u8] {
        &self.status
    }

    /// Adds a field, or drops it if it is the server's to send. On an error nothing is added.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), AppError> {
        let value = checked(name, value)?;
        match fate(name, value)? {
            Fate::Drop => {}
            Fate::Upgrade => self.upgrade = true,
            Fate::Keep => encode(name, value, &mut self.lines),
            Fate::Length(length) => self.push_length(length, name, value)?,
        }
        Ok(())
    }

    /// The same length twice is one length (RFC 9110 section 8.6); two different ones cannot both be meant.
    fn push_length(&mut self, length: u64, name: &[u8], value: &[u8]) -> Result<(), AppError> {
        match self.length {
            Some((known, _)) if known == length => Ok(()),
            Some(_) => Err(AppError::ContentLengthConflict),
            None => {
                let start = self.lines.len();
                encode(name, value, &mut self.lines);
                self.length = Some((length, start..self.lines.len()));
                Ok(())
            }
        }
    }

    pub fn content_length(&self) -> Option<u64> {
        self.length.as_ref().map(|length| length.0)
    }

    /// Whether the application asked for `Connection: upgrade`.
    pub fn is_upgrade(&self) -> bool {
        self.upgrade
    }

    /// The first kept field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|field| field.0.eq_ignore_ascii_case(name.as_bytes())).map(|field| field.1)
    }

    /// The kept fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        // `encode` wrote every line, so each has its colon and space.
        self.lines.split(|&byte| byte == b'\n').filter_map(|line| {
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            Some((name, trim(value.get(1..)?.strip_suffix(b"\r")?)))
        })
    }

    /// All field lines, or all but Content-Length, in two pieces.
    pub(crate) fn lines(&self, with_length: bool) -> (&[u8], &[u8]) {
        match &self.length {
            Some((_, range)) if !with_length => (
                self.lines.get(..range.start).unwrap_or_default(),
                self.lines.get(range.end..).unwrap_or_default(),
            ),
            _ => (&self.lines, &[]),
        }
    }
}

/// The trimmed value of a valid field.
pub(crate) fn checked<'a>(name: &[u8], value: &'a [u8]) -> Result<&'a [u8], AppError> {
    if !is_token(name) {
        return Err(AppError::FieldName(Detail::new(name)));
    }
    if !is_value(value) {
        return Err(AppError::FieldValue(Detail::new(name)));
    }
    Ok(trim(value))
}

pub(crate) fn encode(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.reserve(name.len().saturating_add(value.len()).saturating_add(4));
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Hop-by-hop fields (PEP 3333 forbids them), Server and Date are the server's. (gunicorn) A request to upgrade the
/// connection is heard, and `Upgrade: websocket` passes.
fn fate(name: &[u8], value: &[u8]) -> Result<Fate, AppError> {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    Ok(match name.len() {
        14 if is("content-length") => {
            Fate::Length(decimal(value).ok_or_else(|| AppError::ContentLength(Detail::new(value)))?)
        }
        10 if is("connection") && value.eq_ignore_ascii_case(b"upgrade") => Fate::Upgrade,
        7 if is("upgrade") && value.eq_ignore_ascii_case(b"websocket") => Fate::Keep,
        _ if is_servers(name) => Fate::Drop,
        _ => Fate::Keep,
    })
}

/// Whether a field is the server's business, not the application's.
pub(crate) fn is_servers(name: &[u8]) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    match name.len() {
        2 => is("te"),
        4 => is("date"),
        6 => is("server"),
        7 => is("upgrade"),
        8 => is("trailers"),
        10 => is("connection") || is("keep-alive"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseHead;
    use crate::http::error::AppError;

    #[test]
    fn statuses() {
        let mut head = ResponseHead::new();
        assert!(!head.is_set());
        for (given, wire) in
            [("200 OK", "200 OK"), ("404", "404 "), ("299 ", "299 "), ("999 \u{e9}", "999 \u{e9}")]
        {
            head.set_status(given.as_bytes()).unwrap();
            assert_eq!(head.status_line(), wire.as_bytes());
        }
        for bad in [
            "",
            "20",
            "2000 OK",
            "099 Low",
            "abc",
            "200\tOK",
            "200 OK\r\nX: y",
            "200 \0",
            "+20 OK",
            " 200 OK",
        ] {
            assert!(matches!(head.set_status(bad.as_bytes()), Err(AppError::Status(_))), "{bad:?}");
        }
        assert_eq!(head.status(), 999, "a refused status changes nothing");
    }

    #[test]
    fn fields_that_are_the_servers_are_dropped() {
        let mut head = ResponseHead::new();
        for name in [
            "Connection",
            "Keep-Alive",
            "Proxy-Authenticate",
            "Proxy-Authorization",
            "TE",
            "Trailers",
            "Transfer-Encoding",
            "Upgrade",
            "Server",
            "Date",
        ] {
            head.push(name.as_bytes(), b"x").unwrap();
        }
        assert_eq!(head.fields().count(), 0);
        head.push(b"Upgrade", b"WebSocket").unwrap();
        head.push(b"Connection", b"Upgrade").unwrap();
        head.push(b"X-Empty", b" \t").unwrap();
        head.push(b"x-a", b"\t a:b ").unwrap();
        assert!(head.is_upgrade());
        let fields: Vec<_> = head.fields().collect();
        assert_eq!(fields, [(&b"Upgrade"[..], &b"WebSocket"[..]), (b"X-Empty", b""), (b"x-a", b"a:b")]);
        assert_eq!(head.field("X-A"), Some(&b"a:b"[..]));
    }

    #[test]
    fn one_content_length() {
        let mut head = ResponseHead::new();
        head.push(b"a", b"1").unwrap();
        head.push(b"Content-Length", b" 5 ").unwrap();
        head.push(b"b", b"2").unwrap();
        head.push(b"content-length", b"5").unwrap();
        assert_eq!(head.push(b"content-length", b"6"), Err(AppError::ContentLengthConflict));
        assert!(matches!(head.push(b"content-length", b"-5"), Err(AppError::ContentLength(_))));
        assert_eq!(head.content_length(), Some(5));
        assert_eq!(head.lines(true), (&b"a: 1\r\nContent-Length: 5\r\nb: 2\r\n"[..], &b""[..]));
        assert_eq!(head.lines(false), (&b"a: 1\r\n"[..], &b"b: 2\r\n"[..]));
    }
}
