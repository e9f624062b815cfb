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
        let (pre, post) = (self.hooks.find(Hook::PreRequest), self.hooks.find(Hook::PostRequest));
        if pre.is_some() || post.is_some() {
            let request = seen.insert(Bound::new(py, Request::new(py, server, exchange)?)?);
            if let Some(callable) = pre {
                callable.call(&(&self.worker, &*request).into_pyobject(py)?)?;
            }
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// When the response is complete. `environ` is missing if there was none to call the application with.
    pub(super) fn after(
        &self,
        py: Python<'_>,
        exchange: &Exchange,
        seen: &Bound<'_, Request>,
        environ: Option<&Bound<'_, PyDict>>,
    ) {
        if self.hooks.find(Hook::PostRequest).is_none() {
            return;
        }
        // The hook takes its time; the client need not wait for it. A failure shows again when the reactor drains.
        if let Some(mut response) = exchange.response() {
            let _ = response.drain(&exchange.stream);
        }
        let called = match self.arguments(py, exchange, seen, environ) {
            Ok(arguments) => self.hooks.call(py, Hook::PostRequest, arguments),
            Err(error) => return log::error!("Cannot call the post_request hook: {error}"),
        };
        if let Err(error) = called {
            error.log();
        }
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
