//! How bad a record is, in the five steps of Python's `logging`.
//!
//! The `log` facade has neither CRITICAL nor a word for an exception: the target of a record says so. Read next:
//! `error_log.rs`.

use log::{Level, LevelFilter, Metadata};

use crate::config::kind;

/// Target of records that are to be printed as CRITICAL.
pub const CRITICAL: &str = "critical";
/// Target of records that tell an exception. They are printed as ERROR; metrics count them by themselves.
pub const EXCEPTION: &str = "exception";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    pub(super) fn of(metadata: &Metadata<'_>) -> Self {
        match metadata.level() {
            Level::Error if metadata.target() == CRITICAL => Self::Critical,
            Level::Error => Self::Error,
            Level::Warn => Self::Warning,
            Level::Info => Self::Info,
            Level::Debug | Level::Trace => Self::Debug,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    /// The number of `logging`.
    pub const fn number(self) -> u32 {
        match self {
            Self::Debug => 10,
            Self::Info => 20,
            Self::Warning => 30,
            Self::Error => 40,
            Self::Critical => 50,
        }
    }

    /// The step that a number of `logging` belongs to.
    pub const fn numbered(number: u32) -> Self {
        match number {
            50.. => Self::Critical,
            40.. => Self::Error,
            30.. => Self::Warning,
            20.. => Self::Info,
            _ => Self::Debug,
        }
    }

    /// The method of a logger.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// What a record of the facade says.
    pub const fn record(self) -> (Level, &'static str) {
        match self {
            Self::Debug => (Level::Debug, ""),
            Self::Info => (Level::Info, ""),
            Self::Warning => (Level::Warn, ""),
            Self::Error => (Level::Error, ""),
            Self::Critical => (Level::Error, CRITICAL),
        }
    }

    /// In SGR: the louder, the worse.
    pub const fn colour(self) -> &'static str {
        match self {
            Self::Debug => "2",
            Self::Info => "32",
            Self::Warning => "33",
            Self::Error => "31",
            Self::Critical => "1;31",
        }
    }

    /// The number of syslog(3).
    pub(super) const fn syslog(self) -> u8 {
        match self {
            Self::Debug => 7,
            Self::Info => 6,
            Self::Warning => 4,
            Self::Error => 3,
            Self::Critical => 2,
        }
    }

    /// The least that the facade must let through for records of this severity to pass.
    pub(super) const fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::Debug,
            Self::Info => LevelFilter::Info,
            Self::Warning => LevelFilter::Warn,
            Self::Error | Self::Critical => LevelFilter::Error,
        }
    }
}

impl From<kind::Level> for Severity {
    fn from(level: kind::Level) -> Self {
        match level {
            kind::Level::Debug => Self::Debug,
            kind::Level::Info => Self::Info,
            kind::Level::Warning => Self::Warning,
            kind::Level::Error => Self::Error,
            kind::Level::Critical => Self::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_named_as_python_names_them() {
        for (level, target, name) in
            [(Level::Warn, "", "WARNING"), (Level::Error, "", "ERROR"), (Level::Error, CRITICAL, "CRITICAL")]
        {
            let metadata = Metadata::builder().level(level).target(target).build();
            assert_eq!(Severity::of(&metadata).name(), name);
        }
    }
}
