//! The two hooks of a request: `pre_request` and `post_request`.
//!
//! Owns when they are called and what their exceptions cost: the first one's the response, the second one's a log line.
//! Without hooks the worker has none of this. Read next: `hook_objects.rs`, what they are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::environ::{EnvironError, Server};
use super::exchange::Exchange;
use super::hook_objects::{Request, Response};
use crate::py::hooks::{Hook, Hooks};

pub struct RequestHooks {
    hooks: Arc<Hooks>,
    worker: Py<PyAny>,
    /// Requests that this worker has begun.
    requests: Arc<AtomicU64>,
}

/// A request that a hook saw, for the hook after it.
pub(super) type Seen<'py> = Option<Bound<'py, Request>>;

impl RequestHooks {
    /// `worker` is what the hooks get for their first argument.
    pub fn new(hooks: Arc<Hooks>, worker: Py<PyAny>, requests: Arc<AtomicU64>) -> Self {
        Self { hooks, worker, requests }
    }

    pub(super) fn has_pre_request(&self) -> bool {
        self.hooks.find(Hook::PreRequest).is_some()
    }

    /// Before the environ is made. `seen` is set as soon as there is a request to speak of, whatever comes after.
    pub(super) fn before<'py>(
        &self,
        py: Python<'py>,
        server: &Server,
        exchange: &Exchange,
        seen: &mut Seen<'py>,
    ) -> Result<(), EnvironError> {
        if self.wants_requests() {
            let request = seen.insert(Bound::new(py, Request::new(py, server, exchange)?)?);
            self.call_pre(request)?;
        }
        self.count();
        Ok(())
    }

    /// Whether a hook is to see requests.
    pub(crate) fn wants_requests(&self) -> bool {
        self.has_pre_request() || self.has_post_request()
    }

    pub(crate) fn has_post_request(&self) -> bool {
        self.hooks.find(Hook::PostRequest).is_some()
    }

    pub(crate) fn call_pre(&self, request: &Bound<'_, Request>) -> PyResult<()> {
        let Some(callable) = self.hooks.find(Hook::PreRequest) else { return Ok(()) };
        callable.call(&(&self.worker, request).into_pyobject(request.py())?).map(drop)
    }

    /// A request has begun.
    pub(crate) fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// When the response is complete. `environ` is missing if there was none to call the application with.
    pub(super) fn after(
        &self,
        py: Python<'_>,
        exchange: &Exchange,
        seen: &Bound<'_, Request>,
        environ: Option<&Bound<'_, PyDict>>,
    ) {
        if !self.has_post_request() {
            return;
        }
        // The hook takes its time; the client need not wait for it. A failure shows again when the reactor drains.
        if let Some(mut response) = exchange.response() {
            let _ = response.drain(&exchange.stream);
        }
        self.call_post(py, self.arguments(py, exchange, seen, environ));
    }

    fn call_post(&self, py: Python<'_>, arguments: PyResult<Bound<'_, PyTuple>>) {
        let called = match arguments {
            Ok(arguments) => self.hooks.call(py, Hook::PostRequest, arguments),
            Err(error) => return log::error!("Cannot call the post_request hook: {error}"),
        };
        if let Err(error) = called {
            error.log();
        }
    }

    /// Shows a request that was answered. ASGI has no environ.
    pub(crate) fn show(&self, request: &Bound<'_, Request>, response: Response) {
        let py = request.py();
        let arguments = Py::new(py, response)
            .and_then(|response| (&self.worker, request, PyDict::new(py), response).into_pyobject(py));
        self.call_post(py, arguments);
    }

    fn arguments<'py>(
        &self,
        py: Python<'py>,
        exchange: &Exchange,
        seen: &Bound<'py, Request>,
        environ: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        match environ {
            None => (&self.worker, seen, PyDict::new(py), py.None()).into_pyobject(py),
            Some(environ) => {
                let response = Py::new(py, Response::new(exchange))?;
                (&self.worker, seen, environ, response).into_pyobject(py)
            }
        }
    }
}
