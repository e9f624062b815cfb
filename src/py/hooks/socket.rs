//! `server.LISTENERS` and `worker.sockets`: where a listener listens, for hooks.
//!
//! It is a description. Must never hold the descriptor itself, or a hook that keeps one would keep the socket open.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::net::{Listener, Local};

#[pyclass(frozen, module = "rwsgi", name = "Listener")]
pub struct Socket {
    fd: RawFd,
    url: String,
    local: Local,
}

impl Socket {
    pub fn list<'py, 'a>(
        py: Python<'py>,
        listeners: impl IntoIterator<Item = &'a Listener>,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for listener in listeners {
            let fd = listener.as_fd().as_raw_fd();
            list.append(Py::new(py, Self { fd, url: listener.url(), local: listener.local().clone() })?)?;
        }
        Ok(list)
    }
}

#[pymethods]
impl Socket {
    fn __str__(&self) -> &str {
        &self.url
    }

    fn __repr__(&self) -> String {
        format!("<Listener {}>", self.url)
    }

    const fn fileno(&self) -> RawFd {
        self.fd
    }

    /// As `socket.getsockname`.
    fn getsockname<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match &self.local {
            Local::Tcp(std::net::SocketAddr::V4(v4)) => {
                (v4.ip().to_string(), v4.port()).into_pyobject(py)?.into_any()
            }
            Local::Tcp(std::net::SocketAddr::V6(v6)) => {
                (v6.ip().to_string(), v6.port(), v6.flowinfo(), v6.scope_id()).into_pyobject(py)?.into_any()
            }
            Local::Unix(name) => name.into_pyobject(py)?.into_any(),
        })
    }

    /// gunicorn wraps a socket; here both are one.
    #[getter]
    fn sock(slf: Py<Self>) -> Py<Self> {
        slf
    }
}
