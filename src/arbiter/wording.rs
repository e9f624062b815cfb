//! What the master's log says of a worker's end. The sentences are those that operators search for.

use log::Level;
use nix::sys::signal::Signal;

use super::oom::Oom;
use super::state::{Death, Status};

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
/// KILL itself.
pub(super) fn ended(death: &Death, killed: bool) -> Option<Line> {
    let pid = death.pid;
    let cut = death.serving.as_ref().map(|request| format!(" It was serving {request}.")).unwrap_or_default();
    match death.status {
        Status::Code(0) => None,
        Status::Code(code) => {
            Some(Line::new(Level::Error, format!("Worker (pid:{pid}) exited with code {code}.{cut}")))
        }
        Status::Signal(number) => {
            let name = Signal::try_from(number)
                .map_or_else(|_| format!("signal {number}"), |signal| signal.to_string());
            let (level, hint) = hint(death, number, killed);
            Some(Line::new(level, format!("Worker (pid:{pid}) was sent {name}!{hint}{cut}")))
        }
    }
}

fn hint(death: &Death, number: i32, killed: bool) -> (Level, String) {
    match Signal::try_from(number) {
        Ok(Signal::SIGKILL) => {}
        Ok(Signal::SIGTERM) => return (Level::Info, String::new()),
        _ => return (Level::Warn, String::new()),
    }
    let text = match &death.oom {
        _ if killed => " It had not stopped in time.".to_owned(),
        Oom::Killed(killer) => format!(" Killed {killer}."),
        Oom::No => " Not by the kernel's OOM killer.".to_owned(),
        Oom::Unknown => " Perhaps out of memory?".to_owned(),
    };
    (Level::Error, text)
}
