//! Fields (RFC 9112 section 5, RFC 9110 section 5.5): one field line by httparse, for heads and trailers alike; why it was
//! refused; and the bytes of names and values for what we send and for what httparse does not know. Names are never folded
//! and values never joined here.
//!
//! Invariant: every scan is one pass over the line, and CR, LF and NUL never survive in a value.

use httparse::Header;

use super::error::{Detail, PeerError};
use super::policy::Leniency;

/// RFC 9110 section 5.6.2: which bytes make a token. The compiler makes the table: it cannot panic later.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let specials = b"!#$%&'*+-.^_`|~";
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < specials.len() {
        table[specials[i] as usize] = true;
        i += 1;
    }
    table
};

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN.get(usize::from(byte)) == Some(&true))
}

/// Whether `name` has an underscore: eight bytes at a time, the last eight perhaps twice.
#[inline]
pub(crate) fn has_underscore(name: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let Some(last) = name.last_chunk::<8>() else { return name.contains(&b'_') };
    let (words, _) = name.as_chunks::<8>();
    words.iter().chain([last]).any(|word| {
        let lanes = u64::from_ne_bytes(*word) ^ (ONES * u64::from(b'_'));
        lanes.wrapping_sub(ONES) & !lanes & (ONES << 7) != 0
    })
}

/// RFC 9110 section 5.5: VCHAR, obs-text, SP and HTAB; no other control, no DEL.
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        // A lane's high bit is set where the byte is below 0x20, or is DEL. HTAB is sorted out byte by byte.
        let lanes = word.try_into().map_or(0, u64::from_ne_bytes);
        let controls = lanes.wrapping_sub(ONES * 0x20) & !lanes;
        let del = lanes ^ (ONES * 0x7f);
        let dels = del.wrapping_sub(ONES) & !del;
        if (controls | dels) & HIGH != 0 && !word.iter().all(|&byte| is_value_byte(byte)) {
            return false;
        }
    }
    words.remainder().iter().all(|&byte| is_value_byte(byte))
}

fn is_value_byte(byte: u8) -> bool {
    (byte >= 0x20 && byte != 0x7f) || byte == b'\t'
}

/// Without the SP and HTAB at either end; any other "white space" is part of the value.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    trim_end(bytes)
}

pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated value, trimmed; empty ones included.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// Takes apart one line, given with its CRLF, the only LF in it. The value is trimmed; of an empty one, only the place counts.
pub(crate) fn parse(line: &[u8], leniency: Leniency) -> Result<Header<'_>, PeerError> {
    let mut room = [httparse::EMPTY_HEADER];
    // Without an empty line behind it httparse calls the field section partial, but the field is there.
    let outcome = httparse::parse_headers(line, &mut room).map(drop);
    let [field] = room;
    match outcome {
        Ok(()) if !field.name.is_empty() => Ok(field),
        _ if leniency.header_spaces => parse_spaced(line).ok_or_else(|| refusal(line)),
        _ => Err(refusal(line)),
    }
}

/// A line with white space before its colon.
#[cold]
fn parse_spaced(line: &[u8]) -> Option<Header<'_>> {
    let line = line.strip_suffix(b"\r\n")?;
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let (name, value) = (trim_end(name), value.strip_prefix(b":")?);
    let valid = is_token(name) && is_value(value);
    valid.then_some(Header { name: std::str::from_utf8(name).ok()?, value: trim(value) })
}

/// Names the fault of a line that httparse refused.
#[cold]
fn refusal(line: &[u8]) -> PeerError {
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    match line.split(|&byte| byte == b':').next().unwrap_or_default() {
        name if name.is_empty() || name.len() == line.len() => PeerError::Field(Detail::new(line)),
        name if is_token(name) => PeerError::Field(Detail::upper(name)),
        name => PeerError::FieldName(Detail::new(name)),
    }
}

#[cfg(test)]
mod tests {
    use httparse::Header;

    use super::{has_underscore, is_token, is_value, trim};
    use crate::http::error::PeerError;
    use crate::http::policy::Leniency;

    fn parse(line: &[u8]) -> Result<Header<'_>, PeerError> {
        super::parse(line, Leniency::default())
    }

    #[test]
    fn a_line_is_taken_apart() {
        let line = parse(b"X_a: \t b c\t \r\n").unwrap();
        assert_eq!((line.name, line.value), ("X_a", &b"b c"[..]));
        assert_eq!(parse(b"A:  \r\n").unwrap().value, b"");
        assert_eq!(trim(b" \xa0 "), b"\xa0");
    }

    #[test]
    fn white_space_before_the_colon_may_be_permitted() {
        let lenient = Leniency { header_spaces: true, ..Leniency::default() };
        let line = super::parse(b"X-a \t: b \r\n", lenient).unwrap();
        assert_eq!((line.name, line.value), ("X-a", &b"b"[..]));
        for bad in
            [&b" X: b\r\n"[..], b"X Y: b\r\n", b" : b\r\n", b"X : \0\r\n", b"X\x0b: b\r\n", b"X : a\rb\r\n"]
        {
            assert!(super::parse(bad, lenient).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_refuse_controls_at_every_offset() {
        for bad in (0..0x20).filter(|&byte| byte != b'\t').chain([0x7f]) {
            for at in 0..20 {
                let mut value = [b'v'; 20];
                value[at] = bad;
                assert!(!is_value(&value), "{bad:#x} at {at}");
            }
        }
        for good in [b'\t', b' ', 0x21, 0x7e, 0x80, 0xa0, 0xff, 0x9f] {
            for at in 0..20 {
                let mut value = [b'v'; 20];
                value[at] = good;
                assert!(is_value(&value), "{good:#x} at {at}");
            }
        }
    }

    #[test]
    fn lines_are_judged_the_same_at_every_offset() {
        for byte in (0..=0xff).filter(|byte| !b"\r\n: \t".contains(byte)) {
            for at in 0..70 {
                let mut text = [b'v'; 70];
                text[at] = byte;
                let value = [b"X: ", &text[..], b"\r\n"].concat();
                assert_eq!(parse(&value).is_ok(), is_value(&text), "{byte:#x} at {at} of a value");
                let name = [&text[..], b": x\r\n"].concat();
                assert_eq!(parse(&name).is_ok(), is_token(&text), "{byte:#x} at {at} of a name");
            }
        }
    }

    #[test]
    fn underscores_are_found_at_every_offset() {
        for len in 0..40 {
            let mut name = vec![b'^'; len];
            assert!(!has_underscore(&name));
            for at in 0..len {
                name[at] = b'_';
                assert!(has_underscore(&name), "{at} of {len}");
                name[at] = b'`';
            }
        }
    }

    #[test]
    fn faults_name_the_culprit() {
        assert!(matches!(parse(b"no colon\r\n"), Err(PeerError::Field(_))));
        assert!(matches!(parse(b":v\r\n"), Err(PeerError::Field(_))));
        assert!(matches!(parse(b"a : v\r\n"), Err(PeerError::FieldName(_))));
        assert!(matches!(parse(b"a\x80: v\r\n"), Err(PeerError::FieldName(_))));
        assert!(matches!(parse(b"a: \0\r\n"), Err(PeerError::Field(_))));
    }
}
