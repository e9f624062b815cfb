//! One request and its response, shared between the worker and the objects the application holds.
//!
//! The application may keep `wsgi.input` or `start_response` and use them from other threads, or after the request. So
//! each half is behind a lock that Python-facing calls only try: a thread that holds the interpreter never waits for one
//! that needs it. After `end` every call raises.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::response::Response;
use crate::http::{Connection, PeerError, Policy, RequestReader};
use crate::net::{Peer, Stream};

/// The two halves of a connection, its socket, and what went wrong with it.
pub struct Exchange {
    pub stream: Arc<Stream>,
    pub peer: Peer,
    request: Mutex<RequestReader>,
    response: Mutex<Response>,
    fault: Mutex<Option<PeerError>>,
    id: OnceLock<Box<str>>,
    ended: AtomicBool,
    remote: OnceLock<Remote>,
}

/// The peer's address as the environ has it, made once a connection.
pub(super) struct Remote {
    pub(super) address: Py<PyString>,
    pub(super) port: Option<Py<PyString>>,
}

impl Exchange {
    pub fn new(stream: Stream, peer: Peer, connection: Connection) -> Self {
        Self {
            stream: Arc::new(stream),
            peer,
            request: Mutex::new(connection.reader),
            response: Mutex::new(Response::new(connection.writer)),
            fault: Mutex::default(),
            id: OnceLock::new(),
            ended: AtomicBool::new(false),
            remote: OnceLock::new(),
        }
    }

    pub(super) fn remote(&self, py: Python<'_>) -> &Remote {
        self.remote.get_or_init(|| Remote {
            address: PyString::new(py, &self.peer.address()).unbind(),
            port: match self.peer {
                Peer::Ip(address) => Some(PyString::new(py, &address.port().to_string()).unbind()),
                Peer::Unix => None,
            },
        })
    }

    /// Goes on to the connection's next request, if both sides are in order. Objects that the application kept belong to
    /// the request before, for ever.
    pub fn renew(this: &mut Arc<Self>, policy: &Arc<Policy>) -> bool {
        match Arc::get_mut(this) {
            Some(own) => own.begin_again(),
            None => Self::succeed(this, policy),
        }
    }

    /// Nobody else knows this exchange, so that it can serve again.
    fn begin_again(&mut self) -> bool {
        let request = self.request.get_mut().unwrap_or_else(PoisonError::into_inner);
        let response = self.response.get_mut().unwrap_or_else(PoisonError::into_inner);
        response.clear();
        *self.fault.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        self.id = OnceLock::new();
        *self.ended.get_mut() = false;
        request.next_request()
    }

    /// The halves move to a new exchange.
    fn succeed(this: &mut Arc<Self>, policy: &Arc<Policy>) -> bool {
        let Some((reader, response)) = this.halves(policy) else { return false };
        let mut next = Self {
            stream: Arc::clone(&this.stream),
            peer: this.peer,
            request: Mutex::new(reader),
            response: Mutex::new(response),
            fault: Mutex::default(),
            id: OnceLock::new(),
            ended: AtomicBool::new(false),
            remote: OnceLock::new(),
        };
        let in_order = next.begin_again();
        *this = Arc::new(next);
        in_order
    }

    /// Both, with fresh ones in their places. `None` if a thread of the application is inside one.
    fn halves(&self, policy: &Arc<Policy>) -> Option<(RequestReader, Response)> {
        let (mut request, mut response) = (self.request()?, self.response()?);
        let spare = Connection::new(Arc::clone(policy));
        let reader = std::mem::replace(&mut *request, spare.reader);
        Some((reader, std::mem::replace(&mut *response, Response::new(spare.writer))))
    }

    /// The request side, for the worker. `None` if a thread of the application is inside it.
    pub fn request(&self) -> Option<MutexGuard<'_, RequestReader>> {
        available(self.request.try_lock())
    }

    /// The response side, for the worker. `None` if a thread of the application is inside it.
    pub fn response(&self) -> Option<MutexGuard<'_, Response>> {
        available(self.response.try_lock())
    }

    /// The request side, for a call from Python.
    pub(super) fn reading(&self) -> PyResult<MutexGuard<'_, RequestReader>> {
        self.check_open()?;
        self.request().ok_or_else(|| PyRuntimeError::new_err("another thread is reading wsgi.input"))
    }

    /// The response side, for a call from Python.
    pub(super) fn writing(&self) -> PyResult<MutexGuard<'_, Response>> {
        self.check_open()?;
        self.response().ok_or_else(|| PyRuntimeError::new_err("another thread is writing the response"))
    }

    fn check_open(&self) -> PyResult<()> {
        if self.ended.load(Ordering::Acquire) {
            return Err(PyRuntimeError::new_err("the request this belongs to has ended"));
        }
        Ok(())
    }

    /// The request's id, if requests have one.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.get().map(AsRef::as_ref)
    }

    pub(super) fn identify(&self, id: Box<str>) -> &str {
        self.id.get_or_init(|| id)
    }

    /// From now on nothing of the application reaches this connection.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Answers what the peer did wrong, and logs it once. One that is gone gets no more than a line for those who debug.
    pub fn refuse(&self, fault: &PeerError) {
        if fault.is_disconnect() {
            log::debug!("Client at {} went away: {fault}", self.peer.address());
        } else {
            log::warn!("Invalid request from ip={}: {fault}", self.peer.address());
        }
        if let Some(mut response) = self.response() {
            response.refuse(fault.status(), &fault.page_message());
        }
    }

    /// Remembers what the peer did wrong in the middle of its body.
    pub(super) fn set_fault(&self, fault: PeerError) {
        if let Some(mut kept) = available(self.fault.try_lock()) {
            *kept = Some(fault);
        }
    }

    pub(super) fn fault(&self) -> Option<PeerError> {
        available(self.fault.try_lock()).and_then(|kept| kept.clone())
    }
}

/// Waits for a client without the interpreter, through whatever signals come. False when the wait timed out; raises what
/// a signal's handler raised.
pub(super) fn wait(py: Python<'_>, ready: impl Fn() -> io::Result<bool> + Sync) -> PyResult<bool> {
    loop {
        match py.detach(&ready) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => py.check_signals()?,
            outcome => return Ok(outcome?),
        }
    }
}

/// A lock is poisoned when a panic was caught at the request's boundary; the connection closes then, and what the lock
/// holds is still well-formed.
fn available<'a, T>(
    lock: Result<MutexGuard<'a, T>, TryLockError<MutexGuard<'a, T>>>,
) -> Option<MutexGuard<'a, T>> {
    match lock {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
