//! What a client or an application chose, written so that it can end neither its quotes nor the line.
//!
//! Owns both forms, for plain lines and for JSON. Runs of harmless bytes are copied whole: most values are one.

use std::io::Write;

/// Appends a value to a line.
pub type Escape = fn(&[u8], &mut Vec<u8>);

const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0x7f
}

/// Bytes by number: true for those that stand for themselves.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = is_plain(byte as u8);
        byte += 1;
    }
    plain
};

/// For a plain line: `\"`, `\\`, and `\xNN` for control characters.
pub(super) fn plain(value: &[u8], line: &mut Vec<u8>) {
    runs(value, line, |byte, line| match byte {
        b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
        // Writing to a Vec cannot fail.
        _ => drop(write!(line, "\\x{byte:02x}")),
    });
}

/// For a JSON string (RFC 8259 section 7): what is not UTF-8 becomes U+FFFD.
pub(super) fn json(value: &[u8], line: &mut Vec<u8>) {
    if value.is_ascii() {
        return json_valid(value, line);
    }
    for chunk in value.utf8_chunks() {
        json_valid(chunk.valid().as_bytes(), line);
        if !chunk.invalid().is_empty() {
            line.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn json_valid(value: &[u8], line: &mut Vec<u8>) {
    runs(value, line, |byte, line| match byte {
        b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
        _ => drop(write!(line, "\\u{byte:04x}")),
    });
}

fn runs(value: &[u8], line: &mut Vec<u8>, special: impl Fn(u8, &mut Vec<u8>)) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| !PLAIN[usize::from(*byte)]) {
        let Some((plain, [byte, after @ ..])) = rest.split_at_checked(at) else { break };
        line.extend_from_slice(plain);
        special(*byte, line);
        rest = after;
    }
    line.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(escape: Escape, value: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        escape(value, &mut line);
        line
    }

    #[test]
    fn quotes_backslashes_and_controls_are_escaped() {
        assert_eq!(escaped(plain, b"a\"b\\c\nd\x7f\xff"), b"a\\\"b\\\\c\\x0ad\\x7f\xff");
        assert_eq!(escaped(json, b"a\"b\\c\nd\x7f"), b"a\\\"b\\\\c\\u000ad\\u007f");
        assert_eq!(escaped(plain, b""), b"");
    }

    #[test]
    fn json_is_utf8_whatever_comes() {
        assert_eq!(escaped(json, "é€".as_bytes()), "é€".as_bytes());
        assert_eq!(escaped(json, b"a\xff\xc3b"), "a\u{fffd}\u{fffd}b".as_bytes());
        for byte in 0..=255 {
            assert!(String::from_utf8(escaped(json, &[b'x', byte, b'"'])).is_ok(), "{byte}");
        }
    }
}
