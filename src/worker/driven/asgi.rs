//! What joins the `asgi` class to the life of a worker.
//!
//! Owns accepting, and how requests are counted. Read next: `python/rwsgi/workers/asgi.py`, which uses it, and
//! `src/asgi`, which serves.

use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, mem};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::engine::Lanes;
use super::process::Process;
use crate::asgi::{Keeper, Parts, PingRules, Server};
use crate::config::Settings;
use crate::http::Policy;
use crate::net::{Listener, Local};
use crate::py::bridge::tell_as;
use crate::scoreboard::SlotWriter;
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
    pub slot: Arc<SlotWriter>,
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

    fn parts(&self, py: Python<'_>, given: Given) -> Parts {
        let settings = &self.settings;
        let keeper =
            Requests { process: self.process.clone_ref(py), slot: given.slot, lanes: Mutex::default() };
        Parts {
            application: given.application.callable,
            policy: given.policy,
            patience: given.patience,
            observers: given.application.observers,
            request_ids: given.application.request_ids,
            hooks: given.application.hooks,
            keeper: Box::new(keeper),
            root_path: settings.protocols.root_path.clone(),
            keepalive: settings.workers.keepalive,
            grace: settings.asgi.asgi_disconnect_grace_period,
            request_timeout: settings.workers.request_timeout,
            worker_connections: settings.workers.worker_connections.max(1),
            message_size: settings.asgi.websocket_max_message_size,
            pings: PingRules {
                interval: settings.asgi.websocket_ping_interval,
                timeout: settings.asgi.websocket_ping_timeout,
            },
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
        Server::new(event_loop, start_task, state, self.parts(event_loop.py(), given))
    }

    /// Writes to the error log; with the traceback of `error`, if there is one.
    fn tell(&self, py: Python<'_>, level: &str, message: &str, error: Option<Bound<'_, PyAny>>) {
        let level =
            if level == "warning" { log::Level::Warn } else { level.parse().unwrap_or(log::Level::Error) };
        match error {
            Some(error) => tell_as(py, (level, module_path!()), message, &PyErr::from_value(error)),
            None => log::log!(level, "{message}"),
        }
    }

    /// Takes a connection from a listener: its socket and its protocol, or nothing if none waits after all.
    fn accept<'py>(
        &self,
        py: Python<'py>,
        server: &Server,
        listener: usize,
    ) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let Some(listener) = self.listeners.get(listener) else { return Ok(None) };
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let socket = object(py, stream.into_fd(), listener.local())?;
        let bound = socket.call_method0("getsockname")?;
        let protocol = server.protocol(peer, &bound)?;
        Ok(Some((socket, protocol)))
    }
}

/// None waits after all, or the client went away again.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
    )
}

/// A socket object, which owns the descriptor. Telling the family saves it from asking the kernel.
fn object<'py>(py: Python<'py>, socket: OwnedFd, local: &Local) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import("socket")?;
    let family = module.getattr(match local {
        Local::Unix(_) => "AF_UNIX",
        Local::Tcp(address) if address.is_ipv6() => "AF_INET6",
        Local::Tcp(_) => "AF_INET",
    })?;
    module.getattr("socket")?.call1((family, module.getattr("SOCK_STREAM")?, 0, socket.into_raw_fd()))
}

/// Counts requests, and shows them to the master.
struct Requests {
    process: Py<Process>,
    slot: Arc<SlotWriter>,
    lanes: Mutex<Lanes>,
}

impl Requests {
    fn lanes(&self) -> std::sync::MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Requests {
    fn begin(&self, method: &str, target: &[u8], now: Duration) -> usize {
        self.process.get().count();
        let lane = self.lanes().take();
        self.slot.serve(lane, method.as_bytes(), target, now);
        lane
    }

    fn end(&self, lane: usize, now: Duration) {
        self.slot.idle(lane, now);
        self.lanes().give(lane);
    }

    fn is_leaving(&self, quickly: bool) -> bool {
        life::asked() >= if quickly { Stop::Quick } else { Stop::Graceful }
    }
}
