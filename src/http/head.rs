//! A parsed request head, as ranges into the receive buffer ([`HeadRanges`]), and the view of it that callers see
//! ([`Head`]). Reading a head allocates nothing. The view never decodes and never normalises: names as spelled, values
//! trimmed, target raw. Written by `head_parser.rs`.

use super::framing::Framing;

/// The protocol version of a request, echoed by its response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// A range into the head. Heads are far below 4 GiB (`head_parser::HEAD_MAX`), so 32 bits do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part`, a slice of `whole`, lies in it. Offsets beyond 4 GiB cannot occur; they would become an empty span
    /// rather than a wrong one.
    pub(crate) fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        match (u32::try_from(start), u32::try_from(start.wrapping_add(part.len()))) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::default(),
        }
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(crate) fn of_mut(self, bytes: &mut [u8]) -> &mut [u8] {
        bytes.get_mut(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldSpans {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// What the parser found. Kept and reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct HeadRanges {
    pub(crate) method: Span,
    pub(crate) target: Span,
    pub(crate) path: Span,
    pub(crate) query: Span,
    /// Of an absolute-form; empty for the other forms.
    pub(crate) authority: Span,
    pub(crate) version: Version,
    pub(crate) fields: Vec<FieldSpans>,
    pub(crate) framing: Framing,
    pub(crate) underscores: bool,
    pub(crate) len: usize,
}

/// One request's head.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    bytes: &'a [u8],
    ranges: &'a HeadRanges,
}

impl<'a> Head<'a> {
    pub(crate) fn new(bytes: &'a [u8], ranges: &'a HeadRanges) -> Self {
        Self { bytes, ranges }
    }

    pub fn method(&self) -> &'a str {
        // The parser let only token bytes pass, which are ASCII.
        std::str::from_utf8(self.method_bytes()).unwrap_or_default()
    }

    /// The same, unchecked.
    pub fn method_bytes(&self) -> &'a [u8] {
        self.ranges.method.of(self.bytes)
    }

    /// The request-target as it was sent.
    pub fn target(&self) -> &'a [u8] {
        self.ranges.target.of(self.bytes)
    }

    /// The path, still escaped, without query and fragment: that of an absolute-form, `*`, empty for CONNECT.
    pub fn path(&self) -> &'a [u8] {
        self.ranges.path.of(self.bytes)
    }

    /// The host the request is for: that of an absolute-form, whatever the Host field says (RFC 9112 section 3.2.2).
    pub fn host(&self) -> Option<&'a [u8]> {
        self.authority().or_else(|| self.field("host"))
    }

    /// Host and port of an absolute-form.
    pub fn authority(&self) -> Option<&'a [u8]> {
        Some(self.ranges.authority.of(self.bytes)).filter(|authority| !authority.is_empty())
    }

    /// What follows the `?`, without the fragment; empty if there is none.
    pub fn query(&self) -> &'a [u8] {
        self.ranges.query.of(self.bytes)
    }

    pub fn version(&self) -> Version {
        self.ranges.version
    }

    /// Names as spelled, values trimmed, in the order received.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.ranges.fields.iter().map(move |field| (field.name.of(bytes), field.value.of(bytes)))
    }

    /// The first field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|field| field.0.eq_ignore_ascii_case(name.as_bytes())).map(|field| field.1)
    }

    /// Whether any field name has an underscore, so that `ForwardedRules` must be asked about it.
    pub fn has_underscores(&self) -> bool {
        self.ranges.underscores
    }

    pub fn content_length(&self) -> Option<u64> {
        self.ranges.framing.content_length
    }

    pub fn is_chunked(&self) -> bool {
        self.ranges.framing.chunked
    }

    pub fn has_body(&self) -> bool {
        self.is_chunked() || self.content_length().is_some_and(|length| length > 0)
    }

    /// Whether the peer asked for 100 Continue (never so in HTTP/1.0).
    pub fn expects_continue(&self) -> bool {
        self.ranges.framing.expect_continue
    }

    /// RFC 9112 section 9.3: `close` wins wherever it stands; HTTP/1.0 needs `keep-alive`.
    pub fn keep_alive(&self) -> bool {
        let framing = &self.ranges.framing;
        !framing.close && (self.version() == Version::Http11 || framing.keep_alive)
    }
}
