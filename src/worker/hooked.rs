//! The hooks that are called in a worker, and what they are called with.
//!
//! Owns what a worker does when one raises: a hook of the boot ends the boot, one of the end costs a log line. Must never
//! let an exception of a hook keep the worker from leaving. Read next: `py/hooks/mod.rs`.

use std::sync::Arc;

use pyo3::prelude::*;

use super::object::Worker;
use crate::py::bridge;
use crate::py::hooks::{Context, Hook, HookError};
use crate::wsgi::RequestHooks;

/// What the master hands over for the hooks of a worker.
pub struct Hooked {
    pub context: Arc<Context>,
    pub server: Py<PyAny>,
    pub worker: Py<Worker>,
}

impl Hooked {
    pub(super) fn post_fork(&self, py: Python<'_>) -> Result<(), HookError> {
        self.context.hooks.call(py, Hook::PostFork, (&self.server, &self.worker))
    }

    /// The application is loaded.
    pub(super) fn post_worker_init(&self, py: Python<'_>, callable: &Py<PyAny>) -> Result<(), HookError> {
        self.worker.get().set_loaded(py, callable);
        self.context.hooks.call(py, Hook::PostWorkerInit, (&self.worker,))
    }

    /// From a signal's handler, of a worker that is leaving.
    pub(super) fn on_signal(&self, py: Python<'_>, hook: Hook) {
        if let Err(error) = self.context.hooks.call(py, hook, (&self.worker,)) {
            error.log();
        }
    }

    pub(super) fn worker_exit(&self, py: Python<'_>) {
        if let Err(error) = self.context.hooks.call(py, Hook::WorkerExit, (&self.server, &self.worker)) {
            let record = (log::Level::Warn, module_path!());
            bridge::tell_as(py, record, "Exception during worker exit:", error.error());
        }
    }

    /// What requests need of it; nothing if no hook is set.
    pub(super) fn for_requests(&self, py: Python<'_>) -> Option<RequestHooks> {
        if self.context.hooks.is_empty() {
            return None;
        }
        let requests = Arc::clone(self.worker.get().requests());
        Some(RequestHooks::new(
            Arc::clone(&self.context.hooks),
            self.worker.clone_ref(py).into_any(),
            requests,
        ))
    }
}
