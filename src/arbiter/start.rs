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
use super::pidfile::{PidFile, PidFileError};
use super::pipes::Pipes;
use super::run::Master;
use crate::config::{Settings, Sources};
use crate::log::Logs;
use crate::net::{BindError, Passed};
use crate::py::surroundings::{self, Variables};
use crate::scoreboard::Scoreboard;
use crate::sys::identity::Identity;

/// Between attempts to listen on an address that is in use.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// What the command line's side has prepared.
pub struct Setup {
    pub sources: Sources,
    pub settings: Settings,
    /// Whom the workers are to become.
    pub identity: Option<Arc<Identity>>,
    pub logs: Logs,
    /// The preloaded application.
    pub app: Option<Py<PyAny>>,
    /// What `raw_env` has set.
    pub variables: Variables,
    /// Sockets of a service manager.
    pub passed: Vec<Passed>,
    /// Who waits for a daemon to be ready.
    pub launcher: Rc<Launcher>,
}

/// Why the master cannot start.
#[derive(Debug)]
pub enum StartError {
    PidFile(PidFileError),
    Bind(BindError),
    System(&'static str, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PidFile(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
            Self::System(what, error) => write!(f, "Cannot make {what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the master until it ends, and a worker until it ends in each forked child: the result is this process's exit
/// status, whichever of the two it is.
pub fn run(py: Python<'_>, setup: Setup) -> Result<i32, StartError> {
    let Setup { sources, settings, identity, logs, app, variables, passed, launcher } = setup;
    log::info!("Starting rwsgi {}", env!("CARGO_PKG_VERSION"));
    let pidfile = settings.mechanics.pidfile.as_deref().map(PidFile::create).transpose();
    let pidfile = pidfile.map_err(StartError::PidFile)?;
    let mut generation = Generation::new(Arc::new(settings), logs, identity);
    let prepared = prepare(py, &mut generation, &passed, &launcher);
    let Ok(Some((pipes, board))) = prepared else {
        generation.close();
        pidfile.iter().for_each(PidFile::remove);
        return prepared.map(|_| 0);
    };
    log::info!("Using worker: {}", generation.settings.workers.worker_class.as_str());
    let master = Master::new(generation, pipes, board);
    let status = master.with(sources, variables, passed, app, pidfile).telling(launcher).run(py);
    Ok(status)
}

/// `None` when a signal ended the start.
fn prepare(
    py: Python<'_>,
    generation: &mut Generation,
    passed: &[Passed],
    launcher: &Launcher,
) -> Result<Option<(Pipes, Scoreboard)>, StartError> {
    let board = Scoreboard::new().map_err(|error| StartError::System("the scoreboard", error))?;
    if let Err(error) = surroundings::forget_interrupts(py) {
        // Only an embedding that starts us off the main thread gets here.
        log::warn!("SIGINT stays with Python: {error}");
    }
    let pipes = Pipes::open().map_err(|error| StartError::System("the signal pipe", error))?;
    if !listen(py, generation, &pipes, passed)? {
        return Ok(None);
    }
    let let_go = launcher.leave_terminal(&generation.settings);
    let_go.map_err(|error| StartError::System("the standard streams of a daemon", error))?;
    log::debug!("Arbiter booted");
    announce(generation);
    Ok(Some((pipes, board)))
}

pub(super) fn announce(generation: &Generation) {
    log::info!("Listening at: {} ({})", generation.urls.join(","), std::process::id());
}

/// Binds; while an address is in use as many times more as the settings say. False when a signal came meanwhile.
fn listen(
    py: Python<'_>,
    generation: &mut Generation,
    pipes: &Pipes,
    passed: &[Passed],
) -> Result<bool, StartError> {
    for left in (0..=generation.settings.socket.bind_retries).rev() {
        let error = match generation.bind(None, passed) {
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
