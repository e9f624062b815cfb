//! What the master's log says of a worker's end. The sentences are those that operators search for.

use log::Level;
use nix::sys::signal::Signal;

use super::oom::Oom;
use super::state::{APP_FAILED, BOOT_FAILED, Death, Status};

/// A line for the error log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    /// Above ERROR: printed as CRITICAL.
    pub critical: bool,
    /// Where the worker that could not boot has said why, this says no more.
    pub echoes: bool,
    pub text: String,
}

impl Line {
    pub(super) fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, critical: false, echoes: false, text: text.into() }
    }

    /// Of a start that has failed.
    pub(super) fn echo(level: Level, text: impl Into<String>) -> Self {
        Self { echoes: true, ..Self::new(level, text) }
    }

    pub(super) fn critical(text: impl Into<String>) -> Self {
        Self { critical: true, ..Self::new(Level::Error, text) }
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
            let text = format!("Worker (pid:{pid}) exited with code {code}.{cut}");
            let boot = code == BOOT_FAILED || code == APP_FAILED;
            Some(if boot { Line::echo(Level::Error, text) } else { Line::new(Level::Error, text) })
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
