//! The head, as it arrives (RFC 9112 sections 2 to 5): httparse takes it apart, the rules around it are ours.
//!
//! A head that is whole at the first look, as most are, is one run of httparse; line ends follow from its slices. Otherwise
//! the scan finds line ends, each byte once, and the lines are run one by one as they come, so that a bad one is answered
//! at once. So goes a head that the one run refused, since httparse says neither where a fault is nor whether a rule of
//! ours was broken before it. Either way each line in turn is held to CRLF, to the limits and to the rules: the first bad
//! line decides, for every split, in linear time.
//!
//! Where lenience is: a line that httparse refused is looked at again in `target::parse` and `field::parse`, off the fast
//! path, which know other versions and white space before a colon; unusual methods are a rule in `target::check` (httparse
//! takes any token). Folded lines are joined before they come here (`fold.rs`). httparse's `ParserConfig` stays at its
//! strictest.
//! Read next: `target.rs`, `field.rs`; what the fields mean: `framing.rs`.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};

use super::error::{Detail, PeerError};
use super::field;
use super::head::{FieldSpans, HeadRanges, Span, Version};
use super::policy::{Leniency, Policy};
use super::target::{self, RequestLine};

/// No setting may let a head grow beyond this; offsets are 32 bits wide.
pub(crate) const HEAD_MAX: usize = 1 << 30;

/// Heads with more fields, which the default limit forbids, go line by line.
const FIELDS_AT_ONCE: usize = 100;

/// Room for more fields than this is given back between requests.
const FIELDS_KEEP: usize = 128;

/// The place reached in an unfinished head. All offsets count from the head's first byte.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    /// Where the search for LF goes on.
    scanned: usize,
    /// Where the first unfinished line begins.
    line_at: usize,
    /// Fields before `line_at`.
    fields: usize,
    /// How much of what is before `line_at` is in `ranges`.
    taken: usize,
    limits: Limits,
    leniency: Leniency,
    pub(crate) ranges: HeadRanges,
}

/// The policy's effective limits, worked out once.
#[derive(Debug, Default)]
struct Limits {
    request_line: usize,
    fields: usize,
    field_size: usize,
    body: u64,
}

impl HeadParser {
    pub(crate) fn new(policy: &Policy) -> Self {
        let limits = Limits {
            request_line: policy.request_line_limit(),
            fields: policy.fields_limit(),
            field_size: policy.field_size_limit(),
            body: policy.body_limit(),
        };
        Self { limits, leniency: policy.leniency, ..Self::default() }
    }

    /// Forgets the head, keeps the memory.
    pub(crate) fn reset(&mut self) {
        self.scanned = 0;
        self.line_at = 0;
        self.fields = 0;
        self.taken = 0;
        let mut fields = std::mem::take(&mut self.ranges.fields);
        fields.clear();
        fields.shrink_to(FIELDS_KEEP);
        self.ranges = HeadRanges { fields, ..HeadRanges::default() };
    }

    /// Goes on with `bytes`, which begin where the head begins. `true` once the head is whole.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<bool, PeerError> {
        if !(self.scanned == 0 && self.take_whole(bytes)?) {
            let found = self.find_lines(bytes);
            self.take_lines(bytes.get(..self.line_at).unwrap_or_default())?;
            // Only now, when the lines before it have been judged, may the fault of the last one count.
            if !found? {
                return Ok(false);
            }
        }
        self.ranges.len = self.line_at;
        self.settle(bytes)?;
        Ok(true)
    }

    /// The rules that take the whole head.
    fn settle(&mut self, bytes: &[u8]) -> Result<(), PeerError> {
        let ranges = &mut self.ranges;
        let is_connect = self.leniency.is_method(ranges.method.of(bytes), b"CONNECT");
        ranges.framing.settle(is_connect, ranges.version)?;
        let limit = self.limits.body;
        if ranges.framing.content_length.is_some_and(|length| length > limit) {
            return Err(PeerError::BodyTooLarge { limit });
        }
        Ok(())
    }

    /// Whether so many bytes of a field whose end has not come are too many.
    pub(crate) fn check_pending(&self, pending: usize) -> Result<(), PeerError> {
        if pending >= self.limits.field_size.max(2) { Err(PeerError::FieldTooLarge) } else { Ok(()) }
    }

    /// Takes the whole head in one run. `false`, and nothing is taken, if it is not whole or httparse refuses it.
    fn take_whole(&mut self, bytes: &[u8]) -> Result<bool, PeerError> {
        let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS_AT_ONCE];
        let mut request = Request::new(&mut []);
        let outcome = request.parse_with_uninit_headers(bytes, &mut room);
        let Ok(Status::Complete(len)) = outcome else { return Ok(false) };
        // httparse passes over empty lines.
        if request.method.is_none_or(|method| method.as_ptr() != bytes.as_ptr()) {
            return Ok(false);
        }
        let head = bytes.get(..len).unwrap_or_default();
        let end = len.saturating_sub(if head.ends_with(b"\r\n") { 2 } else { 1 });
        let at = |field: Option<&Header<'_>>| {
            field.map_or(end, |field| field.name.as_ptr().addr().wrapping_sub(head.as_ptr().addr()))
        };
        let is_small = self.is_small(len, request.headers.len());
        self.pass_parsed(head, at(request.headers.first()), is_small)?;
        self.take_request_line(head, &parts_of(&request))?;
        let mut fields = request.headers.iter();
        while let Some(field) = fields.next() {
            self.pass_parsed(head, at(fields.as_slice().first()), is_small)?;
            self.take_field(head, field)?;
        }
        self.pass_parsed(head, len, is_small)?;
        Ok(true)
    }

    /// Whether no limit can be passed by a head of so many bytes and fields.
    fn is_small(&self, len: usize, fields: usize) -> bool {
        let Limits { request_line, field_size, .. } = self.limits;
        len <= request_line.min(field_size).min(HEAD_MAX) && fields <= self.limits.fields
    }

    /// As `pass_line`, for a line that httparse found, and so is no empty one but at the end.
    #[inline(always)]
    fn pass_parsed(&mut self, head: &[u8], end: usize, is_small: bool) -> Result<(), PeerError> {
        if !is_small {
            return self.pass_line(head, end).map(drop);
        }
        if head.get(end.wrapping_sub(2)) != Some(&b'\r') {
            return Err(self.bare_lf());
        }
        self.line_at = end;
        Ok(())
    }

    /// Judges the line that ends before `end`, and goes behind it.
    #[inline(always)]
    fn pass_line(&mut self, head: &[u8], end: usize) -> Result<bool, PeerError> {
        let last = self.check_line(head.get(self.line_at..end.wrapping_sub(1)).unwrap_or_default())?;
        self.line_at = end;
        Ok(last)
    }

    /// Moves `line_at` behind the lines that have come. `true` if the last of them is the empty one that ends the head.
    #[inline(never)]
    fn find_lines(&mut self, bytes: &[u8]) -> Result<bool, PeerError> {
        let from = self.scanned;
        for at in memchr::memchr_iter(b'\n', bytes.get(from..).unwrap_or_default()) {
            let end = from.saturating_add(at).saturating_add(1);
            if self.pass_line(bytes, end)? {
                return Ok(true);
            }
        }
        self.scanned = bytes.len();
        self.check_size(bytes.get(self.line_at..).unwrap_or_default())?;
        Ok(false)
    }

    /// Judges size, end and number of one line, given without its LF. `true` if it is the one that ends the head.
    #[inline(always)]
    fn check_line(&mut self, line: &[u8]) -> Result<bool, PeerError> {
        self.check_size(line)?;
        let [text @ .., b'\r'] = line else { return Err(self.bare_lf()) };
        match (self.line_at, text) {
            (0, []) => return Err(PeerError::RequestLine(Detail::new(text))),
            (0, _) => {}
            (_, []) => return Ok(true),
            _ if self.fields >= self.limits.fields => return Err(PeerError::TooManyFields),
            _ => self.fields = self.fields.saturating_add(1),
        }
        Ok(false)
    }

    /// Refuses a line that is too long, whether or not its LF is there yet. `line` has no LF, and its CR only if that
    /// is its last byte: so the same bytes are refused at the same place for every split.
    #[inline(always)]
    fn check_size(&self, line: &[u8]) -> Result<(), PeerError> {
        let text = line.strip_suffix(b"\r").unwrap_or(line).len();
        let (size, limit) = (text, self.limits.request_line);
        match self.line_at {
            0 if size > limit => Err(PeerError::RequestLineTooLong { size, limit }),
            1.. if line.len() >= self.limits.field_size.max(2) => Err(PeerError::FieldTooLarge),
            at if at.saturating_add(line.len()) > HEAD_MAX => Err(PeerError::HeadTooLarge),
            _ => Ok(()),
        }
    }

    /// Takes those of `lines` that are not taken yet, one by one. Out of line, for the sake of whole heads.
    #[inline(never)]
    fn take_lines(&mut self, lines: &[u8]) -> Result<(), PeerError> {
        let rest = lines.get(self.taken..).unwrap_or_default();
        for line in rest.split_inclusive(|&byte| byte == b'\n') {
            match (self.taken, line) {
                (0, _) => {
                    let mut request = Request::new(&mut []);
                    let parts = match request.parse(line) {
                        Ok(_) => parts_of(&request),
                        Err(_) => target::parse(line, self.leniency)?,
                    };
                    self.take_request_line(lines, &parts)?;
                }
                (_, b"\r\n") => {}
                _ => self.take_field_line(lines, line)?,
            }
            self.taken = self.taken.saturating_add(line.len());
        }
        Ok(())
    }

    fn take_field_line(&mut self, lines: &[u8], line: &[u8]) -> Result<(), PeerError> {
        if let (Some(b' ' | b'\t'), Some(previous)) = (line.first(), self.ranges.fields.last()) {
            return Err(PeerError::ObsoleteFolding(Detail::upper(previous.name.of(lines))));
        }
        self.take_field(lines, &field::parse(line, self.leniency)?)
    }

    #[inline]
    fn take_request_line(&mut self, lines: &[u8], line: &RequestLine<'_>) -> Result<(), PeerError> {
        let parts = target::check(lines, line.method, line.target, self.leniency)?;
        let ranges = &mut self.ranges;
        ranges.method = Span::within(lines, line.method);
        ranges.target = Span::within(lines, line.target);
        ranges.path = Span::within(lines, parts.path);
        ranges.query = Span::within(lines, parts.query);
        ranges.authority = Span::within(lines, parts.authority);
        ranges.version = line.version;
        Ok(())
    }

    #[inline(always)]
    fn take_field(&mut self, lines: &[u8], field: &Header<'_>) -> Result<(), PeerError> {
        let ranges = &mut self.ranges;
        let name = field.name.as_bytes();
        ranges.framing.absorb(name, field.value, ranges.version)?;
        ranges.underscores |= field::has_underscore(name);
        ranges
            .fields
            .push(FieldSpans { name: Span::within(lines, name), value: Span::within(lines, field.value) });
        Ok(())
    }

    #[cold]
    fn bare_lf(&self) -> PeerError {
        let detail = Detail::new(b"bare LF as line terminator");
        if self.line_at == 0 { PeerError::RequestLine(detail) } else { PeerError::Field(detail) }
    }
}

/// What httparse found in a request line.
#[inline]
fn parts_of<'a>(request: &Request<'_, 'a>) -> RequestLine<'a> {
    RequestLine {
        method: request.method.unwrap_or_default().as_bytes(),
        target: request.path.unwrap_or_default().as_bytes(),
        version: if request.version == Some(0) { Version::Http10 } else { Version::Http11 },
    }
}
