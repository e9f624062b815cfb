//! What all connections of a worker share: the application, the loop's functions, the rules, and who is there.
//!
//! Owns the tables of connections and of the application's tasks. Read next: `protocol.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::pings::PingRules;
use super::protocol::Protocol;
use super::scope::Scopes;
use crate::http::Policy;
use crate::wsgi::{Observers, Patience, RequestHooks, RequestIds};

/// The worker around the service, which counts requests and knows whether it is leaving.
pub trait Keeper: Send + Sync {
    /// A request is about to be given to the application. The number comes back with its end.
    fn begin(&self, method: &str, target: &[u8], now: Duration) -> usize;
    fn end(&self, number: usize, now: Duration);
    /// The worker was asked to go: now, if `quickly`.
    fn is_leaving(&self, quickly: bool) -> bool;
}

/// What a worker gives.
pub struct Parts {
    pub application: Py<PyAny>,
    pub policy: Arc<Policy>,
    pub patience: Arc<Patience>,
    pub observers: Option<Observers>,
    pub request_ids: Option<RequestIds>,
    pub hooks: Option<RequestHooks>,
    pub keeper: Box<dyn Keeper>,
    pub root_path: String,
    /// How long a client may keep its connection between requests; zero: not at all.
    pub keepalive: Duration,
    /// How long an application may go on without its client.
    pub grace: Duration,
    /// How long a request may be in the application; zero: for ever.
    pub request_timeout: Duration,
    pub worker_connections: usize,
    /// Bytes of a WebSocket message; zero: any number.
    pub message_size: usize,
    pub pings: PingRules,
}

pub(super) struct Service {
    pub parts: Parts,
    pub scopes: Scopes,
    pub create_future: Py<PyAny>,
    /// Makes a task, and may make its first step at once.
    pub start_task: Py<PyAny>,
    /// Of the loop, in `context`.
    call_soon: Py<PyAny>,
    /// The context variables from before any request.
    context: Py<PyAny>,
    connections: Mutex<HashMap<usize, Py<Protocol>>>,
    tasks: Mutex<HashMap<u64, Task>>,
    next: AtomicUsize,
    /// Bytes of bodies that no application has asked for yet.
    held: AtomicUsize,
    pub stopping: AtomicBool,
}

/// A task that runs the application.
struct Task {
    task: Py<PyAny>,
    /// When it is cancelled, because its client is gone.
    until: Option<Duration>,
}

impl Service {
    pub(super) fn new(
        event_loop: &Bound<'_, PyAny>,
        start_task: &Bound<'_, PyAny>,
        state: &Bound<'_, PyDict>,
        parts: Parts,
    ) -> PyResult<Arc<Self>> {
        let py = event_loop.py();
        let context = py.import("contextvars")?.call_method0("copy_context")?;
        let (partial, named) = (py.import("functools")?.getattr("partial")?, PyDict::new(py));
        named.set_item("context", &context)?;
        let call_soon = partial.call((event_loop.getattr("call_soon")?,), Some(&named))?;
        Ok(Arc::new(Self {
            scopes: Scopes::new(py, &parts.policy, &parts.root_path, state)?,
            parts,
            create_future: event_loop.getattr("create_future")?.unbind(),
            start_task: start_task.clone().unbind(),
            call_soon: call_soon.unbind(),
            context: context.unbind(),
            connections: Mutex::default(),
            tasks: Mutex::default(),
            next: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        }))
    }

    pub(super) fn fresh_number(&self) -> usize {
        self.next.fetch_add(1, Relaxed)
    }

    /// Calls a method of the protocol in the loop's next turn.
    pub(super) fn soon<'py>(
        &self,
        protocol: &Bound<'py, Protocol>,
        method: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.call_soon.bind(protocol.py()).call1((protocol.getattr(method)?,))
    }

    /// Raises an exit once more, in the loop, which it ends: a transport may take it for the end of its connection.
    pub(super) fn exit(&self, py: Python<'_>, exit: &PyErr) -> PyResult<()> {
        let (exiting, status) = (py.import("sys")?.getattr("exit")?, exit.value(py).getattr("code")?);
        self.call_soon.call1(py, (exiting, status)).map(drop)
    }

    /// Has a transport read on. asyncio's reads from now on in the context of whoever asked for it, which is that of a
    /// request; the next one is not to find its variables.
    pub(super) fn resume<'py>(&self, transport: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let context = self.context.bind(transport.py()).call_method0("copy")?;
        context.call_method1("run", (transport.getattr("resume_reading")?,))
    }

    /// Whether the client of the next request may keep its connection after it.
    pub(super) fn keeps(&self) -> bool {
        !self.parts.keepalive.is_zero() && !self.stopping.load(Relaxed)
    }

    pub(super) fn enter(&self, number: usize, protocol: Py<Protocol>) {
        self.connections().insert(number, protocol);
    }

    pub(super) fn leave(&self, number: usize) {
        // Dropped after the lock is.
        let _left = self.connections().remove(&number);
    }

    pub(super) fn count(&self) -> usize {
        self.connections().len()
    }

    pub(super) fn everybody(&self, py: Python<'_>) -> Vec<Py<Protocol>> {
        self.connections().values().map(|protocol| protocol.clone_ref(py)).collect()
    }

    pub(super) fn add_task(&self, number: u64, task: Py<PyAny>) {
        self.tasks().insert(number, Task { task, until: None });
    }

    pub(super) fn remove_task(&self, number: u64) {
        let _ended = self.tasks().remove(&number);
    }

    pub(super) fn has_tasks(&self) -> bool {
        !self.tasks().is_empty()
    }

    /// The client of this one is gone: it may go on until then.
    pub(super) fn condemn(&self, number: u64, until: Duration) {
        if let Some(task) = self.tasks().get_mut(&number) {
            task.until.get_or_insert(until);
        }
    }

    /// The tasks whose time is over, each once.
    pub(super) fn take_condemned(&self, py: Python<'_>, now: Duration) -> Vec<Py<PyAny>> {
        let mut tasks = self.tasks();
        let due = tasks.values_mut().filter(|task| task.until.is_some_and(|until| until <= now));
        due.map(|task| {
            task.until = Some(Duration::MAX);
            task.task.clone_ref(py)
        })
        .collect()
    }

    pub(super) fn all_tasks(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.tasks().values().map(|task| task.task.clone_ref(py)).collect()
    }

    /// A connection has so many bytes of a body, where it had `before`. True if all have more than the worker may keep.
    pub(super) fn hold(&self, before: usize, now: usize) -> bool {
        let held = if now >= before {
            self.held.fetch_add(now - before, Relaxed) + (now - before)
        } else {
            self.held.fetch_sub(before - now, Relaxed) - (before - now)
        };
        held > self.parts.patience.worker_buffers
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<usize, Py<Protocol>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<u64, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
