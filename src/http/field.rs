//! The grammar of one field line (RFC 9112 section 5, RFC 9110 section 5.5), shared by heads, trailers and responses:
//! a token, a colon, a value without controls. Names are never folded and values never joined here.
//!
//! Invariant: every scan is one pass over the line, and CR, LF and NUL never survive in a value.

use super::error::{Detail, PeerError};

const TOKEN: u8 = 1;
const UNDERSCORE: u8 = 2;

/// RFC 9110 section 5.6.2: which bytes make a token, and which of them is the underscore.
static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let specials = b"!#$%&'*+-.^_`|~";
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = TOKEN;
        }
        byte += 1;
    }
    let mut i = 0;
    while i < specials.len() {
        table[specials[i] as usize] = TOKEN;
        i += 1;
    }
    table[b'_' as usize] |= UNDERSCORE;
    table
};

pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| CLASS[usize::from(byte)] & TOKEN != 0)
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

/// A field line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldLine<'a> {
    pub(crate) name: &'a [u8],
    /// Where the trimmed value begins in the line.
    pub(crate) value_at: usize,
    pub(crate) value: &'a [u8],
    pub(crate) underscore: bool,
}

/// Takes apart one line, which has neither its CRLF nor folding.
pub(crate) fn parse(line: &[u8]) -> Result<FieldLine<'_>, PeerError> {
    let mut seen = 0;
    let mut colon = 0;
    for &byte in line {
        let class = CLASS[usize::from(byte)];
        if class == 0 {
            break;
        }
        seen |= class;
        colon += 1;
    }
    let Some((name, [b':', rest @ ..])) = line.split_at_checked(colon) else {
        return Err(bad_name(line));
    };
    if name.is_empty() {
        return Err(bad_name(line));
    }
    let leading = rest.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    let value = trim_end(rest.get(leading..).unwrap_or_default());
    if !is_value(value) {
        return Err(PeerError::Field(Detail::upper(name)));
    }
    Ok(FieldLine { name, value_at: colon + 1 + leading, value, underscore: seen & UNDERSCORE != 0 })
}

#[cold]
fn bad_name(line: &[u8]) -> PeerError {
    match memchr::memchr(b':', line) {
        None | Some(0) => PeerError::Field(Detail::new(line)),
        Some(colon) => PeerError::FieldName(Detail::new(line.get(..colon).unwrap_or(line))),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_value, parse, trim};
    use crate::http::error::PeerError;

    #[test]
    fn a_line_is_taken_apart() {
        let line = parse(b"X_a: \t b c\t ").unwrap();
        assert_eq!(
            (line.name, line.value, line.value_at, line.underscore),
            (&b"X_a"[..], &b"b c"[..], 7, true)
        );
        let empty = parse(b"A:  ").unwrap();
        assert_eq!((empty.value, empty.value_at), (&b""[..], 4));
        assert_eq!(trim(b" \xa0 "), b"\xa0");
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
    fn faults_name_the_culprit() {
        assert!(matches!(parse(b"no colon"), Err(PeerError::Field(_))));
        assert!(matches!(parse(b":v"), Err(PeerError::Field(_))));
        assert!(matches!(parse(b"a : v"), Err(PeerError::FieldName(_))));
        assert!(matches!(parse(b"a\x80: v"), Err(PeerError::FieldName(_))));
        assert!(matches!(parse(b"a: \0"), Err(PeerError::Field(_))));
    }
}
