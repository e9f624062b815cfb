//! One call of the application, as the coroutine that an asyncio task steps through.
//!
//! Owns how a call ends: whatever the application raises, SystemExit included, ends its request and nothing else. Being
//! the coroutine itself, it learns of the end without a callback of the loop. Read next: `calls.rs`, what the application
//! is given.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PySystemExit, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{ffi, intern};

use super::calls::{ClientDisconnected, Receive, Send};
use super::protocol::Protocol;
use super::service::Service;
use super::serving::Outcome;
use crate::py::bridge::{tell, tell_as};
use crate::wsgi::Request;

/// A request for the application.
pub(super) struct Start {
    pub number: u64,
    /// It asks for a WebSocket.
    pub socket: bool,
    pub scope: Py<PyDict>,
    /// What its hooks see, if there are any.
    pub seen: Option<Py<Request>>,
}

/// Starts the task of a request, whose first step may be made at once. Nothing of the application's is on the stack: what
/// a client sends in one piece is no reason to nest, and a request is not to find the context variables of another.
pub(super) fn start(protocol: &Bound<'_, Protocol>, start: Start) {
    let (py, number) = (protocol.py(), start.number);
    if let Err(error) = begin(protocol, start) {
        protocol.get().finished(protocol, number, Outcome::Raised);
        let service = &protocol.get().service;
        if !is_exit(py, &error, service) {
            tell(py, "Error handling request", &error);
        } else if let Err(error) = service.exit(py, &error) {
            tell(py, "Cannot leave the event loop", &error);
        }
    }
}

fn begin(protocol: &Bound<'_, Protocol>, start: Start) -> PyResult<()> {
    let (py, service) = (protocol.py(), &protocol.get().service);
    if let (Some(hooks), Some(seen)) = (&service.parts.hooks, &start.seen) {
        hooks.call_pre(seen.bind(py))?;
    }
    let number = service.fresh_number() as u64;
    let run = Py::new(
        py,
        Run {
            protocol: protocol.clone().unbind(),
            request: start.number,
            socket: start.socket,
            number,
            call: Mutex::new(Call::New(start.scope)),
            ended: AtomicBool::new(false),
        },
    )?;
    let task = service.start_task.call1(py, (&run,))?;
    if !run.get().ended.load(Relaxed) {
        service.add_task(number, task);
        protocol.get().set_task(number, start.number);
    }
    Ok(())
}

enum Call {
    New(Py<PyDict>),
    /// A coroutine, or what `__await__` of something else gave.
    Begun(Py<PyAny>),
    Over,
}

#[pyclass(frozen, freelist = 16, module = "rwsgi", name = "Request")]
pub(super) struct Run {
    protocol: Py<Protocol>,
    /// The connection's number of the request.
    request: u64,
    socket: bool,
    /// The service's number of the task.
    number: u64,
    call: Mutex<Call>,
    ended: AtomicBool,
}

/// How far a step came.
enum Step<'py> {
    /// Something is to be waited for.
    Yield(Bound<'py, PyAny>),
    Return,
}

impl Run {
    /// The application's coroutine. It is taken out of its place only to be called for the first time.
    fn coroutine<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let call =
            std::mem::replace(&mut *self.call.lock().unwrap_or_else(PoisonError::into_inner), Call::Over);
        let coroutine = match call {
            Call::Over => return Ok(None),
            Call::Begun(coroutine) => coroutine,
            Call::New(scope) => self.call(py, &scope)?.unbind(),
        };
        *self.call.lock().unwrap_or_else(PoisonError::into_inner) = Call::Begun(coroutine.clone_ref(py));
        Ok(Some(coroutine.into_bound(py)))
    }

    fn call<'py>(&self, py: Python<'py>, scope: &Py<PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let receive = Py::new(py, Receive::new(self.protocol.clone_ref(py), self.request, self.socket))?;
        let send = Py::new(py, Send::new(self.protocol.clone_ref(py), self.request))?;
        let application = &self.protocol.get().service.parts.application;
        let given = application.bind(py).call1((scope, receive, send))?;
        // SAFETY: a type check of a live object.
        if unsafe { ffi::PyCoro_CheckExact(given.as_ptr()) } != 0 {
            return Ok(given);
        }
        match given.getattr_opt(intern!(py, "__await__"))? {
            Some(awaiting) => awaiting.call0(),
            None => {
                let kind = given.get_type().name()?.to_string();
                Err(PyTypeError::new_err(format!("the ASGI application returned {kind}, not a coroutine")))
            }
        }
    }

    /// One step, as the interpreter's own `await` makes it.
    fn advance<'py>(&self, py: Python<'py>) -> PyResult<Step<'py>> {
        let Some(coroutine) = self.coroutine(py)? else { return Ok(Step::Return) };
        let mut result = std::ptr::null_mut();
        // SAFETY: both are live objects; `result` is set to a new reference, or to null where an exception is set.
        let status = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), ffi::Py_None(), &raw mut result) };
        match status {
            ffi::PySendResult::PYGEN_ERROR => Err(PyErr::fetch(py)),
            // SAFETY: a new reference, as above.
            ffi::PySendResult::PYGEN_NEXT => Ok(Step::Yield(unsafe { Bound::from_owned_ptr(py, result) })),
            ffi::PySendResult::PYGEN_RETURN => {
                // SAFETY: as above. Nobody wants to know what an application returns.
                drop(unsafe { Bound::from_owned_ptr_or_opt(py, result) });
                Ok(Step::Return)
            }
        }
    }

    /// What the step means for the request, and then for the task.
    fn heed<'py>(&self, py: Python<'py>, step: PyResult<Step<'py>>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match step {
            Ok(Step::Yield(awaited)) => Ok(Some(awaited)),
            Ok(Step::Return) => {
                self.end(py, Outcome::Returned);
                Ok(None)
            }
            Err(error) => self.raised(py, error).map_or(Ok(None), Err),
        }
    }

    /// What is left of an exception for the task to know of.
    fn raised(&self, py: Python<'_>, error: PyErr) -> Option<PyErr> {
        let service = &self.protocol.get().service;
        if is_cancelled(py, &error) {
            self.end(py, Outcome::Cancelled);
            return Some(error);
        }
        if is_exit(py, &error, service) {
            self.end(py, Outcome::Cancelled);
            return Some(error);
        }
        if error.is_instance_of::<ClientDisconnected>(py) {
            let debug = (log::Level::Debug, module_path!());
            tell_as(py, debug, "The client went away", &error);
        } else {
            let request = self.protocol.get().describe(self.request);
            tell(py, &format!("Error handling request{request}"), &error);
        }
        self.end(py, Outcome::Raised);
        None
    }

    fn end(&self, py: Python<'_>, outcome: Outcome) {
        if self.ended.swap(true, Relaxed) {
            return;
        }
        let over =
            std::mem::replace(&mut *self.call.lock().unwrap_or_else(PoisonError::into_inner), Call::Over);
        drop(over);
        let protocol = self.protocol.bind(py);
        protocol.get().service.remove_task(self.number);
        protocol.get().finished(protocol, self.request, outcome);
    }

    fn inner(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = match &*call {
            Call::Begun(coroutine) => coroutine.clone_ref(py),
            _ => return Ok(py.None()),
        };
        drop(call);
        begun.getattr(py, name)
    }
}

#[pymethods]
impl Run {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let step = self.advance(py);
        self.heed(py, step)
    }

    /// asyncio sends nothing but `None`.
    fn send<'py>(&self, py: Python<'py>, _value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.__next__(py)?.ok_or_else(|| pyo3::exceptions::PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (*arguments))]
    fn throw<'py>(&self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = arguments.py();
        let step = match self.begun(py) {
            Some(coroutine) => coroutine.call_method1(intern!(py, "throw"), arguments).map(Step::Yield),
            // Cancelled before its first step: what is thrown comes out again.
            None => Err(thrown(arguments)),
        };
        let step = step.or_else(|error| {
            let returned = error.is_instance_of::<pyo3::exceptions::PyStopIteration>(py);
            if returned { Ok(Step::Return) } else { Err(error) }
        });
        self.heed(py, step)?.ok_or_else(|| pyo3::exceptions::PyStopIteration::new_err(()))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let closed = self.begun(py).map(|coroutine| coroutine.call_method0(intern!(py, "close")));
        self.end(py, Outcome::Cancelled);
        closed.transpose().map(drop)
    }

    // What those who look at tasks ask a coroutine.

    #[getter]
    fn cr_running(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.inner(py, "cr_running")
    }

    #[getter]
    fn cr_suspended(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.inner(py, "cr_suspended")
    }

    #[getter]
    fn cr_frame(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.inner(py, "cr_frame")
    }

    #[getter]
    fn cr_code(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.inner(py, "cr_code")
    }

    #[getter]
    fn cr_await(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.inner(py, "cr_await")
    }
}

impl Run {
    fn begun<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match &*self.call.lock().unwrap_or_else(PoisonError::into_inner) {
            Call::Begun(coroutine) => Some(coroutine.bind(py).clone()),
            _ => None,
        }
    }
}

/// The exception that `throw` was called with: itself, or its class and value.
pub(super) fn thrown(arguments: &Bound<'_, PyTuple>) -> PyErr {
    let last = arguments.get_item(1).ok().filter(|value| !value.is_none());
    match last.map_or_else(|| arguments.get_item(0), Ok) {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

/// A signal handler's word to leave at once, not the application's own.
fn is_exit(py: Python<'_>, error: &PyErr, service: &Service) -> bool {
    error.is_instance_of::<PySystemExit>(py) && service.parts.keeper.is_leaving(true)
}

fn is_cancelled(py: Python<'_>, error: &PyErr) -> bool {
    let class = py.import(intern!(py, "asyncio")).and_then(|asyncio| asyncio.getattr("CancelledError"));
    class.is_ok_and(|class| error.matches(py, class).unwrap_or(false))
}
