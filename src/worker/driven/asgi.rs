//! What joins the `asgi` class to the life of a worker.
//!
//! Owns accepting, and how requests are counted. Read next: `python/rwsgi/workers/asgi.py`, which uses it, and
//! `src/asgi`, which serves.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::process::{Process, accept};
use super::requests::Requests;
use crate::asgi::{Keeper, Parts, Server};
use crate::config::Settings;
use crate::http::Policy;
use crate::net::Listener;
use crate::worker::life::{self, Stop};
use crate::wsgi::{Application, Patience};

#[pyclass(frozen, module = "rwsgi._rwsgi")]
pub struct AsgiProcess {
    process: Py<Process>,
    listeners: Arc<Vec<Listener>>,
    settings: Arc<Settings>,
    /// What the server takes.
    given: Mutex<Option<Given>>,
}

/// What a server is made of.
pub(in crate::worker) struct Given {
    pub application: Application,
    pub requests: Requests,
    pub policy: Arc<Policy>,
    pub patience: Arc<Patience>,
}

impl AsgiProcess {
    pub(in crate::worker) const fn new(
        process: Py<Process>,
        listeners: Arc<Vec<Listener>>,
        settings: Arc<Settings>,
        given: Given,
    ) -> Self {
        Self { process, listeners, settings, given: Mutex::new(Some(given)) }
    }

    fn parts(&self, given: Given) -> Parts {
        let settings = &self.settings;
        Parts {
            application: given.application.callable,
            policy: given.policy,
            patience: given.patience,
            observers: given.application.observers,
            request_ids: given.application.request_ids,
            hooks: given.application.hooks,
            keeper: Box::new(given.requests),
            root_path: settings.protocols.root_path.clone(),
            keepalive: settings.workers.keepalive,
            grace: settings.asgi.asgi_disconnect_grace_period,
            request_timeout: settings.workers.request_timeout,
            worker_connections: settings.workers.worker_connections.max(1),
            message_size: settings.asgi.websocket_max_message_size,
        }
    }
}

#[pymethods]
impl AsgiProcess {
    #[getter]
    fn process(&self, py: Python<'_>) -> Py<Process> {
        self.process.clone_ref(py)
    }

    /// The server of this process. `state` is the lifespan's.
    fn server(
        &self,
        event_loop: &Bound<'_, PyAny>,
        start_task: &Bound<'_, PyAny>,
        state: &Bound<'_, PyDict>,
    ) -> PyResult<Server> {
        let given = mem::take(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner));
        let given = given.ok_or_else(|| PyRuntimeError::new_err("the process has a server already"))?;
        Server::new(event_loop, start_task, state, self.parts(given))
    }

    /// Takes a connection from a listener: its socket and its protocol, or nothing if none waits after all.
    fn accept<'py>(
        &self,
        py: Python<'py>,
        server: &Server,
        listener: usize,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let Some((socket, peer)) = accept(py, &self.listeners, listener)? else { return Ok(None) };
        let bound = socket.call_method0("getsockname")?;
        let protocol = server.protocol(peer, &bound)?;
        Ok(Some((socket, protocol)))
    }
}

impl Keeper for Requests {
    fn begin(&self, method: &str, target: &[u8], now: Duration) -> usize {
        Self::begin(self, method, target, now)
    }

    fn end(&self, lane: usize, now: Duration) {
        Self::end(self, lane, now);
    }

    fn is_leaving(&self, quickly: bool) -> bool {
        life::asked() >= if quickly { Stop::Quick } else { Stop::Graceful }
    }
}
