//! The response side of a connection: framing (RFC 9112 sections 6 and 7), persistence, and the bytes to send.
//!
//! Invariants: the head goes out once; what follows it agrees with it, whatever the application does (never a byte
//! beyond Content-Length, none at all where a body is forbidden, no last chunk after a failure); and the connection is
//! persistent only if the client can find the end of this response. Field order: status line, Server, Date, Connection,
//! Transfer-Encoding, the application's fields as given, then a Content-Length of ours.

use super::error::AppError;
use super::head::{Head, Version};
use super::response_head::{ResponseHead, checked, encode, is_servers};
use super::status;

/// An output buffer that one large response blew up is given back when it is empty.
const OUTPUT_KEEP: usize = 64 * 1024;
const ID_FIELD: &str = "X-Request-ID";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Bytes of a Content-Length still owed.
    Length(u64),
    Chunked,
    /// The body ends with the connection.
    Close,
    /// HEAD, 1xx, 204 and 304 have no body, whatever their fields say (RFC 9112 section 6.3).
    NoBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Body(Framing),
    Finished,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    pub persistent: bool,
    /// Bytes promised by Content-Length that were never sent: the client must see the connection close.
    pub missing: u64,
    /// Bytes of the application beyond its Content-Length, which were not sent.
    pub excess: u64,
}

/// Encodes the responses of one connection.
#[derive(Debug)]
pub struct ResponseWriter {
    output: Vec<u8>,
    sent: usize,
    state: State,
    version: Version,
    head_request: bool,
    persistent: bool,
    dropped_body: bool,
    excess: u64,
    body_sent: u64,
    /// The field line that tells the request's id.
    id_line: Vec<u8>,
}

impl Default for ResponseWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseWriter {
    pub fn new() -> Self {
        Self {
            output: Vec::new(),
            sent: 0,
            state: State::Head,
            version: Version::Http11,
            head_request: false,
            persistent: false,
            dropped_body: false,
            excess: 0,
            body_sent: 0,
            id_line: Vec::new(),
        }
    }

    /// No request is in hand: a fault of the next one is answered as that of the first would be.
    pub fn await_request(&mut self) {
        self.state = State::Head;
        self.version = Version::Http11;
        self.head_request = false;
        self.persistent = false;
        self.dropped_body = false;
        self.excess = 0;
        self.body_sent = 0;
        self.id_line.clear();
    }

    /// A new response, to the request with this head. Unsent output of the one before stays in front.
    pub fn begin(&mut self, head: &Head<'_>, allow_keep_alive: bool) {
        self.await_request();
        self.version = head.version();
        self.head_request = head.method_bytes() == b"HEAD";
        self.persistent = allow_keep_alive && head.keep_alive();
    }

    /// The response is to carry this id, unless the application gives one of its own. `id` is a token.
    pub fn identify(&mut self, id: &str) {
        self.id_line.clear();
        encode(ID_FIELD.as_bytes(), id.as_bytes(), &mut self.id_line);
    }

    /// An interim response (100, 103). Not sent to HTTP/1.0, nor after the head; `101` is a final one here.
    pub fn informational(&mut self, status: u16, fields: &[(&[u8], &[u8])]) -> Result<(), AppError> {
        if !(100..200).contains(&status) || status == 101 {
            return Err(AppError::InformationalStatus(status));
        }
        if self.version == Version::Http10 || self.head_sent() {
            return Ok(());
        }
        for (name, value) in fields {
            checked(name, value)?;
        }
        self.status_line(b"HTTP/1.1 ", status);
        for (name, value) in fields {
            // No content, so no length of it (RFC 9110 section 8.6).
            if !is_servers(name) && !name.eq_ignore_ascii_case(b"content-length") {
                encode(name, checked(name, value)?, &mut self.output);
            }
        }
        self.output.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn status_line(&mut self, version: &[u8], status: u16) {
        self.output.extend_from_slice(version);
        self.output.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        self.output.push(b' ');
        self.output.extend_from_slice(status::reason(status).as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    /// Decides the framing and encodes the head. `known_length` is the whole body's length, if the application set no
    /// Content-Length and its iterable is known to be complete (PEP 3333). `date` is an IMF-fixdate.
    pub fn send_head(&mut self, head: &ResponseHead, known_length: Option<u64>, date: &[u8]) {
        if self.head_sent() {
            return;
        }
        let status = head.status();
        let ours =
            if head.content_length().is_none() { self.length_to_add(status, known_length) } else { None };
        let framing = self.choose_framing(status, head.content_length().or(ours));
        // A 1xx as the answer leaves the client waiting for the final one: only closing tells it that none will come.
        self.persistent &= framing != Framing::Close && status >= 200;
        self.state = State::Body(framing);

        let (before, after) = head.lines(!forbids_length(status));
        let out = &mut self.output;
        let own = [head.status_line().len(), before.len(), after.len()];
        out.reserve(own.into_iter().fold(128, usize::saturating_add));
        out.extend_from_slice(self.version.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(head.status_line());
        out.extend_from_slice(b"\r\nServer: rwsgi\r\nDate: ");
        out.extend_from_slice(date);
        out.extend_from_slice(match (head.is_upgrade(), self.persistent) {
            (true, _) => b"\r\nConnection: upgrade\r\n",
            (false, true) => b"\r\nConnection: keep-alive\r\n",
            (false, false) => b"\r\nConnection: close\r\n",
        });
        if framing == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if !self.id_line.is_empty() && head.field(ID_FIELD).is_none() {
            out.extend_from_slice(&self.id_line);
        }
        out.extend_from_slice(before);
        out.extend_from_slice(after);
        if let Some(length) = ours {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The Content-Length to send on our own account. RFC 9110 section 8.6: none in 1xx and 204; in a 304 or the answer to
    /// a HEAD only that of the GET's 200, which an empty iterable does not tell.
    fn length_to_add(&self, status: u16, known: Option<u64>) -> Option<u64> {
        known
            .filter(|&length| !forbids_length(status) && status != 304 && !(self.head_request && length == 0))
    }

    fn choose_framing(&self, status: u16, length: Option<u64>) -> Framing {
        match length {
            _ if self.head_request || status == 304 || forbids_length(status) => Framing::NoBody,
            Some(length) => Framing::Length(length),
            None if self.version == Version::Http11 => Framing::Chunked,
            None => Framing::Close,
        }
    }

    pub fn head_sent(&self) -> bool {
        self.state != State::Head
    }

    /// Nothing more will come: the response is complete, or was aborted.
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Frames and copies body bytes into the output. Returns how many were accepted: those beyond Content-Length, and all
    /// of a response without body, are dropped.
    pub fn send_body(&mut self, data: &[u8]) -> usize {
        let accepted = usize::try_from(self.begin_block(data.len() as u64)).unwrap_or(0);
        self.output.extend_from_slice(data.get(..accepted).unwrap_or_default());
        self.end_chunk(accepted as u64);
        accepted
    }

    /// Announces a block of body that the driver sends itself, after `output()`. Returns its length, which may be less than
    /// asked for; if fewer bytes can be had (a file that shrank), the response must be aborted. Then [`Self::end_block`].
    pub fn begin_block(&mut self, len: u64) -> u64 {
        let State::Body(framing) = &mut self.state else { return 0 };
        let accepted = match framing {
            Framing::Length(left) => {
                let accepted = len.min(*left);
                *left = left.saturating_sub(accepted);
                self.excess = self.excess.saturating_add(len.saturating_sub(accepted));
                accepted
            }
            Framing::Chunked if len > 0 => {
                chunk_size(len, &mut self.output);
                len
            }
            Framing::Chunked | Framing::Close => len,
            Framing::NoBody => {
                self.dropped_body |= len > 0 && !self.head_request;
                0
            }
        };
        self.body_sent = self.body_sent.saturating_add(accepted);
        accepted
    }

    /// After the bytes of a block that `begin_block` accepted (if any).
    pub fn end_block(&mut self) {
        self.end_chunk(1);
    }

    /// An empty chunk would end the body, so none was begun.
    fn end_chunk(&mut self, len: u64) {
        if len > 0 && self.state == State::Body(Framing::Chunked) {
            self.output.extend_from_slice(b"\r\n");
        }
    }

    /// The response is complete. A body shorter than its Content-Length makes the connection close.
    pub fn finish(&mut self) -> Finish {
        let missing = self.remaining().unwrap_or(0);
        match self.state {
            State::Body(Framing::Chunked) => self.output.extend_from_slice(b"0\r\n\r\n"),
            State::Body(_) | State::Finished => {}
            // No response was given at all.
            State::Head => self.persistent = false,
        }
        self.persistent &= missing == 0;
        self.state = State::Finished;
        Finish { persistent: self.persistent, missing, excess: std::mem::take(&mut self.excess) }
    }

    /// The response failed: nothing more of it is sent, so that the client sees it cut short.
    pub fn abort(&mut self) {
        self.persistent = false;
        self.state = State::Finished;
    }

    /// The connection is to end with this response, whatever the client would have.
    pub fn refuse_persistence(&mut self) {
        self.persistent &= self.head_sent();
    }

    /// Bytes of a Content-Length still owed.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Body(Framing::Length(left)) => Some(left),
            _ => None,
        }
    }

    /// Encoded and not yet sent.
    pub fn output(&self) -> &[u8] {
        self.output.get(self.sent..).unwrap_or_default()
    }

    /// Bytes of memory that it takes up.
    pub fn allocated(&self) -> usize {
        self.output.capacity()
    }

    /// `n` bytes of `output()` were sent.
    pub fn consume(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n).min(self.output.len());
        if self.sent == self.output.len() {
            self.output.clear();
            self.output.shrink_to(OUTPUT_KEEP);
            self.sent = 0;
        }
    }

    /// Body bytes accepted, without framing.
    pub fn body_sent(&self) -> u64 {
        self.body_sent
    }

    /// Whether the application gave a body where its status forbids one: worth a warning. One for HEAD is no fault.
    pub fn dropped_body(&self) -> bool {
        self.dropped_body
    }

    pub fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// An error page in gunicorn's form instead of the response, and the end of the connection. Once the head of a response
    /// is out it cannot be taken back: then this only aborts.
    pub fn error_response(&mut self, status: u16, detail: &str) {
        self.error_page(status, detail, b"");
    }

    /// 503, and in how many seconds the client may come again.
    pub fn unavailable(&mut self, seconds: u64) {
        let mut field = Vec::new();
        encode(b"Retry-After", itoa::Buffer::new().format(seconds).as_bytes(), &mut field);
        self.error_page(503, "", &field);
    }

    /// An error page is to carry this field as well. Both are the server's own.
    pub fn demand(&mut self, name: &[u8], value: &[u8]) {
        encode(name, value, &mut self.id_line);
    }

    fn error_page(&mut self, status: u16, detail: &str, field: &[u8]) {
        if self.head_sent() {
            return self.abort();
        }
        let page = error_page(status::reason(status), detail);
        self.status_line(b"HTTP/1.1 ", status);
        self.output.extend_from_slice(&self.id_line);
        self.output.extend_from_slice(field);
        self.output.extend_from_slice(b"Connection: close\r\nContent-Type: text/html\r\nContent-Length: ");
        self.output.extend_from_slice(itoa::Buffer::new().format(page.len()).as_bytes());
        self.output.extend_from_slice(b"\r\n\r\n");
        if !self.head_request {
            self.output.extend_from_slice(&page);
            self.body_sent = page.len() as u64;
        }
        self.abort();
    }
}

/// RFC 9110 section 8.6: no Content-Length in 1xx and 204.
fn forbids_length(status: u16) -> bool {
    status < 200 || status == 204
}

/// Upper-case hex and CRLF.
fn chunk_size(len: u64, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let places = 16_u32.saturating_sub(len.leading_zeros() / 4).max(1);
    for place in (0..places).rev() {
        let digit = len.checked_shr(place.saturating_mul(4)).unwrap_or(0) & 15;
        out.extend(DIGITS.get(digit as usize));
    }
    out.extend_from_slice(b"\r\n");
}

/// The page in latin-1.
fn error_page(reason: &str, detail: &str) -> Vec<u8> {
    let mut page = String::with_capacity(256_usize.saturating_add(detail.len()));
    page.push_str("<html>\n  <head>\n    <title>");
    page.push_str(reason);
    page.push_str("</title>\n  </head>\n  <body>\n    <h1><p>");
    page.push_str(reason);
    page.push_str("</p></h1>\n    ");
    for character in detail.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#x27;"),
            _ => page.push(character),
        }
    }
    page.push_str("\n  </body>\n</html>\n");
    page.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use super::{chunk_size, error_page};

    #[test]
    fn chunk_sizes_are_hex() {
        for len in [1, 15, 16, 255, 4096, 0xfff_ffff, u64::MAX] {
            let mut out = Vec::new();
            chunk_size(len, &mut out);
            assert_eq!(out, format!("{len:X}\r\n").into_bytes());
        }
    }

    #[test]
    fn pages_have_gunicorns_lengths() {
        assert_eq!(error_page("Internal Server Error", "").len(), 141);
        assert_eq!(error_page("Bad Request", "Contradictory scheme headers").len(), 149);
        assert!(error_page("x", "<\u{20ac}'>").ends_with(b"    &lt;?&#x27;&gt;\n  </body>\n</html>\n"));
    }
}
