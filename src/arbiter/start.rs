//! From a checked configuration to a running loop, and the tidying up after it.
//!
//! Owns the order in which the master sets itself up, which is also the order of its first log lines. What it made (pid
//! file, unix sockets) goes with it, however it ends; a forked worker comes back through here and touches none of it.
//! Read next: `run.rs`.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use pyo3::prelude::*;

use super::generation::Generation;
use super::handover::{Handover, Resume, Sockets};
use super::hooks::{self, Opening};
use super::pidfile::{PidFile, PidFileError};
use super::pipes::Pipes;
use super::program::Program;
use super::reexec::OLD_MASTER;
use super::reload::pidfile_name;
use super::run::Master;
use super::seats::Seats;
use super::state::State;
use crate::config::{Settings, Sources};
use crate::log::Logs;
use crate::net::{BindError, Listener, Passed};
use crate::py::hooks::{Context, HookError, Hooks};
use crate::py::surroundings::{self, Variables};
use crate::scoreboard::Scoreboard;
use crate::sys::identity::Identity;
use crate::sys::{clock, descriptors};

/// Between attempts to listen on an address that is in use.
const BIND_PAUSE: Duration = Duration::from_secs(1);

/// What the command line's side has prepared.
pub struct Setup {
    pub settings: Settings,
    /// Whom the workers are to become.
    pub identity: Option<Arc<Identity>>,
    pub logs: Logs,
    pub hooks: Hooks,
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
    /// The preloaded application.
    pub app: Option<Py<PyAny>>,
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

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PidFile(error) => error.fmt(f),
            Self::Hook(error) => error.fmt(f),
            Self::Python(error) => write!(f, "Cannot set up the hooks: {error}"),
            Self::Bind(error) => error.fmt(f),
            Self::System(what, error) => write!(f, "Cannot make {what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the master until it ends, and a worker until it ends in each forked child: the result is this process's exit
/// status, whichever of the two it is.
pub fn run(py: Python<'_>, setup: Setup) -> Result<i32, StartError> {
    let Setup { settings, identity, logs, hooks, mut kept, handover, lame } = setup;
    let settings = Arc::new(settings);
    let context = Context::new(py, &settings, &logs, hooks, kept.app.as_ref()).map_err(StartError::Python)?;
    let mut generation = Generation::new(settings, logs, identity, context);
    let opening = Opening::new(py, &generation, handover.as_ref()).map_err(StartError::Python)?;
    opening.size(py, &generation).map_err(StartError::Hook)?;
    log::info!("Starting rwsgi {}", env!("CARGO_PKG_VERSION"));
    if let Err(error) = surroundings::forget_interrupts(py) {
        // Only an embedding that starts us off the main thread gets here.
        log::warn!("SIGINT stays with Python: {error}");
    }
    let sockets = match &handover {
        Some(Handover::Beside(sockets)) => Some(sockets),
        Some(Handover::Resume(past)) => Some(&past.sockets),
        Some(Handover::Trial) | None => None,
    };
    let open = sockets.map(adopt).unwrap_or_default();
    if let Some(sockets) = sockets {
        kept.passed = sockets.passed.clone();
    }
    let state = match &handover {
        Some(Handover::Resume(past)) => State::resume(generation.plan(), past, !lame, clock::monotonic()),
        Some(Handover::Beside(_)) => State::new(generation.plan()).beside(predecessor(&kept.sources)),
        Some(Handover::Trial) | None => State::new(generation.plan()),
    };
    let past = match handover {
        Some(Handover::Resume(past)) => Some(*past),
        _ => None,
    };
    let (pipes, seats) = foundation(past.as_ref())?;
    let pidfile = generation.settings.mechanics.pidfile.as_deref();
    let pidfile = pidfile.map(|path| PidFile::create(&pidfile_name(path, &state))).transpose();
    let pidfile = pidfile.map_err(StartError::PidFile)?;
    hooks::show_relatives(py, &opening.server, &state);
    let starting = opening.starting(py, &generation).map_err(StartError::Hook);
    let listening = starting.and_then(|()| listen(py, &mut generation, &pipes, &open, &kept.passed));
    let ready = listening.and_then(|listening| {
        let called = if listening { ready(py, &generation, &opening, &state) } else { Ok(()) };
        called.map(|()| listening).map_err(StartError::Hook)
    });
    // While `open` holds the sockets of another program, closing ours removes no file of theirs.
    if !matches!(ready, Ok(true)) {
        generation.close();
        pidfile.iter().for_each(PidFile::remove);
        return ready.map(|_| 0);
    }
    drop(open);
    Ok(Master::new(state, generation, (pipes, seats), kept, (pidfile, opening.server)).run(py))
}

fn ready(py: Python<'_>, generation: &Generation, opening: &Opening, state: &State) -> Result<(), HookError> {
    log::debug!("Arbiter booted");
    announce(generation);
    log::info!("Using worker: {}", generation.settings.workers.worker_class.as_str());
    opening.ready(py, generation, state)
}

/// The pipes and the scoreboard: those of the program before this one, if they can be had.
fn foundation(past: Option<&Resume>) -> Result<(Pipes, Seats), StartError> {
    if let Some(past) = past {
        let board = descriptors::adopt(past.board).ok_or_else(|| io::ErrorKind::NotFound.into());
        let board = board.and_then(|file| descriptors::keep_on_exec(&file, false).map(|()| file));
        match board.and_then(Scoreboard::of).and_then(|board| Ok((Pipes::resume(past.pipes)?, board))) {
            Ok((pipes, board)) => return Ok((pipes, Seats::resume(board, past))),
            // Their beats cannot be seen, but they serve, and go when new ones are ready.
            Err(error) => log::warn!("The workers of before cannot be watched: {error}"),
        }
    }
    let pipes = match past.map(|past| Pipes::resume(past.pipes)) {
        Some(Ok(pipes)) => pipes,
        _ => Pipes::open().map_err(|error| StartError::System("the signal pipe", error))?,
    };
    let board = Scoreboard::new().map_err(|error| StartError::System("the scoreboard", error))?;
    Ok((pipes, Seats::new(board)))
}

fn adopt(sockets: &Sockets) -> Vec<Arc<Listener>> {
    let adopted = sockets.listeners.iter().filter_map(|(fd, address)| match Listener::adopt(*fd, address) {
        Ok(listener) => Some(Arc::new(listener)),
        Err(error) => {
            log::warn!("Cannot take over the socket of {address}: {error}");
            None
        }
    });
    adopted.collect()
}

/// The master that started this one. Only its parent can have done that; one that is gone has left the names.
fn predecessor(sources: &Sources) -> Option<i32> {
    sources.variable(OLD_MASTER)?.parse().ok()
}

pub(super) fn announce(generation: &Generation) {
    log::info!("Listening at: {} ({})", generation.urls.join(","), std::process::id());
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
