//! The error log: `[2026-11-24 09:30:00 +0000] [4711] [INFO] message`, for every record of the `log` facade.
//!
//! simplelog combines the loggers and filters levels; the line's form is ours, because operators' parsers know it.
//! Owns where records go now. Read next: `severity.rs`, `sink.rs`.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};
use simplelog::{CombinedLogger, Config, SharedLogger};

use super::logs::Logs;
use super::remote;
use super::severity::{EXCEPTION, Severity};
use crate::config::kind;
use crate::sys::clock::{self, LocalTime};

/// Where records go now. A reload may name other places.
static DESTINATION: RwLock<Option<Arc<Destination>>> = RwLock::new(None);

struct Destination {
    logs: Logs,
    /// The facade cannot tell CRITICAL from ERROR, and metrics count what is not printed.
    least: Severity,
}

/// Not under the lock: a line that gets through after lost ones has one of its own to log.
fn destination() -> Option<Arc<Destination>> {
    DESTINATION.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Writes records to the current sink.
#[derive(Default)]
pub struct ErrorLog {
    stamp: Mutex<Stamp>,
}

/// The time of the last line, kept as text for the rest of its second.
#[derive(Default)]
struct Stamp {
    second: u64,
    text: String,
}

/// Makes `logs` the destination of the `log` facade, for records of `level` and worse; again after a reload.
pub fn install(logs: &Logs, level: kind::Level) {
    let least = Severity::from(level);
    // Warnings and worse are counted even if they are not printed.
    let counted = if logs.statsd.is_some() { LevelFilter::Warn } else { LevelFilter::Off };
    let destination = Arc::new(Destination { logs: logs.clone(), least });
    *DESTINATION.write().unwrap_or_else(PoisonError::into_inner) = Some(destination);
    // An error means that the logger is installed already.
    let _ = CombinedLogger::init(vec![Box::new(ErrorLog::default())]);
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
}

impl ErrorLog {
    fn line(&self, record: &Record<'_>) -> Vec<u8> {
        let mut line = Vec::with_capacity(160);
        let second = clock::wall().as_secs();
        {
            let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
            stamp.refresh(second);
            line.extend_from_slice(stamp.text.as_bytes());
        }
        let level = Severity::of(record.metadata()).name();
        // Writing to a Vec cannot fail.
        let _ = writeln!(line, " [{}] [{level}] {}", std::process::id(), record.args());
        line
    }
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
        destination.logs.error.write_line(&self.line(record));
        if let Some(syslog) = &destination.logs.syslog {
            syslog.error(severity, *record.args());
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
    use super::super::severity::CRITICAL;
    use super::*;

    fn line(level: Level, target: &str) -> String {
        let error_log = ErrorLog::default();
        let record = Record::builder().level(level).target(target).args(format_args!("hello")).build();
        String::from_utf8(error_log.line(&record)).unwrap()
    }

    #[test]
    fn lines_have_the_form_that_parsers_know() {
        let text = line(Level::Info, "x");
        let (stamp, rest) = text.split_at("[2026-11-24 09:30:00 +0000]".len());
        assert!(stamp.starts_with("[20") && stamp.ends_with(']'), "{stamp}");
        assert_eq!(rest, format!(" [{}] [INFO] hello\n", std::process::id()));
    }

    #[test]
    fn levels_are_named_as_python_names_them() {
        for (level, target, name) in
            [(Level::Warn, "", "WARNING"), (Level::Error, "", "ERROR"), (Level::Error, CRITICAL, "CRITICAL")]
        {
            assert!(line(level, target).contains(&format!("[{name}]")));
        }
    }
}
