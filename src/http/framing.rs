//! What a head says about the message and the connection: the length of the body (RFC 9112 section 6.3), persistence
//! (section 9.3), expectations, and the fields that may occur once.
//!
//! Invariant: a request whose length can be read in two ways is refused, never interpreted. Fields are fed in order
//! with [`Framing::absorb`]; what needs the whole head is settled in [`Framing::settle`].

use super::error::{Detail, PeerError};
use super::field::members;
use super::head::Version;
use super::host::is_host;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) expect_continue: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    /// A coding other than chunked is handed to the application undecoded; the connection is not reused after it.
    coded: bool,
    transfer_encoding: bool,
    host: bool,
    content_type: bool,
}

impl Framing {
    /// Takes note of one field. Names are told apart by length first: most fields cost one comparison.
    #[inline]
    pub(crate) fn absorb(&mut self, name: &[u8], value: &[u8], version: Version) -> Result<(), PeerError> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.absorb_host(name, value),
            6 if name.eq_ignore_ascii_case(b"expect") => self.absorb_expect(value, version),
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.absorb_connection(value);
                Ok(())
            }
            12 if name.eq_ignore_ascii_case(b"content-type") => once(&mut self.content_type, name),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.absorb_content_length(name, value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.absorb_codings(name, value),
            _ => Ok(()),
        }
    }

    /// RFC 9112 section 3.2: a host that is none is refused, as is a second one.
    fn absorb_host(&mut self, name: &[u8], value: &[u8]) -> Result<(), PeerError> {
        once(&mut self.host, name)?;
        if is_host(value) { Ok(()) } else { Err(PeerError::Field(Detail::upper(name))) }
    }

    /// RFC 9110 section 10.1.1: case-insensitive, and ignored in HTTP/1.0.
    fn absorb_expect(&mut self, value: &[u8], version: Version) -> Result<(), PeerError> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(PeerError::Expectation(Detail::new(value)));
        }
        self.expect_continue = version == Version::Http11;
        Ok(())
    }

    fn absorb_connection(&mut self, value: &[u8]) {
        for option in members(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Digits only, once: a list, a sign or a repeat is how requests are smuggled.
    fn absorb_content_length(&mut self, name: &[u8], value: &[u8]) -> Result<(), PeerError> {
        let bad = || PeerError::Field(Detail::upper(name));
        if self.content_length.is_some() {
            return Err(bad());
        }
        self.content_length = Some(decimal(value).ok_or_else(bad)?);
        Ok(())
    }

    /// Codings stack in order, over all lines; chunked must be applied once, and last.
    fn absorb_codings(&mut self, name: &[u8], value: &[u8]) -> Result<(), PeerError> {
        self.transfer_encoding = true;
        for coding in members(value) {
            let known = [&b"chunked"[..], b"identity", b"compress", b"deflate", b"gzip"];
            let Some(which) = known.iter().position(|known| coding.eq_ignore_ascii_case(known)) else {
                return Err(PeerError::TransferCoding(Detail::new(value)));
            };
            if self.chunked {
                return Err(PeerError::Field(Detail::upper(name)));
            }
            self.chunked = which == 0;
            self.coded |= which > 1;
        }
        Ok(())
    }

    /// The rules over the whole head: Transfer-Encoding ends with chunked, only in HTTP/1.1, and has no Content-Length beside it.
    pub(crate) fn settle(&mut self, is_connect: bool, version: Version) -> Result<(), PeerError> {
        if self.transfer_encoding && (!self.chunked || version == Version::Http10) {
            return Err(PeerError::Field(Detail::new(b"TRANSFER-ENCODING")));
        }
        if self.chunked && self.content_length.is_some() {
            return Err(PeerError::Field(Detail::new(b"CONTENT-LENGTH")));
        }
        // After a CONNECT the bytes on the connection are not another request, whatever was answered.
        self.close |= self.coded || is_connect;
        Ok(())
    }
}

/// A digit string that fits a `u64`.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// RFC 9110 section 5.3: a repeat of a singleton field leaves the message ambiguous.
fn once(seen: &mut bool, name: &[u8]) -> Result<(), PeerError> {
    if std::mem::replace(seen, true) { Err(PeerError::Field(Detail::upper(name))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn lengths_are_digits_within_64_bits() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in
            [&b""[..], b"+1", b"-1", b"1 ", b"0x1", b"1_0", b"18446744073709551616", "\u{661}".as_bytes()]
        {
            assert_eq!(decimal(bad), None);
        }
    }
}
