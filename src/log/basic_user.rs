//! The user name of a Basic `Authorization` field (RFC 7617), for the access log only: nothing is checked with it.

/// The user name, or nothing if the field is of another scheme or malformed.
pub(super) fn basic_user(authorization: &[u8]) -> Option<Vec<u8>> {
    let (scheme, credentials) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = decode(credentials.trim_ascii())?;
    let end = decoded.iter().position(|byte| *byte == b':')?;
    (end > 0).then(|| decoded.into_iter().take(end).collect())
}

/// RFC 4648 section 4, padding optional.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits =
        text.trim_ascii_end().strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            bits = bits << 6 | value(*digit)?;
        }
        bits <<= 6 * (4 - group.len() as u32);
        let bytes = bits.to_be_bytes();
        // A group of n digits holds n - 1 bytes, after the unused top byte.
        out.extend(bytes.iter().skip(1).take(group.len() - 1));
    }
    Some(out)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_before_the_colon() {
        assert_eq!(basic_user(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap(), b"Aladdin");
        assert_eq!(basic_user(b"basic YnJvbjox").unwrap(), b"bron");
        assert_eq!(basic_user(b"Basic YTo=").unwrap(), b"a");
        for bad in [&b"Bearer abc"[..], b"Basic ", b"Basic ====", b"Basic Og==", b"B", b"Basic \xff\xff"] {
            assert_eq!(basic_user(bad), None, "{bad:?}");
        }
    }
}
