//! The Python objects through which an application reaches its request, made once a connection.
//!
//! Owns their reuse: an application that has kept none of them, as hardly any does, gets the same ones with the
//! connection's next request. Must never give out one that somebody may hold since a former request: those belong to an
//! exchange that has ended, for ever (`Exchange::renew`). Read next: `exchange.rs`.

use std::sync::Arc;

use pyo3::ffi;
use pyo3::prelude::*;

use super::client_socket::ClientSocket;
use super::exchange::Exchange;
use super::input::Input;
use super::start_response::{EarlyHints, StartResponse};

pub struct Objects {
    pub(super) start_response: Py<StartResponse>,
    pub(super) input: Py<Input>,
    pub(super) early_hints: Py<EarlyHints>,
    pub(super) socket: Py<ClientSocket>,
}

impl Objects {
    /// How often they hold the exchange: once each, and the callable that `start_response` returns.
    pub(super) const REFERENCES: usize = 5;

    fn new(py: Python<'_>, exchange: &Arc<Exchange>) -> PyResult<Self> {
        Ok(Self {
            start_response: Py::new(py, StartResponse::new(py, exchange)?)?,
            input: Py::new(py, Input::new(Arc::clone(exchange)))?,
            early_hints: Py::new(py, EarlyHints::new(Arc::clone(exchange)))?,
            socket: Py::new(py, ClientSocket::new(Arc::clone(exchange)))?,
        })
    }

    /// For the next request of the exchange. `kept`: those of the one before, if it left them.
    pub(super) fn of(py: Python<'_>, exchange: &Arc<Exchange>, kept: Option<Self>) -> PyResult<Self> {
        match kept {
            Some(objects) => {
                objects.input.get().renew();
                Ok(objects)
            }
            None => Self::new(py, exchange),
        }
    }

    /// Nobody else has any of them, or can come by one, and none shows what was done with it.
    pub(super) fn are_as_new(&self, py: Python<'_>) -> bool {
        is_unshared(py, &self.start_response)
            && is_unshared(py, self.start_response.get().write())
            && is_unshared(py, &self.input)
            && is_unshared(py, &self.early_hints)
            && is_unshared(py, &self.socket)
            && !self.socket.get().is_made()
    }
}

/// None of the classes can be referred to weakly or is known to the garbage collector, so that who has the only
/// reference is alone with the object.
fn is_unshared<T>(_py: Python<'_>, object: &Py<T>) -> bool {
    // SAFETY: the object is alive, and this thread has the interpreter.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) == 1 }
}
