//! The hooks that are called in the master: when, and what one that raises costs.
//!
//! Before there are workers it costs the start, in a reload the reload, in `pre_fork` that worker; later it costs a log
//! line, because a server that runs must not end for it. Must never let an exception into the loop. Read next:
//! `server.rs`, what they are called with, and `py/hooks/mod.rs`.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::generation::Generation;
use super::run::Master;
use super::server::Server;
use super::state::{APP_FAILED, BOOT_FAILED, Status};
use crate::py::hooks::{Context, Hook, HookError, Socket};
use crate::worker::Worker;

/// Calls a hook whose one argument is the server.
pub(super) fn call(
    py: Python<'_>,
    context: &Context,
    hook: Hook,
    server: &Py<Server>,
) -> Result<(), HookError> {
    context.hooks.call(py, hook, (server,))
}

/// `old`: nothing at the start.
pub(super) fn nworkers_changed(
    py: Python<'_>,
    context: &Context,
    server: &Py<Server>,
    new: usize,
    old: Option<usize>,
) -> Result<(), HookError> {
    log_python(Server::set_size(server, py, new));
    context.hooks.call(py, Hook::NworkersChanged, (server, new, old))
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
        let called = generation.context.hooks.call(py, hook, arguments);
        called.inspect_err(HookError::log).is_ok()
    }

    /// Shows the current generation to the hooks.
    pub(super) fn show(&self, py: Python<'_>) {
        if let Some(generation) = self.current() {
            log_python(Server::show(&self.server, py, generation, &self.state));
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
        crate::log::install(Arc::clone(&fresh.logs.error), fresh.settings.logging.loglevel);
        log_python(Server::show(&self.server, py, fresh, &self.state));
        let (context, size) = (&fresh.context, fresh.plan().workers);
        let told = nworkers_changed(py, context, &self.server, size, Some(self.size_told))
            .and_then(|()| call(py, context, Hook::OnReload, &self.server));
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
        let sockets = Socket::list(py, generation.listeners.iter().map(|listener| &**listener))?;
        let worker = Worker::new(py, age, context, sockets, max_requests)?;
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

    /// In the child that is to become the new master. One that raises keeps it from being started.
    pub(super) fn pre_exec(&self, py: Python<'_>) -> Result<(), HookError> {
        match self.current() {
            Some(generation) => call(py, &generation.context, Hook::PreExec, &self.server),
            None => Ok(()),
        }
    }

    pub(super) fn child_exit(&self, py: Python<'_>, pid: i32, status: Status) {
        let Ok(Some(worker)) = Server::leave(&self.server, py, pid) else { return };
        // It never was a worker that others could know of.
        if !matches!(status, Status::Code(BOOT_FAILED | APP_FAILED)) {
            self.notify(py, Hook::ChildExit, (&self.server, worker));
        }
    }

    /// The exit status that the last hook leaves.
    pub(super) fn on_exit(&self, py: Python<'_>, status: i32) -> i32 {
        let done = self.notify(py, Hook::OnExit, (&self.server,));
        if done || status != 0 { status } else { 1 }
    }
}
