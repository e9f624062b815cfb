//! `gunicorn.socket` in the environ: the client's socket as a Python object, made only when something is asked of it.

use std::os::fd::IntoRawFd;
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use std::os::fd::AsFd;

use super::exchange::Exchange;

#[pyclass(frozen, freelist = 16, module = "rwsgi")]
pub struct ClientSocket {
    exchange: Arc<Exchange>,
    socket: OnceLock<Py<PyAny>>,
}

impl ClientSocket {
    pub(super) const fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange, socket: OnceLock::new() }
    }

    pub(super) fn is_made(&self) -> bool {
        self.socket.get().is_some()
    }

    /// A `socket.socket` on a duplicate of the descriptor: closing it leaves the connection to the server.
    fn socket<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<&'a Bound<'py, PyAny>> {
        if self.socket.get().is_none() {
            self.exchange.lend();
            let number = self.exchange.stream.as_fd().try_clone_to_owned()?.into_raw_fd();
            let arguments = PyDict::new(py);
            arguments.set_item("fileno", number)?;
            let made = py.import("socket")?.call_method("socket", (), Some(&arguments))?;
            // As an application expects one; where sockets are patched it concerns only the object.
            made.call_method1("setblocking", (true,))?;
            // Lost only to another thread that made one at the same time, which serves as well.
            let _ = self.socket.set(made.unbind());
        }
        let made = self.socket.get().map(|socket| socket.bind(py));
        made.ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("no socket"))
    }
}

#[pymethods]
impl ClientSocket {
    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.socket(py)?.getattr(name)
    }
}
