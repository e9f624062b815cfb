//! The head, line by line, as it arrives (RFC 9112 sections 2 to 5).
//!
//! A line is judged when its LF is there, or refused at its limit before that; so the first bad line decides, and the
//! outcome is the same for every way the bytes were split. Each byte is searched once for LF and each line parsed
//! once: the cost is linear for any split. A line ends with CRLF, nothing else. (A parser of whole heads, such as httparse,
//! says neither where a fault is nor whether a limit was passed before it, so the split would show through.)
//!
//! Grammar of a line: `target.rs`, `field.rs`. What the fields mean: `framing.rs`.

use super::error::{Detail, PeerError};
use super::field;
use super::head::{FieldSpans, HeadRanges, Span};
use super::policy::Policy;
use super::target;

/// No setting may let a head grow beyond this; offsets are 32 bits wide.
pub(crate) const HEAD_MAX: usize = 1 << 30;

/// Room for more fields than this is given back between requests.
const FIELDS_KEEP: usize = 128;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    RequestLine,
    Fields,
}

/// The place reached in an unfinished head. All offsets count from the head's first byte.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    stage: Stage,
    line_at: usize,
    scanned: usize,
    limits: Limits,
    pub(crate) ranges: HeadRanges,
}

/// The policy's effective limits, worked out once.
#[derive(Debug, Default)]
struct Limits {
    request_line: usize,
    fields: usize,
    field_size: usize,
}

impl HeadParser {
    pub(crate) fn new(policy: &Policy) -> Self {
        let limits = Limits {
            request_line: policy.request_line_limit(),
            fields: policy.fields_limit(),
            field_size: policy.field_size_limit(),
        };
        Self { limits, ..Self::default() }
    }

    /// Forgets the head, keeps the memory.
    pub(crate) fn reset(&mut self) {
        self.stage = Stage::RequestLine;
        self.line_at = 0;
        self.scanned = 0;
        let mut fields = std::mem::take(&mut self.ranges.fields);
        fields.clear();
        fields.shrink_to(FIELDS_KEEP);
        self.ranges = HeadRanges { fields, ..HeadRanges::default() };
    }

    /// Goes on with `bytes`, which begin where the head begins. `true` once the head is whole.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<bool, PeerError> {
        while let Some(at) = memchr::memchr(b'\n', bytes.get(self.scanned..).unwrap_or_default()) {
            let end = self.scanned + at;
            let line = bytes.get(self.line_at..end).unwrap_or_default();
            let whole = self.take_line(bytes, line)?;
            self.line_at = end + 1;
            self.scanned = end + 1;
            if whole {
                self.ranges.len = self.line_at;
                self.ranges.framing.settle(self.ranges.method.of(bytes), self.ranges.version)?;
                return Ok(true);
            }
        }
        self.scanned = bytes.len();
        self.check_size(bytes.get(self.line_at..).unwrap_or_default())?;
        Ok(false)
    }

    /// Judges one line, given without its LF. `true` if it was the empty one that ends the head.
    fn take_line(&mut self, bytes: &[u8], line: &[u8]) -> Result<bool, PeerError> {
        self.check_size(line)?;
        let [line @ .., b'\r'] = line else {
            return Err(self.bare_lf());
        };
        match self.stage {
            Stage::RequestLine => self.take_request_line(line).map(|()| false),
            Stage::Fields if line.is_empty() => Ok(true),
            Stage::Fields => self.take_field(bytes, line).map(|()| false),
        }
    }

    /// Refuses a line that is too long, whether or not its LF is there yet. `line` has no LF, and its CR only if that
    /// is its last byte: so the same bytes are refused at the same place for every split.
    fn check_size(&self, line: &[u8]) -> Result<(), PeerError> {
        let text = line.strip_suffix(b"\r").unwrap_or(line).len();
        match self.stage {
            Stage::RequestLine if text > self.limits.request_line => {
                Err(PeerError::RequestLineTooLong { size: text, limit: self.limits.request_line })
            }
            Stage::Fields if line.len() >= self.limits.field_size.max(2) => Err(PeerError::FieldTooLarge),
            _ if self.line_at + line.len() > HEAD_MAX => Err(PeerError::HeadTooLarge),
            _ => Ok(()),
        }
    }

    fn take_request_line(&mut self, line: &[u8]) -> Result<(), PeerError> {
        let parsed = target::parse(line)?;
        let ranges = &mut self.ranges;
        ranges.method = Span::new(parsed.method);
        ranges.target = Span::new(parsed.target);
        ranges.path = Span::new(parsed.path);
        ranges.query = Span::new(parsed.query);
        ranges.version = parsed.version;
        self.stage = Stage::Fields;
        Ok(())
    }

    fn take_field(&mut self, bytes: &[u8], line: &[u8]) -> Result<(), PeerError> {
        if self.ranges.fields.len() >= self.limits.fields {
            return Err(PeerError::TooManyFields);
        }
        if let (Some(b' ' | b'\t'), Some(previous)) = (line.first(), self.ranges.fields.last()) {
            return Err(PeerError::ObsoleteFolding(Detail::upper(previous.name.of(bytes))));
        }
        let parsed = field::parse(line)?;
        let ranges = &mut self.ranges;
        ranges.framing.absorb(parsed.name, parsed.value, ranges.version)?;
        ranges.underscores |= parsed.underscore;
        let value_at = self.line_at + parsed.value_at;
        ranges.fields.push(FieldSpans {
            name: Span::new(self.line_at..self.line_at + parsed.name.len()),
            value: Span::new(value_at..value_at + parsed.value.len()),
        });
        Ok(())
    }

    #[cold]
    fn bare_lf(&self) -> PeerError {
        let detail = Detail::new(b"bare LF as line terminator");
        match self.stage {
            Stage::RequestLine => PeerError::RequestLine(detail),
            Stage::Fields => PeerError::Field(detail),
        }
    }
}
