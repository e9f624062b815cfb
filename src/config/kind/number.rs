//! Kinds that are whole numbers: counts, seconds, sizes, permission bits.
//!
//! Owns how a number is spelled: an int, or text in Python's base-0 notation (`0x10`, `0o17`, `1_000`). Never
//! rounds or clamps a value. Read next: `text.rs`.

use std::time::Duration;

use super::{Kind, Reject, Takes, text_of};
use crate::config::raw::Raw;

/// More than this is a slip of the keyboard, and overflows the system calls the values end in.
const MAX: i64 = i32::MAX as i64;
const MOST_THREADS: usize = 256;

/// A count of something: processes, bytes, requests.
pub struct Count;

impl Kind for Count {
    type Value = usize;
    const TAKES: Takes = Takes::Number;

    fn parse(raw: &Raw) -> Result<usize, Reject> {
        usize::try_from(whole(raw)?).map_err(|_| Reject::Kind)
    }

    fn to_raw(value: &usize) -> Raw {
        Raw::Int(i64::try_from(*value).unwrap_or(i64::MAX))
    }

    fn allowed() -> String {
        "a whole number, 0 or more".to_owned()
    }
}

/// A span of time in whole seconds.
pub struct Seconds;

impl Kind for Seconds {
    type Value = Duration;
    const TAKES: Takes = Takes::Number;

    fn parse(raw: &Raw) -> Result<Duration, Reject> {
        u64::try_from(whole(raw)?).map(Duration::from_secs).map_err(|_| Reject::Kind)
    }

    fn to_raw(value: &Duration) -> Raw {
        Raw::Int(i64::try_from(value.as_secs()).unwrap_or(i64::MAX))
    }

    fn allowed() -> String {
        "a whole number of seconds, 0 or more".to_owned()
    }
}

/// Permission bits. Text with a leading zero is octal, as in the shell; other text and ints are what they are
/// in Python.
pub struct Mode;

impl Kind for Mode {
    type Value = u32;
    const TAKES: Takes = Takes::Number;

    fn parse(raw: &Raw) -> Result<u32, Reject> {
        let bits = match raw {
            Raw::Str(text) if is_shell_octal(text.trim()) => {
                i64::from_str_radix(text.trim(), 8).map_err(|_| Reject::Kind)?
            }
            _ => whole(raw)?,
        };
        u32::try_from(bits).ok().filter(|bits| *bits <= 0o777).ok_or(Reject::Kind)
    }

    fn to_raw(value: &u32) -> Raw {
        Raw::Int(i64::from(*value))
    }

    fn allowed() -> String {
        "permission bits from 0 to 0o777 (`022` is octal on the command line)".to_owned()
    }
}

/// An amount of memory in bytes, written with its unit.
pub struct Size;

impl Size {
    const UNITS: [(&str, u64); 3] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
}

impl Kind for Size {
    type Value = u64;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<u64, Reject> {
        // Other servers take a bare number for bytes, or for megabytes: only zero means the same everywhere.
        let text = match raw {
            Raw::Int(0) => return Ok(0),
            Raw::Int(number) => return Err(Reject::because(format!("{number} needs a unit: '{number}M'"))),
            _ => text_of(raw)?.to_ascii_uppercase(),
        };
        let text = text.strip_suffix('B').unwrap_or(&text);
        let text = text.strip_suffix('I').unwrap_or(text);
        let unit = Self::UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
        match unit {
            Some((digits, factor)) => {
                let number = base_0(digits.trim_end()).and_then(|number| u64::try_from(number).ok());
                number.and_then(|number| number.checked_mul(*factor)).ok_or(Reject::Kind)
            }
            None if text == "0" => Ok(0),
            None => Err(Reject::Kind),
        }
    }

    fn to_raw(value: &u64) -> Raw {
        let unit = Self::UNITS.iter().rev().find(|(_, factor)| *value > 0 && value.is_multiple_of(*factor));
        match unit {
            Some((unit, factor)) => Raw::Str(format!("{}{unit}", value / factor)),
            None => Raw::Int(0),
        }
    }

    fn allowed() -> String {
        "a size with its unit, such as '512M' or '2G', or 0".to_owned()
    }
}

/// A number of bytes, as such or as text with a unit.
pub struct Bytes;

impl Kind for Bytes {
    type Value = u64;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<u64, Reject> {
        let plain = match raw {
            Raw::Int(number) => Some(*number),
            _ => base_0(text_of(raw)?),
        };
        match plain {
            Some(number) => u64::try_from(number).map_err(|_| Reject::Kind),
            None => Size::parse(raw).map_err(|_| Reject::Kind),
        }
    }

    fn to_raw(value: &u64) -> Raw {
        Raw::Int(i64::try_from(*value).unwrap_or(i64::MAX))
    }

    fn allowed() -> String {
        "a number of bytes, or a size such as '10M'".to_owned()
    }
}

/// A constant of a Python module, by name or number.
pub struct Constant;

impl Kind for Constant {
    type Value = Raw;
    const TAKES: Takes = Takes::Value;

    fn parse(raw: &Raw) -> Result<Raw, Reject> {
        match raw {
            Raw::Int(_) => Ok(raw.clone()),
            _ => text_of(raw).map(|text| base_0(text).map_or_else(|| Raw::from(text), Raw::Int)),
        }
    }

    fn to_raw(value: &Raw) -> Raw {
        value.clone()
    }

    fn allowed() -> String {
        "a number or a name".to_owned()
    }
}

/// Threads of a worker. Each has a stack and a place in the shared memory that tells what it serves.
pub struct Threads;

impl Kind for Threads {
    type Value = usize;
    const TAKES: Takes = Takes::Number;

    fn parse(raw: &Raw) -> Result<usize, Reject> {
        match Count::parse(raw)? {
            count @ 1..=MOST_THREADS => Ok(count),
            _ => Err(Reject::Kind),
        }
    }

    fn to_raw(value: &usize) -> Raw {
        Count::to_raw(value)
    }

    fn allowed() -> String {
        format!("1 to {MOST_THREADS}")
    }
}

fn whole(raw: &Raw) -> Result<i64, Reject> {
    let number = match raw {
        Raw::Int(number) => *number,
        Raw::Str(text) => base_0(text.trim()).ok_or(Reject::Kind)?,
        // gunicorn counts True as 1; a truth value where a number belongs is a mistake worth telling.
        _ => return Err(Reject::Kind),
    };
    match number {
        0..=MAX => Ok(number),
        ..0 => Err(Reject::because(format!("Value must be positive: {number}"))),
        _ => Err(Reject::because(format!("more than {MAX}"))),
    }
}

/// Python's `int(text, 0)`.
fn base_0(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.split_at_checked(2) {
        Some(("0x" | "0X", rest)) => (16, rest),
        Some(("0o" | "0O", rest)) => (8, rest),
        Some(("0b" | "0B", rest)) => (2, rest),
        // Python refuses 010, which C reads as octal, but not 00.
        _ if is_shell_octal(digits) && digits.bytes().any(|b| b != b'0') => return None,
        _ => (10, digits),
    };
    if digits.starts_with(['-', '+', '_']) || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let number = i64::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some(if negative { -number } else { number })
}

fn is_shell_octal(text: &str) -> bool {
    text.strip_prefix('0').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_python_reads_it() {
        let good = [
            ("8", 8),
            ("0x10", 16),
            ("0o17", 15),
            ("0B11", 3),
            ("1_000", 1000),
            (" 7 ", 7),
            ("00", 0),
            ("+3", 3),
        ];
        for (text, number) in good {
            assert_eq!(Count::parse(&Raw::from(text)), Ok(number), "{text}");
        }
        for text in ["", "x", "1.5", "010", "0x", "_1", "1__0", "1_", "0x+1", "é", "1é"] {
            assert_eq!(Count::parse(&Raw::from(text)), Err(Reject::Kind), "{text}");
        }
    }

    #[test]
    fn only_whole_numbers_count() {
        for raw in [Raw::Bool(true), Raw::Float(2.0), Raw::None, Raw::List(vec![])] {
            assert_eq!(Count::parse(&raw), Err(Reject::Kind), "{raw}");
            assert_eq!(Seconds::parse(&raw), Err(Reject::Kind), "{raw}");
        }
        assert_eq!(Count::parse(&Raw::Int(-5)), Err(Reject::because("Value must be positive: -5")));
        assert!(matches!(Count::parse(&Raw::Int(1 << 40)), Err(Reject::Because(_))));
    }

    #[test]
    fn a_size_says_its_unit() {
        let good =
            [("512M", 512 << 20), ("2g", 2 << 30), ("1_000 KiB", 1000 << 10), ("0", 0), ("64MB", 64 << 20)];
        for (text, bytes) in good {
            assert_eq!(Size::parse(&Raw::from(text)), Ok(bytes), "{text}");
            assert_eq!(Size::parse(&Size::to_raw(&bytes)), Ok(bytes), "{text}");
        }
        for text in ["512", "M", "-1M", "1.5G", "99999999999999G", "1T", ""] {
            assert!(Size::parse(&Raw::from(text)).is_err(), "{text}");
        }
        assert_eq!(Size::parse(&Raw::Int(512)), Err(Reject::because("512 needs a unit: '512M'")));
    }

    #[test]
    fn bytes_may_have_a_unit() {
        let good = [("0", 0), ("512", 512), ("10M", 10 << 20), ("1k", 1024), ("0x10", 16)];
        for (text, bytes) in good {
            assert_eq!(Bytes::parse(&Raw::from(text)), Ok(bytes), "{text}");
        }
        assert_eq!(Bytes::parse(&Raw::Int(5_000_000_000)), Ok(5_000_000_000));
        for bad in ["-1", "10X", "", "1.5M"] {
            assert_eq!(Bytes::parse(&Raw::from(bad)), Err(Reject::Kind), "{bad}");
        }
        assert_eq!(Bytes::parse(&Raw::Bool(true)), Err(Reject::Kind));
    }

    #[test]
    fn a_leading_zero_makes_a_mode_octal() {
        let good = [("022", 0o22), ("63", 0o77), ("0x1f", 0x1f), ("0o22", 0o22), ("0", 0), ("00", 0)];
        for (text, bits) in good {
            assert_eq!(Mode::parse(&Raw::from(text)), Ok(bits), "{text}");
        }
        assert_eq!(Mode::parse(&Raw::Int(0o22)), Ok(0o22));
        for text in ["089", "0x1000", "-1", "u=rwx"] {
            assert!(Mode::parse(&Raw::from(text)).is_err(), "{text}");
        }
    }
}
