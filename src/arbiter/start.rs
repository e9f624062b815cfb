//! From a checked configuration to a running loop, and the tidying up after it.
//!
//! Owns the order in which the master sets itself up, which is also the order of its first log lines. What it made (pid
//! file, unix sockets) goes with it, however it ends; a forked worker comes back through here and touches none of it.
//! Read next: `run.rs`.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use pyo3::prelude::*;

use super::generation::Generation;
use super::hooks::{self, nworkers_changed};
use super::pidfile::{PidFile, PidFileError};
use super::pipes::Pipes;
use super::run::Master;
use super::server::Server;
use crate::config::{Settings, Sources};
use crate::log::Logs;
use crate::net::BindError;
use crate::py::hooks::{Context, Hook, HookError, Hooks};
use crate::py::surroundings::{self, Variables};
use crate::scoreboard::Scoreboard;

/// Attempts to listen on an address that is in use: a predecessor may be on its way out.
const BIND_ATTEMPTS: u32 = 5;
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// What the command line's side has prepared.
pub struct Setup {
    pub sources: Sources,
    pub settings: Settings,
    pub logs: Logs,
    pub hooks: Hooks,
    /// The preloaded application.
    pub app: Option<Py<PyAny>>,
    /// What `raw_env` has set.
    pub variables: Variables,
    /// Sockets of a service manager.
    pub inherited: Vec<RawFd>,
}

/// Why the master cannot start.
#[derive(Debug)]
pub enum StartError {
    PidFile(PidFileError),
    /// Told already, attempt by attempt.
    Bind(String),
    Hook(HookError),
    Python(PyErr),
    System(&'static str, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PidFile(error) => error.fmt(f),
            Self::Hook(error) => error.fmt(f),
            Self::Python(error) => write!(f, "Cannot set up the hooks: {error}"),
            Self::Bind(place) => write!(f, "Can't connect to {place}"),
            Self::System(what, error) => write!(f, "Cannot make {what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the master until it ends, and a worker until it ends in each forked child: the result is this process's exit
/// status, whichever of the two it is.
pub fn run(py: Python<'_>, setup: Setup) -> Result<i32, StartError> {
    let Setup { sources, settings, logs, hooks, app, variables, inherited } = setup;
    let settings = Arc::new(settings);
    let context = Context::new(py, &settings, &logs, hooks, app.as_ref()).map_err(StartError::Python)?;
    let mut generation = Generation::new(settings, logs, context);
    let server = Server::new(py, &generation).map_err(StartError::Python)?;
    let size = generation.plan().workers;
    nworkers_changed(py, &generation.context, &server, size, None).map_err(StartError::Hook)?;
    log::info!("Starting rwsgi {}", env!("CARGO_PKG_VERSION"));
    let pidfile = generation.settings.mechanics.pidfile.as_deref().map(PidFile::create).transpose();
    let pidfile = pidfile.map_err(StartError::PidFile)?;
    let prepared = prepare(py, &mut generation, &inherited, &server);
    let Ok(Some((pipes, board))) = prepared else {
        generation.close();
        pidfile.iter().for_each(PidFile::remove);
        return prepared.map(|_| 0);
    };
    let master = Master::new(generation, pipes, board, server);
    let status = master.with(sources, variables, inherited, app, pidfile).run(py);
    Ok(status)
}

/// `None` when a signal ended the start.
fn prepare(
    py: Python<'_>,
    generation: &mut Generation,
    inherited: &[RawFd],
    server: &Py<Server>,
) -> Result<Option<(Pipes, Scoreboard)>, StartError> {
    hooks::call(py, &generation.context, Hook::OnStarting, server).map_err(StartError::Hook)?;
    let board = Scoreboard::new().map_err(|error| StartError::System("the scoreboard", error))?;
    if let Err(error) = surroundings::forget_interrupts(py) {
        // Only an embedding that starts us off the main thread gets here.
        log::warn!("SIGINT stays with Python: {error}");
    }
    let pipes = Pipes::open().map_err(|error| StartError::System("the signal pipe", error))?;
    if !listen(py, generation, &pipes, inherited)? {
        return Ok(None);
    }
    log::debug!("Arbiter booted");
    announce(generation);
    log::info!("Using worker: {}", generation.settings.workers.worker_class.as_str());
    Server::show(server, py, generation).map_err(StartError::Python)?;
    hooks::call(py, &generation.context, Hook::WhenReady, server).map_err(StartError::Hook)?;
    Ok(Some((pipes, board)))
}

pub(super) fn announce(generation: &Generation) {
    log::info!("Listening at: {} ({})", generation.urls.join(","), std::process::id());
}

/// Binds, again and again while an address is in use. False when a signal came meanwhile.
fn listen(
    py: Python<'_>,
    generation: &mut Generation,
    pipes: &Pipes,
    inherited: &[RawFd],
) -> Result<bool, StartError> {
    for attempt in 1.. {
        let error: BindError = match generation.bind(None, inherited) {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        log::error!("{error}");
        generation.close();
        if attempt == BIND_ATTEMPTS || !error.in_use() {
            let place = error.place();
            return Err(StartError::Bind(place));
        }
        py.detach(|| pipes.wait(BIND_PAUSE));
        if pipes.take().iter().any(|signal| super::signals::ends(*signal)) {
            return Ok(false);
        }
    }
    Ok(false)
}
