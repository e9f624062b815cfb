//! The hooks that are called in the master: when, and what one that raises costs.
//!
//! Before there are workers it costs the start, in a reload the reload, in `pre_fork` that worker; later it costs a log
//! line, because a server that runs must not end for it. Must never let an exception into the loop. Read next:
//! `server.rs`, what they are called with, and `py/hooks/mod.rs`.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::generation::Generation;
use super::run::Master;
use super::server::Server;
use super::state::{self, APP_FAILED, BOOT_FAILED, State, Status};
use crate::py::hooks::{Context, Hook, HookError, Socket};
use crate::worker::Worker;

/// The hooks of a start. A program that goes on with its predecessor's work in the same process is a reload to them, and
/// there is no way back: the workers of before serve on whatever a hook raises.
pub(super) struct Opening {
    pub(super) server: Py<Server>,
    /// Workers that were wanted before, if there was a before.
    resumed: Option<usize>,
}

impl Opening {
    /// `resumed`: how many workers the program before had.
    pub(super) fn new(
        py: Python<'_>,
        generation: &Generation,
        state: &State,
        resumed: Option<usize>,
    ) -> PyResult<Self> {
        let server = Server::new(py, generation)?;
        Server::set_relatives(&server, py, state)?;
        Ok(Self { server, resumed })
    }

    /// Before anything else.
    pub(super) fn size(&self, py: Python<'_>, generation: &Generation) -> Result<(), HookError> {
        let size = generation.size();
        self.judge(nworkers_changed(py, &generation.context, &self.server, size, self.resumed))
    }

    /// The pid file is written, nothing is bound.
    pub(super) fn starting(&self, py: Python<'_>, generation: &Generation) -> Result<(), HookError> {
        match self.resumed {
            None => generation.context.hooks.call(py, Hook::OnStarting, (&self.server,)),
            Some(_) => Ok(()),
        }
    }

    /// The sockets listen; no worker of this program is there.
    pub(super) fn ready(
        &self,
        py: Python<'_>,
        generation: &Generation,
        state: &State,
    ) -> Result<(), HookError> {
        log_python(Server::show(&self.server, py, generation));
        for worker in state.workers() {
            log_python(self.enlist(py, generation, worker));
        }
        let hook = if self.resumed.is_some() { Hook::OnReload } else { Hook::WhenReady };
        self.judge(generation.context.hooks.call(py, hook, (&self.server,)))
    }

    /// A worker of the program before this one.
    fn enlist(&self, py: Python<'_>, generation: &Generation, known: &state::Worker) -> PyResult<()> {
        let Some(pid) = known.pid else { return Ok(()) };
        let worker = Worker::new(py, known.age, &generation.context, sockets(py, generation)?, 0)?;
        Server::set_age(&self.server, py, known.age)?;
        Server::enter(&self.server, py, pid, worker)
    }

    fn judge(&self, called: Result<(), HookError>) -> Result<(), HookError> {
        match self.resumed {
            None => called,
            Some(_) => {
                let _ = called.inspect_err(HookError::log);
                Ok(())
            }
        }
    }
}

/// The masters beside this one, for the hooks.
fn show_relatives(py: Python<'_>, server: &Py<Server>, state: &State) {
    log_python(Server::set_relatives(server, py, state));
}

/// `old`: nothing at the start.
fn nworkers_changed(
    py: Python<'_>,
    context: &Context,
    server: &Py<Server>,
    new: usize,
    old: Option<usize>,
) -> Result<(), HookError> {
    log_python(Server::set_size(server, py, new));
    context.hooks.call(py, Hook::NworkersChanged, (server, new, old))
}

fn sockets<'py>(py: Python<'py>, generation: &Generation) -> PyResult<Bound<'py, PyList>> {
    Socket::list(py, generation.listeners.iter().map(|listener| &**listener))
}

/// An error of the interpreter while the picture was made; the hook gets it as it was.
fn log_python(result: PyResult<()>) {
    if let Err(error) = result {
        log::error!("Cannot tell the hooks what happened: {error}");
    }
}

impl Master {
    /// Calls a hook of the current generation; false, and a log line, if it raised.
    fn notify<'py>(
        &self,
        py: Python<'py>,
        hook: Hook,
        arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>>,
    ) -> bool {
        let Some(generation) = self.current() else { return true };
        show_relatives(py, &self.server, &self.state);
        let called = generation.context.hooks.call(py, hook, arguments);
        called.inspect_err(HookError::log).is_ok()
    }

    /// Shows the current generation to the hooks.
    pub(super) fn show(&self, py: Python<'_>) {
        if let Some(generation) = self.current() {
            log_python(Server::show(&self.server, py, generation));
        }
    }

    /// The number of workers wanted may have moved.
    pub(super) fn tell_size(&mut self, py: Python<'_>) {
        let (new, old) = (self.state.target(), self.size_told);
        if new == old {
            return;
        }
        self.size_told = new;
        if let Some(generation) = self.current() {
            let told = nworkers_changed(py, &generation.context, &self.server, new, Some(old));
            let _ = told.inspect_err(HookError::log);
        }
    }

    /// The hooks of a reload, with the new generation shown to them. On an error the caller goes back.
    pub(super) fn tell_reload(&self, py: Python<'_>, fresh: &Generation) -> Result<(), String> {
        crate::log::install(&fresh.logs, fresh.settings.logging.loglevel);
        log_python(Server::show(&self.server, py, fresh));
        let (context, size) = (&fresh.context, fresh.size());
        let told = nworkers_changed(py, context, &self.server, size, Some(self.size_told))
            .and_then(|()| context.hooks.call(py, Hook::OnReload, (&self.server,)));
        context.follow_changes(py, &fresh.logs);
        told.map_err(|error| {
            error.log();
            log_python(Server::set_size(&self.server, py, self.size_told));
            error.summary()
        })
    }

    /// A worker for the hooks, and whether `pre_fork` lets it be forked.
    pub(super) fn before_fork(
        &self,
        py: Python<'_>,
        age: u64,
        generation: &Generation,
        max_requests: usize,
    ) -> PyResult<(Py<Worker>, bool)> {
        Server::set_age(&self.server, py, age)?;
        let context = &generation.context;
        let worker = Worker::new(py, age, context, sockets(py, generation)?, max_requests)?;
        let called = context.hooks.call(py, Hook::PreFork, (&self.server, &worker));
        let fit = called.inspect_err(HookError::log).is_ok();
        Ok((worker, fit))
    }

    pub(super) fn after_fork(&self, py: Python<'_>, pid: i32, worker: Py<Worker>) {
        log_python(Server::enter(&self.server, py, pid, worker));
    }

    pub(super) fn aborted(&self, py: Python<'_>, pid: i32) {
        if let Ok(Some(worker)) = Server::worker(&self.server, py, pid) {
            worker.get().set_aborted();
        }
    }

    pub(super) fn child_exit(&self, py: Python<'_>, pid: i32, status: Status) {
        let Ok(Some(worker)) = Server::leave(&self.server, py, pid) else { return };
        // It never was a worker that others could know of.
        if !matches!(status, Status::Code(BOOT_FAILED | APP_FAILED)) {
            self.notify(py, Hook::ChildExit, (&self.server, worker));
        }
    }

    /// In the process that is to become the new master. On an error it does not.
    pub(super) fn pre_exec(&self, py: Python<'_>) -> Result<(), String> {
        let Some(generation) = self.current() else { return Ok(()) };
        show_relatives(py, &self.server, &self.state);
        let called = generation.context.hooks.call(py, Hook::PreExec, (&self.server,));
        called.inspect_err(HookError::log).map_err(|error| error.summary())
    }

    /// The exit status that the last hook leaves.
    pub(super) fn on_exit(&self, py: Python<'_>, status: i32) -> i32 {
        let done = self.notify(py, Hook::OnExit, (&self.server,));
        if done || status != 0 { status } else { 1 }
    }
}
