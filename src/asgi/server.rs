//! The service as `rwsgi.workers.asgi` sees it: it accepts, sweeps, and tells when nothing is left to do.
//!
//! Owns nothing but the way in. Must never be used from another thread than the loop's.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::protocol::Protocol;
use super::service::{Parts, Service};
use crate::net::Peer;
use crate::sys::clock;

#[pyclass(frozen, module = "rwsgi._rwsgi", name = "AsgiServer")]
pub struct Server {
    service: Arc<Service>,
}

impl Server {
    /// `start_task` makes a task of a coroutine; its first step may be made at once.
    pub fn new(
        event_loop: &Bound<'_, PyAny>,
        start_task: &Bound<'_, PyAny>,
        state: &Bound<'_, PyDict>,
        parts: Parts,
    ) -> PyResult<Self> {
        Ok(Self { service: Service::new(event_loop, start_task, state, parts)? })
    }

    /// The protocol of a connection that was accepted. `server`: the address that its socket is bound to.
    pub fn protocol<'py>(&self, peer: Peer, server: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = server.py();
        if self.service.count() >= self.service.parts.worker_connections {
            self.evict(py);
        }
        Ok(Bound::new(py, Protocol::new(&self.service, peer, server)?)?.into_any())
    }

    /// The connection that has been idle or incomplete for longest makes room.
    fn evict(&self, py: Python<'_>) {
        let idle = |protocol: Py<Protocol>| Some((protocol.get().idle_since()?, protocol));
        let oldest = self.service.everybody(py).into_iter().filter_map(idle).min_by_key(|(since, _)| *since);
        if let Some((_, protocol)) = oldest {
            protocol.get().evict(protocol.bind(py));
        }
    }
}

#[pymethods]
impl Server {
    /// Whether another connection may be taken.
    #[getter]
    fn has_room(&self, py: Python<'_>) -> bool {
        self.service.count() < self.service.parts.worker_connections
            || self.service.everybody(py).iter().any(|protocol| protocol.get().idle_since().is_some())
    }

    /// Looks at the clock for everybody.
    fn sweep(&self, py: Python<'_>, stopping_since: Option<f64>) {
        let now = clock::monotonic();
        let stop = stopping_since.map(Duration::from_secs_f64);
        for protocol in self.service.everybody(py) {
            protocol.get().look(protocol.bind(py), now, stop);
        }
        for task in self.service.take_condemned(py, now) {
            cancel(py, &task);
        }
    }

    /// No client may keep its connection any more.
    fn stop(&self) {
        self.service.stopping.store(true, Relaxed);
    }

    /// Nothing is left to do.
    #[getter]
    fn is_idle(&self) -> bool {
        self.service.count() == 0 && !self.service.has_tasks()
    }

    /// The tasks that run the application.
    #[getter]
    fn tasks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.service.all_tasks(py))
    }

    /// Nobody is waited for any longer. How many connections that cut.
    fn abort(&self, py: Python<'_>) -> usize {
        for task in self.service.all_tasks(py) {
            cancel(py, &task);
        }
        let everybody = self.service.everybody(py);
        everybody.iter().for_each(|protocol| protocol.get().abort(protocol.bind(py)));
        everybody.len()
    }
}

fn cancel(py: Python<'_>, task: &Py<PyAny>) {
    if let Err(error) = task.call_method0(py, "cancel") {
        log::debug!("A task cannot be cancelled: {error}");
    }
}
