//! Clocks: monotonic time for every decision, wall-clock time for what people read.
//!
//! Invariant: timeouts and beats use `monotonic` only, so that a clock step never kills a worker. Local time follows
//! libc's idea of the time zone, which is also Python's (`time.tzset()` in an application moves both).

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since an arbitrary point that never steps. Nanosecond resolution.
pub fn monotonic() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Time since an arbitrary point, a few milliseconds coarse and several times cheaper to read.
pub fn monotonic_coarse() -> Duration {
    #[cfg(target_os = "linux")]
    return read(ClockId::CLOCK_MONOTONIC_COARSE);
    #[cfg(not(target_os = "linux"))]
    monotonic()
}

/// Time since 1970-01-01 00:00:00 UTC.
pub fn wall() -> Duration {
    read(ClockId::CLOCK_REALTIME)
}

/// Time since 1970-01-01 00:00:00 UTC, a few milliseconds coarse.
pub fn wall_coarse() -> Duration {
    #[cfg(target_os = "linux")]
    return read(ClockId::CLOCK_REALTIME_COARSE);
    #[cfg(not(target_os = "linux"))]
    wall()
}

fn read(clock: ClockId) -> Duration {
    // A clock that cannot be read is a kernel without it; zero keeps timeouts from firing.
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// A point in time as the local calendar shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    pub year: i32,
    /// 1 to 12.
    pub month: i32,
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    /// Seconds east of UTC.
    pub offset: i64,
}

impl LocalTime {
    /// The local calendar at `seconds` since the epoch.
    pub fn at(seconds: u64) -> Self {
        let time = libc::time_t::try_from(seconds).unwrap_or(libc::time_t::MAX);
        // SAFETY: `tm` is plain data for which all zeroes is valid; `localtime_r` writes only to it and reads `time`,
        // both alive for the call. On failure it leaves the zeroes.
        let tm = unsafe {
            let mut tm: libc::tm = std::mem::zeroed();
            libc::localtime_r(&raw const time, &raw mut tm);
            tm
        };
        Self {
            year: tm.tm_year + 1900,
            month: tm.tm_mon + 1,
            day: tm.tm_mday,
            hour: tm.tm_hour,
            minute: tm.tm_min,
            second: tm.tm_sec,
            offset: tm.tm_gmtoff,
        }
    }

    /// `+ZZZZ`: hours and minutes east of UTC.
    pub fn zone(&self) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = monotonic();
        assert!(monotonic() >= first);
    }

    #[test]
    fn zones_print_as_hours_and_minutes() {
        let mut time = LocalTime::at(0);
        for (offset, text) in [(0, "+0000"), (19_800, "+0530"), (-12_600, "-0330")] {
            time.offset = offset;
            assert_eq!(time.zone(), text);
        }
    }
}
