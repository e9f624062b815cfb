//! What the master's log says of a worker's end. The sentences are those that operators search for.

use log::Level;
use nix::sys::signal::Signal;

use super::state::Status;

/// A line for the error log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    /// Above ERROR: printed as CRITICAL.
    pub critical: bool,
    pub text: String,
}

impl Line {
    pub(super) fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, critical: false, text: text.into() }
    }

    pub(super) fn critical(text: impl Into<String>) -> Self {
        Self { level: Level::Error, critical: true, text: text.into() }
    }
}

/// The line for a worker that ended, or nothing for one that left as it should. `killed` means that the master sent
/// KILL itself; `serving` describes the request that was cut off.
pub(super) fn ended(pid: i32, status: Status, killed: bool, serving: Option<&str>) -> Option<Line> {
    let cut = serving.map(|request| format!(" It was serving {request}.")).unwrap_or_default();
    match status {
        Status::Code(0) => None,
        Status::Code(code) => {
            Some(Line::new(Level::Error, format!("Worker (pid:{pid}) exited with code {code}.{cut}")))
        }
        Status::Signal(number) => Some(signalled(pid, number, killed, &cut)),
    }
}

fn signalled(pid: i32, number: i32, killed: bool, cut: &str) -> Line {
    let name =
        Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.to_string());
    let (level, hint) = match Signal::try_from(number) {
        Ok(Signal::SIGKILL) if killed => (Level::Error, " It had not stopped in time."),
        Ok(Signal::SIGKILL) => (Level::Error, " Perhaps out of memory?"),
        Ok(Signal::SIGTERM) => (Level::Info, ""),
        _ => (Level::Warn, ""),
    };
    Line::new(level, format!("Worker (pid:{pid}) was sent {name}!{hint}{cut}"))
}
