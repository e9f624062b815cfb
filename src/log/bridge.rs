//! What takes the place of the native logs where somebody has asked for Python's.
//!
//! This layer knows no Python: it hands over records and prints the ones that come back. Read next: `py/bridge.rs`.

use std::fmt;

use super::severity::Severity;

pub trait Bridge: Send + Sync {
    /// The least severe record that it takes.
    fn least(&self) -> Severity;

    /// False if it cannot tell this one now: the native log does.
    fn record(&self, severity: Severity, text: fmt::Arguments<'_>) -> bool;

    /// Opens its files again.
    fn reopen(&self);
}
