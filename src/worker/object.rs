//! `worker`: what hooks see of a worker, before its fork, in it, and after its end.
//!
//! The master makes one for each worker and the fork copies it; from then on the two are apart, as under gunicorn. The
//! worker's own says how it fares; the master's learns its pid. Hooks may keep what they like on it. Must never be read
//! where no hook is set. Read next: `hooked.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed};

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::life::{self, Stop};
use crate::py::hooks::{App, Config, Context};

#[pyclass(frozen, dict, weakref, module = "rwsgi", name = "Worker")]
pub struct Worker {
    #[pyo3(get)]
    age: u64,
    #[pyo3(get)]
    ppid: u32,
    #[pyo3(get)]
    cfg: Py<Config>,
    #[pyo3(get)]
    log: Py<PyAny>,
    app: Py<App>,
    #[pyo3(get)]
    sockets: Py<PyList>,
    #[pyo3(get)]
    max_requests: usize,
    /// Seconds.
    #[pyo3(get)]
    timeout: f64,
    /// Zero until it is forked.
    pid: AtomicI32,
    alive: AtomicBool,
    booted: AtomicBool,
    aborted: AtomicBool,
    requests: Arc<AtomicU64>,
}

impl Worker {
    /// For the master, before the fork. `max_requests`: zero means never.
    pub fn new(
        py: Python<'_>,
        age: u64,
        context: &Context,
        sockets: Bound<'_, PyList>,
        max_requests: usize,
    ) -> PyResult<Py<Self>> {
        let worker = Self {
            age,
            ppid: std::process::id(),
            cfg: context.cfg.clone_ref(py),
            log: context.log.clone_ref(py),
            app: context.app.clone_ref(py),
            sockets: sockets.unbind(),
            max_requests: if max_requests == 0 { isize::MAX.unsigned_abs() } else { max_requests },
            timeout: context.cfg.get().settings().workers.timeout.as_secs_f64() / 2.0,
            pid: AtomicI32::new(0),
            alive: AtomicBool::new(true),
            booted: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            requests: Arc::default(),
        };
        Py::new(py, worker)
    }

    /// In the master, after the fork.
    pub fn set_pid(&self, pid: i32) {
        self.pid.store(pid, Relaxed);
    }

    /// In the master: it was told to abort.
    pub fn set_aborted(&self) {
        self.aborted.store(true, Relaxed);
    }

    /// Of all workers there ever were.
    pub(super) const fn is_first(&self) -> bool {
        self.age == 1
    }

    /// In the worker, after the fork.
    pub(super) fn begin(&self) {
        self.set_pid(std::process::id().cast_signed());
        // A hook of the master may have decided already.
        self.set_alive(self.alive.load(Relaxed));
    }

    pub(super) fn set_booted(&self) {
        self.booted.store(true, Relaxed);
    }

    /// In the worker: the application that it serves.
    pub(super) fn set_loaded(&self, py: Python<'_>, callable: &Py<PyAny>) {
        self.app.get().set(py, callable);
    }

    /// Requests begun, to be counted by whoever begins them.
    pub(super) const fn requests(&self) -> &Arc<AtomicU64> {
        &self.requests
    }
}

#[pymethods]
impl Worker {
    #[getter]
    fn pid<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self.pid.load(Relaxed) {
            0 => "[booting]".into_pyobject(py)?.into_any(),
            pid => pid.into_pyobject(py)?.into_any(),
        })
    }

    #[getter]
    fn app(&self, py: Python<'_>) -> Py<PyAny> {
        App::shown(&self.app, py)
    }

    #[getter]
    fn alive(&self) -> bool {
        self.alive.load(Relaxed) && life::asked() == Stop::No
    }

    /// `False` makes the worker leave when the request in hand is answered. It cannot be taken back.
    #[setter]
    fn set_alive(&self, alive: bool) {
        self.alive.store(alive, Relaxed);
        let is_this_process = self.pid.load(Relaxed) == std::process::id().cast_signed();
        if !alive && is_this_process {
            life::ask(Stop::Graceful);
        }
    }

    #[getter]
    fn booted(&self) -> bool {
        self.booted.load(Relaxed)
    }

    #[getter]
    fn aborted(&self) -> bool {
        self.aborted.load(Relaxed)
    }

    #[getter]
    fn nr(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// The application, once it is loaded.
    #[getter]
    fn wsgi(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let loaded = self.app.get().loaded(py);
        loaded.ok_or_else(|| PyAttributeError::new_err("the application is not loaded yet"))
    }

    fn __str__(&self) -> String {
        match self.pid.load(Relaxed) {
            0 => "<Worker [booting]>".to_owned(),
            pid => format!("<Worker {pid}>"),
        }
    }

    fn __repr__(&self) -> String {
        self.__str__()
    }
}
