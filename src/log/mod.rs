//! The error log, the access log, and what is sent to syslog and statsd beside them.
//!
//! Owns: where lines go and how they look. A line is always one write(2) to a descriptor opened for appending, so lines
//! of several workers never mix. Must never: fail or delay a request, or end a process, because a line could not be
//! written.

pub mod access_log;
mod basic_user;
mod bridge;
mod capture;
mod error_log;
mod escape;
mod format;
pub mod greeting;
mod json;
mod logs;
mod remote;
mod severity;
mod sink;
mod stamp;
mod statsd;
mod syslog;
pub mod terminal;

pub use bridge::Bridge;
pub use capture::with_own_streams;
pub use error_log::{catch_up, count, install, print};
pub use logs::Logs;
pub use severity::{CRITICAL, EXCEPTION, Severity};
pub use sink::{Sink, Target};
pub use statsd::{Metric, Statsd};
pub use syslog::Syslog;
