//! The chunked transfer coding (RFC 9112 section 7.1), decoded as it arrives.
//!
//! ```text
//!   Size ──(size > 0)──► Data ──► DataEnd ──► Size        Size ──(size 0)──► Trailers ──(empty line)──► Done
//! ```
//! Written by hand because every lenience here is a smuggling hole: sizes are hex digits with checked arithmetic,
//! extensions follow the grammar, CRLF is CRLF, each line is bounded, trailers are counted and so is the body. Trailer fields are checked and
//! dropped: PEP 3333 has no place for them. Lines cut by a split are stashed, so each byte is looked at once.

use super::error::{Detail, PeerError};
use super::field::{self, trim, trim_end};
use super::policy::{HeaderMap, Leniency, Policy};
use super::target::hex_digit;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers(usize),
    Done,
}

#[derive(Debug, Default)]
pub(crate) struct ChunkDecoder {
    stage: Stage,
    stash: Vec<u8>,
    /// What the chunks so far amount to.
    received: u64,
    /// Bytes of the trailer in hand, with the lines that it is folded into.
    trailer: usize,
    line_limit: usize,
    trailers_limit: usize,
    body_limit: u64,
    leniency: Leniency,
    /// If names with an underscore are refused.
    underscores_refused: bool,
}

impl ChunkDecoder {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            line_limit: policy.field_size_limit(),
            trailers_limit: policy.fields_limit(),
            body_limit: policy.body_limit(),
            leniency: policy.leniency,
            underscores_refused: policy.header_map == HeaderMap::Refuse,
            ..Self::default()
        }
    }

    pub(crate) fn reset(&mut self) {
        self.stage = Stage::Size;
        self.stash.clear();
        self.received = 0;
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// What an EOF here means. After the last chunk only the terminator is missing, but the message is not whole.
    pub(crate) fn truncated(&self) -> PeerError {
        match self.stage {
            Stage::Trailers(_) => PeerError::ChunkTerminator(Detail::new(b"")),
            _ => PeerError::BodyTruncated,
        }
    }

    /// Decodes what it can of `input` onto `out`. The first number is how much of `input` is used up: all of it unless
    /// the body ended or is at fault. What was decoded before a fault is in `out`.
    pub(crate) fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Result<(), PeerError>) {
        let mut rest = input;
        while !rest.is_empty() && self.stage != Stage::Done {
            match self.step(rest, out) {
                Ok(used) => rest = rest.get(used..).unwrap_or_default(),
                Err(fault) => return (input.len().saturating_sub(rest.len()), Err(fault)),
            }
        }
        (input.len().saturating_sub(rest.len()), Ok(()))
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, PeerError> {
        match self.stage {
            Stage::Data(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                out.extend_from_slice(input.get(..here).unwrap_or_default());
                let left = left.saturating_sub(here as u64);
                self.stage = if left == 0 { Stage::DataEnd } else { Stage::Data(left) };
                Ok(here)
            }
            Stage::DataEnd => self.end_data(input),
            _ => self.take_line(input),
        }
    }

    /// The CRLF after chunk data: judged when both bytes are there.
    fn end_data(&mut self, input: &[u8]) -> Result<usize, PeerError> {
        let need = 2_usize.saturating_sub(self.stash.len());
        let taken = input.get(..need).unwrap_or(input);
        self.stash.extend_from_slice(taken);
        if self.stash.len() == 2 {
            if self.stash != b"\r\n" {
                return Err(PeerError::ChunkTerminator(Detail::new(&self.stash)));
            }
            self.stash.clear();
            self.stage = Stage::Size;
        }
        Ok(taken.len())
    }

    /// Hands one line to its stage, from `input` alone if it is whole there, else through the stash.
    fn take_line(&mut self, input: &[u8]) -> Result<usize, PeerError> {
        let lf = memchr::memchr(b'\n', input);
        let part = input.get(..lf.unwrap_or(input.len())).unwrap_or(input);
        if self.stash.len().saturating_add(part.len()) >= self.line_limit {
            return Err(self.line_too_long());
        }
        let Some(lf) = lf else {
            self.stash.extend_from_slice(part);
            return Ok(part.len());
        };
        let end = input.get(..=lf).unwrap_or(input);
        if self.stash.is_empty() {
            self.line(end)?;
        } else {
            let mut line = std::mem::take(&mut self.stash);
            line.extend_from_slice(end);
            self.line(&line)?;
            line.clear();
            self.stash = line;
        }
        Ok(end.len())
    }

    #[cold]
    fn line_too_long(&self) -> PeerError {
        match self.stage {
            Stage::Trailers(_) => PeerError::FieldTooLarge,
            _ => PeerError::ChunkSize(Detail::new(b"line too long")),
        }
    }

    /// Judges a line, given with its LF.
    fn line(&mut self, line: &[u8]) -> Result<(), PeerError> {
        let text = line.strip_suffix(b"\r\n");
        self.stage = match (self.stage, text) {
            (Stage::Trailers(_), None) => {
                return Err(PeerError::Field(Detail::new(b"bare LF as line terminator")));
            }
            (Stage::Trailers(_), Some([])) => Stage::Done,
            (Stage::Trailers(count), Some(_)) => {
                let begun = usize::from(self.check_trailer(count, line)?);
                Stage::Trailers(count.saturating_add(begun))
            }
            (_, None) => {
                return Err(PeerError::ChunkSize(Detail::new(line.strip_suffix(b"\n").unwrap_or(line))));
            }
            (_, Some(text)) => match parse_size(text)? {
                0 => Stage::Trailers(0),
                size => self.begin_data(size)?,
            },
        };
        Ok(())
    }

    /// The limit counts from the moment a chunk says that it will be passed.
    fn begin_data(&mut self, size: u64) -> Result<Stage, PeerError> {
        let limit = self.body_limit;
        self.received = self
            .received
            .checked_add(size)
            .filter(|all| *all <= limit)
            .ok_or(PeerError::BodyTooLarge { limit })?;
        Ok(Stage::Data(size))
    }

    /// `false` if `line` goes on with the trailer before it.
    fn check_trailer(&mut self, count: usize, line: &[u8]) -> Result<bool, PeerError> {
        if count > 0 && matches!(line.first(), Some(b' ' | b'\t')) {
            return self.check_folded(line).map(|()| false);
        }
        if count >= self.trailers_limit {
            return Err(PeerError::TooManyFields);
        }
        self.check_trailer_name(field::parse(line, self.leniency)?.name.as_bytes())?;
        self.trailer = line.len();
        Ok(true)
    }

    /// RFC 9110 section 6.5.1: no trailer may change routing, framing, authentication or what the content is. The rule for
    /// underscores in fields is one for trailers.
    fn check_trailer_name(&self, name: &[u8]) -> Result<(), PeerError> {
        const FORBIDDEN: [&[u8]; 7] = [
            b"host",
            b"content-length",
            b"content-type",
            b"transfer-encoding",
            b"trailer",
            b"authorization",
            b"te",
        ];
        let is_forbidden = FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden));
        if is_forbidden || (self.underscores_refused && field::has_underscore(name)) {
            return Err(PeerError::FieldName(Detail::upper(name)));
        }
        Ok(())
    }

    fn check_folded(&mut self, line: &[u8]) -> Result<(), PeerError> {
        let text = trim(line.strip_suffix(b"\r\n").unwrap_or(line));
        self.trailer = self.trailer.saturating_add(line.len());
        match () {
            () if !self.leniency.obsolete_folding => Err(PeerError::ObsoleteFolding(Detail::new(text))),
            () if self.trailer > self.line_limit => Err(PeerError::FieldTooLarge),
            () if !field::is_value(text) => Err(PeerError::Field(Detail::new(text))),
            () => Ok(()),
        }
    }
}

/// `chunk-size [ chunk-ext ]`, without its CRLF. White space is only allowed before an extension's `;`.
fn parse_size(line: &[u8]) -> Result<u64, PeerError> {
    let (size, extension) = match memchr::memchr(b';', line) {
        Some(at) => {
            let (size, extension) = line.split_at_checked(at).unwrap_or((line, b""));
            (trim_end(size), extension)
        }
        None => (line, &b""[..]),
    };
    let value = size.iter().try_fold(0_u64, |sum, &digit| {
        let digit = u64::from(hex_digit(digit)?);
        sum.checked_mul(16)?.checked_add(digit)
    });
    let value = value.filter(|_| !size.is_empty()).ok_or_else(|| PeerError::ChunkSize(Detail::new(size)))?;
    check_extension(extension)?;
    Ok(value)
}

/// RFC 9112 section 7.1.1: `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
fn check_extension(mut rest: &[u8]) -> Result<(), PeerError> {
    if rest.contains(&b'\r') {
        return Err(PeerError::ChunkExtension("bare CR not allowed"));
    }
    let bad = PeerError::ChunkExtension("invalid chunk extension");
    while !rest.is_empty() {
        let Some(after) = extension_name(rest) else { return Err(bad) };
        rest = match skip_blanks(after) {
            [b'=', value @ ..] => match extension_value(skip_blanks(value)) {
                Some(after) => after,
                None => return Err(bad),
            },
            _ => after,
        };
    }
    Ok(())
}

/// `BWS ";" BWS token`, and what follows it.
fn extension_name(rest: &[u8]) -> Option<&[u8]> {
    let [b';', name @ ..] = skip_blanks(rest) else { return None };
    after_token(skip_blanks(name))
}

fn extension_value(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"', quoted @ ..] => after_quoted(quoted),
        _ => after_token(rest),
    }
}

fn after_token(rest: &[u8]) -> Option<&[u8]> {
    let len = rest.iter().take_while(|&&byte| field::is_token(&[byte])).count();
    (len > 0).then(|| rest.get(len..)).flatten()
}

/// RFC 9110 section 5.6.4, from after the opening quote to after the closing one.
fn after_quoted(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', escaped, after @ ..] if field::is_value(&[*escaped]) => after,
            [b'\\', ..] => return None,
            [text, after @ ..] if field::is_value(&[*text]) => after,
            _ => return None,
        };
    }
}

fn skip_blanks(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::{check_extension, parse_size};

    #[test]
    fn sizes() {
        for (line, size) in [
            ("0", 0),
            ("a", 10),
            ("FF", 255),
            ("0000000000000000000001", 1),
            ("ffffffffffffffff", u64::MAX),
            ("5 \t;a", 5),
        ] {
            assert_eq!(parse_size(line.as_bytes()).ok(), Some(size), "{line}");
        }
        for bad in
            ["", " 5", "5 ", "0x5", "+5", "-5", "5_0", "g", "10000000000000000", ";a", " ;a", "5\t", "5,a"]
        {
            assert!(parse_size(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn extensions() {
        for good in
            ["", ";a", " ; a", ";a=b", ";a = b ;c", ";a=\"x;y=\\\"\"", ";a=\"\"", ";a;b;c=d", ";a=\"\u{e9}\""]
        {
            assert!(check_extension(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            ";",
            ";;",
            ";a=",
            ";a=\"",
            ";a=\"x\\",
            ";a b",
            ";a\r",
            ";=b",
            ";a=b c",
            ";a ",
            ";a=\"x\"y",
            ";a=\"\0\"",
        ] {
            assert!(check_extension(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
