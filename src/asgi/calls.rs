//! `receive` and `send`, each being its own awaitable.
//!
//! What can be answered at once is, without a future. What has to wait makes one future of the loop a wait, and looks
//! again when it is done: an awaitable has no state of its own, so that it may be awaited late, twice, or never. Owned by
//! the loop's thread: a call from another one raises. Read next: `serving.rs`, what they do to a connection.

use pyo3::create_exception;
use pyo3::exceptions::{PyConnectionError, PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit, intern};

use super::message::Message;
use super::protocol::Protocol;

create_exception!(
    rwsgi,
    ClientDisconnected,
    PyConnectionError,
    "The client is gone, so that nothing can be sent to it."
);

/// What an awaitable finds when it is stepped.
pub(super) enum Found<'py> {
    Nothing,
    /// The result.
    Value(Bound<'py, PyAny>),
    /// To be waited for.
    Future(Bound<'py, PyAny>),
}

#[pyclass(frozen, freelist = 16, module = "rwsgi")]
pub(super) struct Receive {
    protocol: Py<Protocol>,
    request: u64,
    /// Of a WebSocket, even after the connection has gone on to something else.
    socket: bool,
}

impl Receive {
    pub(super) const fn new(protocol: Py<Protocol>, request: u64, socket: bool) -> Self {
        Self { protocol, request, socket }
    }

    fn step<'py>(&self, py: Python<'py>) -> PyResult<Found<'py>> {
        self.protocol.get().receive(self.protocol.bind(py), self.request, self.socket)
    }
}

#[pyclass(frozen, freelist = 16, module = "rwsgi")]
pub(super) struct Send {
    protocol: Py<Protocol>,
    request: u64,
}

impl Send {
    pub(super) const fn new(protocol: Py<Protocol>, request: u64) -> Self {
        Self { protocol, request }
    }

    fn step<'py>(&self, py: Python<'py>) -> PyResult<Found<'py>> {
        self.protocol.get().drained(self.protocol.bind(py))
    }
}

/// A step of `await`: a future, or the end.
fn advance<'py>(py: Python<'py>, found: Found<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match found {
        Found::Nothing => Ok(None),
        Found::Value(value) => Err(PyStopIteration::new_err(value.unbind())),
        Found::Future(future) => {
            // What `Future.__await__` does: a task trusts only futures that say so.
            future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
            Ok(Some(future))
        }
    }
}

fn sent<'py>(step: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    step.ok_or_else(|| PyStopIteration::new_err(()))
}

#[pymethods]
impl Receive {
    fn __call__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        advance(py, self.step(py)?)
    }

    fn send<'py>(&self, py: Python<'py>, _value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        sent(self.__next__(py)?)
    }

    #[pyo3(signature = (*arguments))]
    fn throw<'py>(&self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        Err(super::run::thrown(arguments))
    }

    const fn close(&self) {}

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.protocol)
    }
}

#[pymethods]
impl Send {
    #[pyo3(signature = (message, /))]
    fn __call__(slf: Py<Self>, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<Py<Self>> {
        let message = Message::parse(message)?;
        let protocol = &slf.get().protocol;
        protocol.get().send(protocol.bind(py), slf.get().request, message)?;
        Ok(slf)
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        advance(py, self.step(py)?)
    }

    fn send<'py>(&self, py: Python<'py>, _value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        sent(self.__next__(py)?)
    }

    #[pyo3(signature = (*arguments))]
    fn throw<'py>(&self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        Err(super::run::thrown(arguments))
    }

    const fn close(&self) {}

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.protocol)
    }
}

/// The connection is in use by somebody else: only another thread can be.
pub(super) fn wrong_thread() -> PyErr {
    PyRuntimeError::new_err("receive and send belong to the thread of the event loop")
}
