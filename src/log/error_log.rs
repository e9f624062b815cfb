//! The error log: `[2026-11-24 09:30:00 +0000] [4711] [INFO] message`, for every record of the `log` facade.
//!
//! simplelog combines the loggers and filters levels; the line's form is ours, because operators' parsers know it.
//! Owns where records go now. Read next: `severity.rs`, `sink.rs`.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};
use simplelog::{CombinedLogger, Config, SharedLogger};

use super::greeting::{self, START};
use super::logs::Logs;
use super::severity::{EXCEPTION, Severity};
use super::sink::Target;
use super::{remote, terminal};
use crate::config::kind;
use crate::sys::clock::{self, LocalTime};

/// Where records go now. A reload may name other places.
static DESTINATION: RwLock<Option<Arc<Destination>>> = RwLock::new(None);

struct Destination {
    logs: Logs,
    /// The facade cannot tell CRITICAL from ERROR, and metrics count what is not printed.
    least: Severity,
    has_colours: bool,
}

/// Not under the lock: a line that gets through after lost ones has one of its own to log.
fn destination() -> Option<Arc<Destination>> {
    DESTINATION.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Takes the records of the `log` facade.
struct ErrorLog;

/// Asked for with each line, and worked out once a second.
static STAMP: Mutex<Stamp> = Mutex::new(Stamp { second: 0, text: String::new() });

/// The time of the last line, kept as text for the rest of its second.
struct Stamp {
    second: u64,
    text: String,
}

/// Makes `logs` the destination of the `log` facade, for records of `level` and worse; again after a reload.
pub fn install(logs: &Logs, level: kind::Level) {
    let least = logs.bridge().map_or_else(|| Severity::from(level), |bridge| bridge.least());
    // Warnings and worse are counted even if they are not printed.
    let counted = if logs.statsd.is_some() { LevelFilter::Warn } else { LevelFilter::Off };
    // A stream that was given to us, never a file of ours.
    let has_colours = *logs.error.target() == Target::Stderr && terminal::has_colours(&io::stderr());
    let destination = Arc::new(Destination { logs: logs.clone(), least, has_colours });
    *DESTINATION.write().unwrap_or_else(PoisonError::into_inner) = Some(destination);
    // An error means that the logger is installed already.
    let _ = CombinedLogger::init(vec![Box::new(ErrorLog)]);
    log::set_max_level(least.filter().max(counted));
    logs.capture();
    logs.tell_faults();
}

/// Counts a record that is not made because nobody would print it.
pub fn count(level: Level, target: &str) {
    if level <= Level::Warn
        && let Some(destination) = destination()
    {
        destination.count(Severity::of(&Metadata::builder().level(level).target(target).build()), target);
    }
}

/// Prints a record that comes back from Python's logging, in whose place nothing else is.
pub fn print(severity: Severity, target: &str, text: &str) {
    if let Some(destination) = destination() {
        destination.count(severity, target);
        destination.print(severity, target, format_args!("{text}"));
    }
}

/// Writes what is no record.
pub(super) fn write(text: &str) {
    if let Some(destination) = destination() {
        destination.logs.error.write_line(text.as_bytes());
    }
}

/// Gives servers that were slow what waits for them. Costs one load as long as none is.
pub fn catch_up() {
    if remote::is_behind()
        && let Some(destination) = destination()
    {
        remote::forget_behind();
        destination.logs.catch_up();
    }
}

impl Destination {
    fn count(&self, severity: Severity, target: &str) {
        let Some(statsd) = &self.logs.statsd else { return };
        match severity {
            Severity::Critical => statsd.record("critical"),
            Severity::Error if target == EXCEPTION => statsd.record("exception"),
            Severity::Error => statsd.record("error"),
            Severity::Warning => statsd.record("warning"),
            Severity::Info | Severity::Debug => {}
        }
    }

    fn print(&self, severity: Severity, target: &str, text: fmt::Arguments<'_>) {
        if target != START || !greeting::is_on() {
            self.logs.error.write_line(&line(severity, self.has_colours, text));
        }
        if let Some(syslog) = &self.logs.syslog {
            syslog.error(severity, text);
        }
    }
}

fn line(severity: Severity, has_colours: bool, text: fmt::Arguments<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(160);
    {
        let mut stamp = STAMP.lock().unwrap_or_else(PoisonError::into_inner);
        stamp.refresh(clock::wall().as_secs());
        line.extend_from_slice(stamp.text.as_bytes());
    }
    // Writing to a Vec cannot fail.
    let name = terminal::painted(severity.name(), severity.colour(), has_colours);
    let _ = writeln!(line, " [{}] [{name}] {text}", std::process::id());
    line
}

impl Stamp {
    fn refresh(&mut self, second: u64) {
        if self.second == second {
            return;
        }
        let now = LocalTime::at(second);
        self.second = second;
        self.text = format!(
            "[{:04}-{:02}-{:02} {:02}:{:02}:{:02} {}]",
            now.year,
            now.month,
            now.day,
            now.hour,
            now.minute,
            now.second,
            now.zone()
        );
    }
}

impl Log for ErrorLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        destination().is_some_and(|destination| Severity::of(metadata) >= destination.least)
    }

    fn log(&self, record: &Record<'_>) {
        let Some(destination) = destination() else { return };
        let severity = Severity::of(record.metadata());
        destination.count(severity, record.target());
        if severity < destination.least {
            return;
        }
        let bridge = destination.logs.bridge();
        if !bridge.is_some_and(|bridge| bridge.record(severity, *record.args())) {
            destination.print(severity, record.target(), *record.args());
        }
    }

    fn flush(&self) {}
}

impl SharedLogger for ErrorLog {
    fn level(&self) -> LevelFilter {
        // The facade's own maximum filters, so that a reload can move it.
        LevelFilter::Trace
    }

    fn config(&self) -> Option<&Config> {
        None
    }

    fn as_log(self: Box<Self>) -> Box<dyn Log> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_form_that_parsers_know() {
        let text = String::from_utf8(line(Severity::Warning, false, format_args!("hello"))).unwrap();
        let (stamp, rest) = text.split_at("[2026-11-24 09:30:00 +0000]".len());
        assert!(stamp.starts_with("[20") && stamp.ends_with(']'), "{stamp}");
        assert_eq!(rest, format!(" [{}] [WARNING] hello\n", std::process::id()));
        let text = String::from_utf8(line(Severity::Warning, true, format_args!("hello"))).unwrap();
        assert!(text.ends_with("] [\x1b[33mWARNING\x1b[0m] hello\n"), "{text}");
    }
}
