//! `server`: what hooks see of the master.
//!
//! A picture, brought up to date by the master before each hook; nothing here reaches back into it. A worker has the copy
//! that it was forked with. Hooks may keep what they like on it. Read next: `hooks.rs`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::generation::Generation;
use super::state::State;
use crate::py::hooks::{App, Config, Socket};
use crate::worker::Worker;

/// `reexec_pid`, `master_pid`: zero where there is no such process.
#[pyclass(dict, weakref, get_all, module = "rwsgi", name = "Arbiter")]
pub(super) struct Server {
    pid: u32,
    master_pid: i32,
    reexec_pid: i32,
    master_name: &'static str,
    cfg: Py<Config>,
    log: Py<PyAny>,
    app: Py<PyAny>,
    address: Py<PyList>,
    proc_name: String,
    pidfile: Option<String>,
    timeout: u64,
    num_workers: usize,
    /// The age of the youngest worker so far.
    worker_age: u64,
    #[pyo3(name = "LISTENERS")]
    listeners: Py<PyList>,
    /// By pid.
    #[pyo3(name = "WORKERS")]
    workers: Py<PyDict>,
}

impl Server {
    pub(super) fn new(py: Python<'_>, generation: &Generation) -> PyResult<Py<Self>> {
        let context = &generation.context;
        let server = Self {
            pid: std::process::id(),
            master_pid: 0,
            reexec_pid: 0,
            master_name: "Master",
            cfg: context.cfg.clone_ref(py),
            log: context.log.clone_ref(py),
            app: App::shown(&context.app, py),
            address: PyList::empty(py).unbind(),
            proc_name: String::new(),
            pidfile: None,
            timeout: 0,
            num_workers: generation.size(),
            worker_age: 0,
            listeners: PyList::empty(py).unbind(),
            workers: PyDict::new(py).unbind(),
        };
        let server = Py::new(py, server)?;
        Self::show(&server, py, generation)?;
        Ok(server)
    }

    /// Shows this generation's configuration and sockets.
    pub(super) fn show(server: &Py<Self>, py: Python<'_>, generation: &Generation) -> PyResult<()> {
        let context = &generation.context;
        let listeners = Socket::list(py, generation.listeners.iter().map(|listener| &**listener))?;
        let address = context.cfg.get().address(py)?;
        let mut server = server.try_borrow_mut(py)?;
        server.cfg = context.cfg.clone_ref(py);
        server.log = context.log.clone_ref(py);
        server.app = App::shown(&context.app, py);
        server.address = address.unbind();
        server.listeners = listeners.unbind();
        let settings = &generation.settings;
        settings.name().clone_into(&mut server.proc_name);
        server.timeout = settings.workers.timeout.as_secs();
        server.pidfile = settings.mechanics.pidfile.as_ref().map(|path| path.display().to_string());
        Ok(())
    }

    pub(super) fn set_size(server: &Py<Self>, py: Python<'_>, workers: usize) -> PyResult<()> {
        server.try_borrow_mut(py)?.num_workers = workers;
        Ok(())
    }

    /// The master that started this one, and the one that this one started.
    pub(super) fn set_relatives(server: &Py<Self>, py: Python<'_>, state: &State) -> PyResult<()> {
        let mut server = server.try_borrow_mut(py)?;
        server.master_pid = state.predecessor().unwrap_or(0);
        server.reexec_pid = state.successor().unwrap_or(0);
        server.master_name = state.name();
        Ok(())
    }

    /// A worker of this age is about to be forked.
    pub(super) fn set_age(server: &Py<Self>, py: Python<'_>, age: u64) -> PyResult<()> {
        server.try_borrow_mut(py)?.worker_age = age;
        Ok(())
    }

    pub(super) fn enter(server: &Py<Self>, py: Python<'_>, pid: i32, worker: Py<Worker>) -> PyResult<()> {
        worker.get().set_pid(pid);
        let workers = server.try_borrow(py)?.workers.clone_ref(py);
        workers.bind(py).set_item(pid, worker)
    }

    pub(super) fn worker(server: &Py<Self>, py: Python<'_>, pid: i32) -> PyResult<Option<Py<Worker>>> {
        let workers = server.try_borrow(py)?.workers.clone_ref(py);
        let found = workers.bind(py).get_item(pid)?;
        Ok(found.and_then(|found| found.cast_into::<Worker>().ok()).map(Bound::unbind))
    }

    /// The worker, which is one no more.
    pub(super) fn leave(server: &Py<Self>, py: Python<'_>, pid: i32) -> PyResult<Option<Py<Worker>>> {
        let worker = Self::worker(server, py, pid)?;
        if worker.is_some() {
            let workers = server.try_borrow(py)?.workers.clone_ref(py);
            workers.bind(py).del_item(pid)?;
        }
        Ok(worker)
    }
}
