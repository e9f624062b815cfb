//! The error log and the access log.
//!
//! Owns: where lines go and how they look. A line is always one write(2) to a descriptor opened for appending, so lines
//! of several workers never mix. Must never: fail a request, or end a process, because a line could not be written.

pub mod access_log;
mod basic_user;
mod error_log;
mod logs;
mod sink;

pub use error_log::{CRITICAL, ErrorLog, install};
pub use logs::Logs;
pub use sink::{Sink, Target};
