//! What a person at the terminal reads of a start: a few lines in place of those that log scrapers look for.
//!
//! ```text
//! rwsgi 0.1.0 (Python 3.13.1, sync), pid 4711
//!   listening  http://127.0.0.1:8000
//!   app        test:app, a function in /srv/test.py, imported in 0.21 s
//!   workers    3 ready in 0.34 s (Ctrl-C to stop)
//! ```
//!
//! Owns when it begins and ends. While it lasts, records with the target [`START`] are not printed on the terminal, for
//! it says the same in other words; syslog gets them as ever. Must never write to anything but a terminal. Read next:
//! `error_log.rs`.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::error_log;
use super::logs::Logs;
use super::sink::Target;
use crate::config::Settings;
use crate::config::kind::Level;
use crate::sys::clock;

/// Target of records that the greeting makes superfluous.
pub const START: &str = "start";

/// When it began, in microseconds of the monotonic clock; zero when there is none.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// The first line, if somebody is there to read it. `about`: what runs the application.
pub fn begin(settings: &Settings, logs: &Logs, about: &str) {
    if is_watched(settings, logs) {
        BEGUN.store((clock::monotonic().as_micros() as u64).max(1), Relaxed);
        let version = env!("CARGO_PKG_VERSION");
        error_log::write(&format!("rwsgi {version} ({about}), pid {}\n", std::process::id()));
    }
}

/// Only at the usual level: who wants less is not to be greeted, who wants more wants the log itself.
fn is_watched(settings: &Settings, logs: &Logs) -> bool {
    *logs.error.target() == Target::Stderr
        && io::stderr().is_terminal()
        && !settings.mechanics.daemon
        && settings.logging.loglevel == Level::Info
        && logs.bridge().is_none()
}

pub fn is_on() -> bool {
    BEGUN.load(Relaxed) != 0
}

/// A further line.
pub fn say(label: &str, text: &str) {
    if is_on() {
        error_log::write(&format!("  {label:<9}  {text}\n"));
    }
}

/// The last line: every worker serves. Says nothing when it is over already.
pub fn end(workers: usize) {
    let begun = BEGUN.load(Relaxed);
    if begun == 0 {
        return;
    }
    let taken = clock::monotonic().saturating_sub(Duration::from_micros(begun)).as_secs_f64();
    let state = match workers {
        0 => "none: nothing is answered".to_owned(),
        count => format!("{count} ready in {taken:.2} s"),
    };
    say("workers", &format!("{state} (Ctrl-C to stop)"));
    leave();
}

/// From now on this process logs as ever.
pub fn leave() {
    BEGUN.store(0, Relaxed);
}
