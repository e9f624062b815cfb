//! The error log: `[2026-11-24 09:30:00 +0000] [4711] [INFO] message`, for every record of the `log` facade.
//!
//! simplelog combines the loggers and filters levels; the line's form is ours, because operators' parsers know it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};
use simplelog::{CombinedLogger, Config, SharedLogger};

use super::sink::Sink;
use crate::config::kind as config;
use crate::sys::clock::{self, LocalTime};

/// Target of records that are to be printed as CRITICAL, a level the facade does not have.
pub const CRITICAL: &str = "critical";

/// Where records go now. A reload may name another file.
static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);
/// Whether records below CRITICAL, which the facade cannot tell from ERROR, are left out.
static CRITICAL_ONLY: AtomicBool = AtomicBool::new(false);

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

/// Makes `sink` the destination of the `log` facade, up to `level`; again after a reload.
pub fn install(sink: Arc<Sink>, level: config::Level) {
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    // An error means that the logger is installed already.
    let _ = CombinedLogger::init(vec![Box::new(ErrorLog::default())]);
    CRITICAL_ONLY.store(level == config::Level::Critical, Relaxed);
    log::set_max_level(match level {
        config::Level::Debug => LevelFilter::Debug,
        config::Level::Info => LevelFilter::Info,
        config::Level::Warning => LevelFilter::Warn,
        config::Level::Error | config::Level::Critical => LevelFilter::Error,
    });
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
        let level = if record.target() == CRITICAL { "CRITICAL" } else { name(record.level()) };
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

const fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    }
}

impl Log for ErrorLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
            && (metadata.target() == CRITICAL || !CRITICAL_ONLY.load(Relaxed))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Not under the lock: a line that gets through after lost ones has one of its own to log.
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sink) = sink {
            sink.write_line(&self.line(record));
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
