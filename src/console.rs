//! What is said on the standard streams outside of the logs: before there is a log, or in place of one.
//!
//! Owns the words "Error" and "Warning" and their colours. Must never fail: a stream that is gone loses its lines. Read
//! next: `cli.rs`, which knows when.

use std::io::{self, IsTerminal, Write};

use crate::log::{Severity, terminal};

pub(crate) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    // A reader that has seen enough (`--help | head`) is no error.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Only where a person watches: for whoever asks a program, no news is good news.
pub(crate) fn reassure(text: &str) {
    if io::stdout().is_terminal() {
        print(&format!("{text}\n"));
    }
}

pub(crate) fn error(text: &str) {
    complain("Error:", Severity::Error, text);
}

pub(crate) fn warn(text: &str) {
    complain("Warning:", Severity::Warning, text);
}

fn complain(label: &str, severity: Severity, text: &str) {
    let stderr = io::stderr();
    // Other processes read these lines, so that nothing forces colours on them.
    let has_colours = stderr.is_terminal() && terminal::has_colours(&stderr);
    let label = terminal::painted(label, severity.colour(), has_colours);
    let _ = writeln!(stderr.lock(), "{label} {text}");
}
