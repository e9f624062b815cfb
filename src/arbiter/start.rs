//! From a checked configuration to a running loop, and the tidying up after it.
//!
//! Owns the order in which the master sets itself up, which is also the order of its first log lines. What it made (pid
//! file, unix sockets) goes with it, however it ends; a forked worker comes back through here and touches none of it.
//! Read next: `run.rs`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use pyo3::prelude::*;

use super::daemon::Launcher;
use super::generation::Generation;
use super::handover::Handover;
use super::hooks::Opening;
use super::inherit::Inheritance;
use super::pidfile::{PidFile, PidFileError};
use super::pipes::Pipes;
use super::program::Program;
use super::reload::pidfile_name;
use super::run::Master;
use super::seats::Seats;
use super::state::State;
use crate::config::{Settings, Sources};
use crate::log::Logs;
use crate::log::greeting::{self, START};
use crate::net::{BindError, Listener, Passed};
use crate::py::hooks::{Context, HookError};
use crate::py::served::Served;
use crate::py::surroundings::{self, Variables};
use crate::sys::identity::Identity;

/// Between attempts to listen on an address that is in use.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// What the command line's side has prepared.
pub struct Setup {
    pub settings: Arc<Settings>,
    /// Whom the workers are to become.
    pub identity: Option<Arc<Identity>>,
    pub logs: Logs,
    pub context: Context,
    pub kept: Kept,
    /// What another program of this master left.
    pub handover: Option<Handover>,
    /// The application was to be preloaded and could not be.
    pub lame: bool,
}

/// What the master keeps of its start, for reloads, for workers, and for starting itself again.
pub struct Kept {
    pub sources: Sources,
    pub program: Program,
    /// What `raw_env` has set.
    pub variables: Variables,
    /// Sockets of a service manager.
    pub passed: Vec<Passed>,
    /// The process on the terminal that waits for a daemon.
    pub launcher: Rc<Launcher>,
    pub served: Served,
}

/// Why the master cannot start.
#[derive(Debug)]
pub enum StartError {
    PidFile(PidFileError),
    Bind(BindError),
    Hook(HookError),
    Python(PyErr),
    System(&'static str, io::Error),
}

impl StartError {
    /// With what to try next.
    pub fn report(&self) -> String {
        match self {
            Self::Bind(error) => {
                let advice = error.advice().map(|advice| format!("\n  {advice}"));
                format!("{error}{}", advice.unwrap_or_default())
            }
            other => other.to_string(),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PidFile(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
            Self::Hook(error) => error.fmt(f),
            Self::Python(error) => write!(f, "Cannot set up the hooks: {error}"),
            Self::System(what, error) => write!(f, "Cannot make {what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the master until it ends, and a worker until it ends in each forked child: the result is this process's exit
/// status, whichever of the two it is.
pub fn run(py: Python<'_>, setup: Setup) -> Result<i32, StartError> {
    let Setup { settings, identity, logs, context, mut kept, handover, lame } = setup;
    let generation = Generation::new(settings, logs, identity, context);
    let inheritance = Inheritance::take(handover, &mut kept);
    let state = inheritance.state(generation.plan(), lame);
    let opening = Opening::new(py, &generation, &state, inheritance.workers());
    let opening = opening.map_err(StartError::Python)?;
    let mut start = Start { generation, inheritance, opening, pidfile: None };
    match start.prepare(py, &state, &kept) {
        Ok(Some(pipes_and_seats)) => {
            let Start { generation, opening, pidfile, .. } = start;
            Ok(Master::new(state, generation, pipes_and_seats, kept, (pidfile, opening.server)).run(py))
        }
        other => {
            // The files of unix sockets belong to the master that goes on serving them.
            if state.is_only_master() {
                start.generation.close()
            } else {
                start.generation.leave()
            }
            start.pidfile.iter().for_each(PidFile::remove);
            other.map(|_| 0)
        }
    }
}

/// A master that is setting itself up.
struct Start {
    generation: Generation,
    inheritance: Inheritance,
    opening: Opening,
    pidfile: Option<PidFile>,
}

impl Start {
    /// `None` when a signal ended the start.
    fn prepare(
        &mut self,
        py: Python<'_>,
        state: &State,
        kept: &Kept,
    ) -> Result<Option<(Pipes, Seats)>, StartError> {
        self.opening.size(py, &self.generation).map_err(StartError::Hook)?;
        log::info!(target: START, "Starting rwsgi {}", env!("CARGO_PKG_VERSION"));
        self.write_pidfile(state)?;
        self.opening.starting(py, &self.generation).map_err(StartError::Hook)?;
        self.generation.context.follow_changes(py, &self.generation.logs);
        if let Err(error) = surroundings::forget_interrupts(py) {
            // Only an embedding that starts us off the main thread gets here.
            log::warn!("SIGINT stays with Python: {error}");
        }
        let foundation = self.inheritance.foundation()?;
        let open = std::mem::take(&mut self.inheritance.open);
        match listen(py, &mut self.generation, &foundation.0, &open, &kept.passed) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                self.spare(error)?;
                self.generation.keep(open);
            }
        }
        // From here on a daemon speaks through its log alone.
        let detached = kept.launcher.leave_terminal(&self.generation.settings);
        detached.map_err(|error| StartError::System("the streams of a daemon", error))?;
        log::debug!("Arbiter booted");
        announce(&self.generation);
        greeting::say("listening", &self.generation.urls.join(", "));
        if self.generation.settings.debugging.reload {
            log::warn!("Reloader is on. Use in development only!");
        }
        let class = self.generation.settings.workers.class().as_str();
        log::info!(target: START, "Using worker: {class}");
        self.opening.ready(py, &self.generation, state).map_err(StartError::Hook)?;
        self.generation.context.follow_changes(py, &self.generation.logs);
        Ok(Some(foundation))
    }

    fn write_pidfile(&mut self, state: &State) -> Result<(), StartError> {
        let path = self.generation.settings.mechanics.pidfile.as_deref();
        match path.map(|path| PidFile::create(&pidfile_name(path, state))).transpose() {
            Ok(file) => {
                self.inheritance.drop_pidfile(file.as_ref());
                self.pidfile = file;
                Ok(())
            }
            Err(error) => self.spare(StartError::PidFile(error)),
        }
    }

    /// A process that has served must not end for what keeps a new one from starting.
    fn spare(&self, error: StartError) -> Result<(), StartError> {
        if self.inheritance.workers().is_none() {
            return Err(error);
        }
        log::error!("{error}. What was there before stays");
        Ok(())
    }
}

pub(super) fn announce(generation: &Generation) {
    log::info!(target: START, "Listening at: {} ({})", generation.urls.join(","), std::process::id());
}

/// Binds; while an address is in use as many times more as the settings say. False when a signal came meanwhile.
fn listen(
    py: Python<'_>,
    generation: &mut Generation,
    pipes: &Pipes,
    open: &[Arc<Listener>],
    passed: &[Passed],
) -> Result<bool, StartError> {
    for left in (0..=generation.settings.socket.bind_retries).rev() {
        let error = match generation.bind(open, passed) {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        generation.close();
        if left == 0 || !error.in_use() {
            return Err(StartError::Bind(error));
        }
        log::warn!("{error}. Trying again in 1 s ({left} left)");
        py.detach(|| pipes.wait(BIND_PAUSE));
        if pipes.take().iter().any(|signal| super::signals::ends(*signal)) {
            return Ok(false);
        }
    }
    Ok(false)
}
