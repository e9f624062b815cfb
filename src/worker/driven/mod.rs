//! Worker classes that are driven from Python: gevent and its like, and a program's own.
//!
//! The driver, a class in `rwsgi.workers`, owns the loop: how to wait, and how to run something beside it. Everything
//! else is the same Rust as for the other classes. A driver of WSGI applications gets an [`Engine`], which is the reactor
//! as one descriptor to wait for and one call that returns requests to serve. One that speaks to its clients itself has a
//! [`Process`]: the life of the worker without the clients.
//!
//! Must never hold a lock that a call from Python waits for while Python runs (I8): a greenlet can be switched in the middle
//! of any Python code, with our frames below it. Read next: `engine.rs`, `python/rwsgi/workers/base.py`.

mod asgi;
mod engine;
mod native;
mod process;
mod requests;

use std::sync::Arc;

use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::prelude::*;

pub use asgi::AsgiProcess;
use asgi::Given;
pub use engine::Engine;
pub use native::{NativeProcess, NativeRequest};
pub use process::Process;
use requests::Requests;

use super::control::Control;
use super::hooked::Hooked;
use super::life::{self, Stop};
use super::parts::Parts;
use super::pool::Parting;
use super::reactor::Reactor;
use super::service::Service;
use crate::config::Settings;
use crate::config::kind::WorkerClass;
use crate::py::{bridge, frames};
use crate::sys::memory;

/// The bodies of some dozens of clients, which come at the same time where nobody waits for anybody.
const USUAL_BODIES: usize = 2 << 20;

/// An object of the worker class.
pub(super) struct Driver {
    worker: Py<PyAny>,
}

impl Driver {
    /// Imports the class, if it is one of Python's, and lets it patch what it wants before the application is loaded. The
    /// error is a line for the terminal.
    pub(super) fn prepare(py: Python<'_>, settings: &Settings) -> Result<Option<Self>, String> {
        let class = settings.workers.class();
        let Some(path) = class.driver() else { return Ok(None) };
        let worker = make(py, path).map_err(|error| reason(py, class, &error))?;
        let patched = worker.call_method0("patch");
        patched.map_err(|error| format!("the worker class {} cannot patch: {error}", class.as_str()))?;
        Ok(Some(Self { worker: worker.unbind() }))
    }

    /// What it puts in the place of the application.
    pub(super) fn wrap(&self, py: Python<'_>, application: Py<PyAny>) -> PyResult<Py<PyAny>> {
        self.worker.call_method1(py, "wrap", (application,))
    }

    /// Runs the loop until it is time to leave.
    pub(super) fn serve(
        &self,
        py: Python<'_>,
        settings: &Arc<Settings>,
        given: (Parts, Service, Control),
        hooked: &Arc<Hooked>,
    ) -> Result<Parting, String> {
        let name = settings.workers.class().as_str();
        if settings.workers.threads > 1 && hooked.worker.get().is_first() {
            log::warn!("threads means nothing to the worker class {name}.");
        }
        let with = self.engine(py, settings, given, hooked);
        let with = with.map_err(|error| format!("the worker class {name} cannot begin: {error}"))?;
        match self.worker.bind(py).call_method1("run", (with,)) {
            // A signal's handler ends whatever runs.
            Err(_) if life::asked() == Stop::Quick => Ok(Parting::Complete),
            Err(error) if is_told(py, &error) => Err(error.value(py).to_string()),
            Err(error) => {
                bridge::tell(py, &format!("The worker class {name} failed"), &error);
                Err(error.to_string())
            }
            Ok(_) => Ok(Parting::Complete),
        }
    }

    /// What its `run` gets.
    fn engine<'py>(
        &self,
        py: Python<'py>,
        settings: &Arc<Settings>,
        (parts, service, control): (Parts, Service, Control),
        hooked: &Arc<Hooked>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // A driver knows what it does once it has seen the application.
        if !self.worker.bind(py).getattr("speaks_http")?.is_truthy()? {
            // Drivers begin a greenlet for each request.
            frames::keep(py);
            let limit = settings.workers.request_timeout;
            return Ok(
                Bound::new(py, Engine::new(Reactor::new(parts)?, service, control, limit)?)?.into_any()
            );
        }
        let (listeners, policy) = (Arc::clone(&parts.listeners), Arc::clone(&parts.policy));
        let patience = Arc::clone(&parts.patience);
        let application = service.application.callable.clone_ref(py);
        let process = Py::new(py, Process::new(parts, control, Arc::clone(hooked), application)?)?;
        let requests = Requests::new(process.clone_ref(py), service.slot);
        let application = service.application;
        if *settings.workers.class() != WorkerClass::Asgi {
            return Ok(Bound::new(py, NativeProcess::new(process, requests, policy, application))?.into_any());
        }
        memory::expect_allocations_of(USUAL_BODIES);
        let given = Given { application, requests, policy, patience };
        let settings = Arc::clone(settings);
        Ok(Bound::new(py, AsgiProcess::new(process, listeners, settings, given))?.into_any())
    }
}

/// The driver has put into words what keeps it from serving.
fn is_told(py: Python<'_>, error: &PyErr) -> bool {
    let class = py.import("rwsgi.errors").and_then(|errors| errors.getattr("BootError"));
    class.is_ok_and(|class| error.matches(py, class).unwrap_or(false))
}

/// In the master, before it loads the application for all workers or tries to. The error is a line for the terminal.
pub fn patch(py: Python<'_>, settings: &Settings) -> Result<(), String> {
    Driver::prepare(py, settings).map(drop)
}

fn make<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
    let (module, name) =
        path.rsplit_once('.').ok_or_else(|| PyImportError::new_err("it is not in a module"))?;
    let class = py.import(module)?.getattr(name)?;
    let base = py.import("rwsgi.workers.base")?.getattr("Worker")?;
    let is_worker = py.import("builtins")?.call_method1("issubclass", (&class, base));
    if !is_worker.and_then(|is| is.is_truthy()).unwrap_or(false) {
        return Err(PyTypeError::new_err("it does not derive from rwsgi.workers.base.Worker"));
    }
    class.call0()
}

fn reason(py: Python<'_>, class: &WorkerClass, error: &PyErr) -> String {
    let name = class.as_str();
    let missing = error.value(py).getattr("name").and_then(|name| name.extract::<String>());
    match class.package() {
        Some(package)
            if error.is_instance_of::<PyImportError>(py) && missing.is_ok_and(|it| it == package) =>
        {
            format!("the worker class {name} needs a package: pip install 'rwsgi[{name}]'")
        }
        _ => format!("the worker class {name} cannot be used: {error}"),
    }
}
