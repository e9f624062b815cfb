//! The time in a line of the access log, made into text once a second.
//!
//! Read next: `access_log.rs`.

use std::fmt::Write;
use std::time::Duration;

use crate::sys::clock::LocalTime;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    millisecond: u32,
    /// `[10/Oct/2026:13:55:36 +0000]`
    common: String,
    /// `2026-10-10T13:55:36`, and `+00:00` to follow the fraction.
    rfc3339: String,
    zone: String,
}

impl Stamp {
    /// Moves to `now`, time since the epoch.
    pub(super) fn refresh(&mut self, now: Duration) {
        self.millisecond = now.subsec_millis();
        if self.second == Some(now.as_secs()) {
            return;
        }
        self.second = Some(now.as_secs());
        let LocalTime { year, month, day, hour, minute, second, .. } = LocalTime::at(now.as_secs());
        let name = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"???");
        let zone = LocalTime::at(now.as_secs()).zone();
        for text in [&mut self.common, &mut self.rfc3339, &mut self.zone] {
            text.clear();
        }
        // Writing to a String cannot fail.
        let _ = write!(self.common, "[{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02} {zone}]");
        let _ = write!(self.rfc3339, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        let (hours, minutes) = zone.split_at_checked(3).unwrap_or(("+00", "00"));
        let _ = write!(self.zone, "{hours}:{minutes}");
    }

    pub(super) fn common(&self) -> &[u8] {
        self.common.as_bytes()
    }

    /// RFC 3339, with milliseconds.
    pub(super) fn append_rfc3339(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(self.rfc3339.as_bytes());
        // Digits of three places: 1000 and more they are, without their first one.
        let mut digits = itoa::Buffer::new();
        let padded = digits.format(1000 + self.millisecond);
        line.push(b'.');
        line.extend_from_slice(padded.as_bytes().get(1..).unwrap_or_default());
        line.extend_from_slice(self.zone.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same_time() {
        let mut stamp = Stamp::default();
        for millis in [7, 123] {
            stamp.refresh(Duration::from_millis(1_795_000_000_000 + millis));
            let mut line = Vec::new();
            stamp.append_rfc3339(&mut line);
            let (text, common) = (String::from_utf8(line).unwrap(), String::from_utf8_lossy(stamp.common()));
            assert_eq!(text.len(), "2026-10-10T13:55:36.123+00:00".len());
            assert_eq!(text.get(19..23).unwrap(), format!(".{millis:03}"));
            assert_eq!(text.get(11..19), common.get(13..21));
            assert_eq!(text.get(23..).unwrap().replace(':', ""), common.get(22..27).unwrap());
        }
    }
}
